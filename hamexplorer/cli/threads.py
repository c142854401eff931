"""How many threads a command uses, set before the numerical libraries read it."""

from __future__ import annotations

import os

from hamexplorer.cores import available_cores
from hamexplorer.errors import SettingsError

__all__ = ["set_threads"]

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def set_threads(asked: int | None) -> int:
    """Set and return the number of threads: ``asked``, else OMP_NUM_THREADS, else all cores
    given to the process.

    Must run before NumPy, torch or PySCF are imported: they read the variables once.

    Raises:
        SettingsError: ``asked`` is not 1 … 1024.
    """
    if asked is not None and not 1 <= asked <= 1024:
        raise SettingsError(f"--threads must lie in 1 … 1024, not {asked}.")
    named = os.environ.get("OMP_NUM_THREADS", "")
    if asked is None and named.isdecimal() and int(named) > 0:
        asked = int(named)
    count = asked if asked is not None else available_cores()
    for variable in _VARIABLES:
        os.environ[variable] = str(count)
    return count
