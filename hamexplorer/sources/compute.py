"""From a structure to its Hamiltonian: the one call behind page, notebook and command line."""

from __future__ import annotations

from typing import Any

from pymatgen.core import Structure

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.sources.cache import HamiltonianCache
from hamexplorer.sources.protocol import Source
from hamexplorer.sources.registry import make_source

__all__ = ["compute"]


def compute(
    structure: Structure,
    source: Source | str | None = None,
    *,
    cache: HamiltonianCache | bool = True,
    monitor: Monitor | None = None,
    **settings: Any,
) -> Hamiltonian:
    """The Hamiltonian of ``structure``, read from the cache or computed and stored there.

    Args:
        structure: the crystal.
        source: who answers: a :class:`~hamexplorer.sources.protocol.Source`, a name in the
            registry, or None for ``dft``.
        cache: True: the default one; False: none.
        monitor: is told the progress, and can cancel.
        settings: of the named source, for ``dft`` the fields of
            :class:`~hamexplorer.dft.settings.DftSettings` (``kmesh=(6, 6, 1)``), for ``superposed``
            those of :class:`~hamexplorer.dft.superposed.settings.SuperposedSettings`, for
            ``learned`` these and ``weights``.

    Raises:
        SettingsError: a setting is unknown or out of its range.
        HamexplorerError: the source cannot compute this structure, or did not converge.
        CalculationCancelled: ``monitor`` was cancelled.
    """
    if source is None or isinstance(source, str):
        source = make_source(source or "dft", **settings)
    elif settings:
        raise SettingsError(
            f"Settings ({', '.join(settings)}) go with a source's name; this source is made "
            "already."
        )
    store = HamiltonianCache() if cache is True else cache
    if store is False:
        source.check(structure)
        return source.compute(structure, monitor)
    return store.get_or_compute(structure, source, monitor)
