"""Hamiltonians: computed, read and written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hamexplorer.api.structures import Crystal
from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output, written
from hamexplorer.formats import ReadOptions, SpinOrder
from hamexplorer.formats.writers import writer_for
from hamexplorer.formats.writing import WriteOptions, WriteReport
from hamexplorer.hamiltonian import Hamiltonian, SpinState, save_hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.sources import FileSource, HamiltonianCache, Source
from hamexplorer.sources import compute as compute_hamiltonian
from hamexplorer.structures.load import load_structure

__all__ = ["compute", "open", "save", "write"]


def compute(
    structure: Crystal,
    source: Source | str | None = None,
    *,
    cache: HamiltonianCache | bool = True,
    progress: bool | None = None,
    monitor: Monitor | None = None,
    **settings: Any,
) -> Hamiltonian:
    """The Hamiltonian of a crystal, from the disk cache or computed and stored there.

    Args:
        structure: what :func:`load` takes.
        source: ``dft`` (default), ``superposed`` (free atoms with fitted potentials, not
            self-consistent: any size, an approximation), ``learned`` (those, corrected by a
            network, for crystals like those it was trained on), another name, or a source object.
        cache: False: neither read nor write the disk cache.
        progress: show a bar; None: in a terminal or notebook only.
        monitor: told the progress instead; can cancel from another thread.
        settings: of the source, for ``dft`` the fields of
            :class:`~hamexplorer.dft.settings.DftSettings` (``kmesh=(6, 6, 1)``), for
            ``superposed`` those of
            :class:`~hamexplorer.dft.superposed.settings.SuperposedSettings` (``spacing=0.133``),
            for ``learned`` these and ``weights`` (a path; default: the shipped ones).

    Raises:
        HamexplorerError: bad input or settings, an element that is not covered, too large, or
            not converged; the message says which.
        CalculationCancelled: stopped by ``monitor`` or Ctrl-C.
    """
    crystal = load_structure(structure)
    if monitor is not None:
        return compute_hamiltonian(crystal, source, cache=cache, monitor=monitor, **settings)
    from hamexplorer.cli.progress import monitored

    show = _interactive() if progress is None else progress
    with monitored(show=show) as own:
        return compute_hamiltonian(crystal, source, cache=cache, monitor=own, **settings)


def save(h: Hamiltonian, path: str | Path) -> None:
    """Write a Hamiltonian to an HDF5 file, whole or not at all.

    Raises:
        SettingsError: the suffix is not .h5 or .hdf5, or the directory does not exist.
        HamexplorerError: the file cannot be written; what stood there is untouched.
    """
    _check_is_hamiltonian(h)
    with written(checked_output(path, (".h5", ".hdf5"))) as temporary:
        save_hamiltonian(h, temporary)


def write(
    h: Hamiltonian,
    target: str | Path,
    to: str | None = None,
    *,
    soc: float = 1.0,
    theta: float = 0.0,
    phi: float = 0.0,
    exchange: float = 1.0,
    spinor: bool | None = None,
    mesh: tuple[int, int, int] | None = None,
    force: bool = False,
) -> WriteReport:
    """Write a Hamiltonian for another program; the files, and what the format does not keep.

    Args:
        h: the Hamiltonian.
        target: a file, or a folder for formats of several files.
        to: name of the format; None: what the target's name means (``hamexplorer convert --list``).
        soc: spin-orbit strength λ that is written into formats without a dial.
        theta: polar angle of the magnetisation that is written, from z, degrees.
        phi: its azimuth from x, degrees.
        exchange: factor on the exchange field that is written.
        spinor: write spinors; None: if there is spin-orbit or exchange.
        mesh: of k, on which overlapping orbitals are made orthogonal for formats without overlap.
        force: replace files that hamexplorer did not write.

    Raises:
        SettingsError: no such format, or it cannot hold this Hamiltonian.
        HamexplorerError: it cannot be written; what stood there is untouched.
    """
    _check_is_hamiltonian(h)
    options = WriteOptions(SpinState(soc, theta, phi, exchange), spinor, force, mesh)
    return writer_for(str(target), to).write(h, Path(target), options)


def open(
    path: str | Path,
    *,
    electrons: float | None = None,
    fermi: float | None = None,
    structure: Crystal | None = None,
    spin_order: SpinOrder | None = None,
    index: int = 0,
) -> Hamiltonian:
    """Read a Hamiltonian: ours, or another program's in a file, folder or archive.

    Args:
        path: its format is found by content (``hamexplorer convert --list``).
        electrons: per cell, both spins; where the file does not tell, or instead.
        fermi: eV; electrons are counted up to it where the file tells neither.
        structure: the crystal, for files without one.
        spin_order: ``block`` or ``interleaved``, for files of spinors that do not tell.
        index: which crystal of a file that holds several, from 0.

    Raises:
        FileFormatError: no such file, of no known format, damaged, or of a newer layout.
        ResourceLimitError: it is larger than 4 GB.
        SettingsError: an option does not fit the file.
    """
    crystal = None if structure is None else load_structure(structure)
    options = ReadOptions(electrons, fermi, crystal, spin_order, index)
    return FileSource(Path(path), options).hamiltonian


def _check_is_hamiltonian(given: Any) -> None:
    if not isinstance(given, Hamiltonian):
        raise SettingsError(f"A Hamiltonian can be saved, not a {type(given).__name__}.")


def _interactive() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules
