"""What every writer takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState

__all__ = ["WriteOptions", "WriteReport", "Writer", "foreign"]


def foreign(paths: Iterable[Path]) -> SettingsError:
    """The refusal to replace what somebody else wrote."""
    return SettingsError(
        f"{', '.join(map(str, paths))} would be overwritten and was not written by hamexplorer: "
        "choose another name or folder, or give --force to replace it."
    )


@dataclass(frozen=True)
class WriteOptions:
    """How a Hamiltonian is put into a format that knows no dial.

    Attributes:
        state: λ, the direction of the magnetisation and the exchange's factor that are written in.
        spinor: write spinors; None: if the Hamiltonian has spin–orbit or exchange.
        mesh: of k, for formats without overlap: Löwdin's orthogonalisation is done on it; None: it
            grows until the error is below 1 meV. A coarser mesh makes smaller files.
        force: replace files that hamexplorer did not write.
    """

    state: SpinState = field(default_factory=SpinState)
    spinor: bool | None = None
    force: bool = False
    mesh: tuple[int, int, int] | None = None

    def as_spinor(self, h: Hamiltonian) -> bool:
        """Whether ``h`` is to be written as spinors."""
        if self.spinor is not None:
            return self.spinor
        return h.has_spin_orbit or h.is_magnetic


@dataclass(frozen=True)
class WriteReport:
    """What was written: the files, and sentences on what the format does not keep."""

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Writer:
    """One way to leave a Hamiltonian on disk.

    Attributes:
        name: machine name, such as ``wannier90-tb``.
        title: what a person reads.
        target: how the output is named: ``NAME_tb.dat``, ``FOLDER/``.
        write: writes to a path (a file or, if ``target`` ends with /, a folder that is made).
    """

    name: str
    title: str
    target: str
    write: Callable[[Hamiltonian, Path, WriteOptions], WriteReport]
