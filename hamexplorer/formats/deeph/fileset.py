"""Which files belong together, and which of them is the Hamiltonian."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import h5py

from hamexplorer.errors import FileFormatError, HamexplorerError, SettingsError
from hamexplorer.formats.bundle import Bundle, Member

__all__ = ["DATA_SETS", "KEY", "FileSet", "Layout", "find", "opened", "recognises"]

Layout = Literal["new", "old"]

DATA_SETS = ("atom_pairs", "chunk_boundaries", "chunk_shapes", "entries")
"""What every ``.h5`` of the new layout holds."""
KEY = re.compile(rb"\[ *(-?\d+)" + rb" *, *(-?\d+)" * 4 + rb" *\]")
"""A block's name in the old layout: R1, R2, R3, i, j."""

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HAMILTONIANS = (
    "hamiltonian_raw.h5",
    "hamiltonian.h5",
    "hamiltonians.h5",
    "hamiltonian_pred.h5",
    "hamiltonians_pred.h5",
)
"""The first of these that a folder has is read."""
_ROTATED = ("rh.h5", "rh_pred.h5")
_OTHERS = {
    **dict.fromkeys(("overlap.h5", "overlaps.h5"), "the overlap"),
    **dict.fromkeys(("density_matrix.h5", "density_matrices.h5"), "a density matrix"),
    "position_matrix.h5": "position elements",
    "potential_r.h5": "a potential",
}


@dataclass(frozen=True, eq=False)
class FileSet:
    """One crystal's files.

    Attributes:
        layout: ``new`` or ``old``.
        hamiltonian: the file of H.
        files: all of its folder, by name.
    """

    layout: Layout
    hamiltonian: Member
    files: dict[str, Member]

    @property
    def predicted(self) -> bool:
        """Whether H is a network's."""
        return "_pred" in self.hamiltonian.basename

    def need(self, name: str) -> Member:
        """The file of this name.

        Raises:
            FileFormatError: it is not there.
        """
        if name not in self.files:
            raise FileFormatError(
                f"{name} is missing beside {self.hamiltonian.basename}; give the whole folder."
            )
        return self.files[name]


def recognises(bundle: Bundle) -> bool:
    """Whether one of the files is HDF5 with the data sets of either layout."""
    return any(_layout(member) is not None for member in bundle.candidates)


def find(bundle: Bundle, index: int) -> FileSet:
    """The ``index``-th crystal's files.

    Raises:
        FileFormatError: the file chosen, or all there are, are no Hamiltonian.
        SettingsError: there are fewer crystals.
    """
    folders: dict[str, dict[str, Member]] = {}
    for member in bundle.members:
        folder = folders.setdefault(str(PurePosixPath(member.name).parent), {})
        folder.setdefault(member.basename, member)
    if bundle.chosen is not None:
        if index:
            raise SettingsError(f"{bundle.name} holds one DeepH set, counted from 0, not {index}.")
        layout = _layout(bundle.chosen)
        assert layout is not None
        _refuse(bundle.chosen.basename)
        return FileSet(
            layout, bundle.chosen, folders[str(PurePosixPath(bundle.chosen.name).parent)]
        )
    sets = [files for files in folders.values() if any(map(_layout, files.values()))]
    if index >= len(sets):
        raise SettingsError(f"There are {len(sets)} DeepH sets, counted from 0; {index} is none.")
    files = sets[index]
    chosen = _hamiltonian(files)
    layout = _layout(chosen)
    if layout is None:
        raise FileFormatError(
            f"{chosen.basename} is damaged or of another program: expected are the data sets "
            f"{', '.join(DATA_SETS)}, or blocks named [R1, R2, R3, i, j]."
        )
    return FileSet(layout, chosen, files)


def _hamiltonian(files: dict[str, Member]) -> Member:
    for name in _HAMILTONIANS:
        if name in files:
            return files[name]
    unknown = [
        member
        for name, member in files.items()
        if name not in _OTHERS and name not in _ROTATED and _layout(member) is not None
    ]
    if len(unknown) == 1:
        return unknown[0]
    for name in (*_ROTATED, *_OTHERS):
        if name in files and not unknown:
            _refuse(name)
    raise FileFormatError(
        "Several files may be the Hamiltonian: "
        f"{', '.join(member.basename for member in unknown)}; give one of them."
    )


def _refuse(name: str) -> None:
    """Complain of a file that by its name is no Hamiltonian."""
    if name in _ROTATED:
        raise FileFormatError(
            f"{name} holds blocks in the local frame of each bond, which is what DeepH's network "
            "learns and no Hamiltonian by itself; give hamiltonians.h5 or hamiltonians_pred.h5 "
            "with the files beside it."
        )
    if name in _OTHERS:
        raise FileFormatError(
            f"{name} is {_OTHERS[name]}; give the folder, or its hamiltonian.h5 or hamiltonians.h5."
        )


def _layout(member: Member) -> Layout | None:
    """Which layout's names stand in an HDF5 file; one look at its first link."""
    if not member.size or not member.head.startswith(_SIGNATURE):
        return None
    try:
        with member.path() as path, h5py.File(path, "r") as file:
            links = file.id.links
            if all(links.exists(name.encode()) for name in DATA_SETS):
                return "new"
            first: list[bytes] = []

            def note(name: bytes) -> bool:
                first.append(name)
                return True  # ends the iteration

            links.iterate(note)
            return "old" if first and KEY.fullmatch(first[0]) else None
    except Exception:  # whatever HDF5 finds wrong: it is not recognised
        return None


@contextmanager
def opened(member: Member) -> Iterator[h5py.File]:
    """The HDF5 file, to read; whatever the library finds wrong is the file's damage.

    Raises:
        FileFormatError, ResourceLimitError: as :meth:`Member.data`, or damaged.
    """
    with member.path() as path:
        try:
            with h5py.File(path, "r") as file:
                yield file
        except (HamexplorerError, MemoryError):
            raise
        except Exception as error:  # HDF5 raises anything on damaged input
            raise FileFormatError(
                f"{member.basename} is truncated or damaged ({type(error).__name__}: {error})."
            ) from error
