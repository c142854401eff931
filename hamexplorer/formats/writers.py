"""What can be written, and which of it a target's name means."""

from __future__ import annotations

import re
from pathlib import PurePath

from hamexplorer.errors import SettingsError
from hamexplorer.formats import deeph, hamgnn, native, wannier90
from hamexplorer.formats.writing import Writer

__all__ = ["WRITERS", "writer_for", "written_formats"]

WRITERS: tuple[Writer, ...] = (
    Writer("hamexplorer", "hamexplorer", "FILE.h5 or FILE.hdf5", native.write),
    Writer("deeph", "DeepH", "FOLDER/", deeph.write_new),
    Writer("deeph-old", "DeepH, first layout", "FOLDER/", deeph.write_old),
    Writer("wannier90-hr", "Wannier90, hr.dat", "SEED_hr.dat", wannier90.write_hr),
    Writer("wannier90-tb", "Wannier90, tb.dat", "SEED_tb.dat", wannier90.write_tb),
    Writer("hamgnn", "HamGNN", "NAME.npz", hamgnn.write_hamgnn),
)
"""One line for each."""


def writer_for(target: str, name: str | None = None) -> Writer:
    """The writer called ``name``, else the one that the ending of ``target`` means.

    Raises:
        SettingsError: there is no such writer, or the target's name means none or several.
    """
    if name is not None:
        for writer in WRITERS:
            if writer.name == name:
                return writer
        raise SettingsError(f"{name!r} is no format that is written; those are {_listed()}.")
    basename = PurePath(target).name.lower() + ("/" if target.endswith(("/", "\\")) else "")
    fits = [w for w in WRITERS if any(basename.endswith(ending) for ending in _endings(w))]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise SettingsError(
            f"{target} may be of {' or of '.join(w.name for w in fits)}: say which with --to."
        )
    raise SettingsError(f"{target}: its name means no format; written are {_listed()}.")


def written_formats() -> dict[str, str]:
    """Targets by the writers' names."""
    return {writer.name: writer.target for writer in WRITERS}


def _endings(writer: Writer) -> list[str]:
    """``_tb.dat`` of ``NAME_tb.dat``, ``/`` of ``FOLDER/``."""
    return [re.sub(r"^[A-Z]+", "", target).lower() for target in writer.target.split(" or ")]


def _listed() -> str:
    return "; ".join(f"{name} ({target})" for name, target in written_formats().items())
