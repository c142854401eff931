"""Which files make up an ABACUS calculation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from hamexplorer.errors import FileFormatError, SettingsError
from hamexplorer.formats.abacus.csr import matrix_kind
from hamexplorer.formats.bundle import Bundle, Member

__all__ = ["RunFiles", "find_files"]


@dataclass(frozen=True, eq=False)
class RunFiles:
    """H of each spin, S, and what tells the crystal: a log and ``STRU``, None where missing."""

    hamiltonian: tuple[Member, ...]
    overlap: Member
    log: Member | None
    stru: Member | None

    @property
    def companions(self) -> tuple[Member, ...]:
        """Log and ``STRU``, as far as there are."""
        return tuple(m for m in (self.log, self.stru) if m is not None)


def find_files(bundle: Bundle, index: int) -> RunFiles:
    """The files of one calculation: in the chosen one's folder, or the ``index``-th with an H.

    Raises:
        FileFormatError: H or S is missing, or there are several steps.
        SettingsError: there are fewer calculations.
    """
    kinds = {m: matrix_kind(m.head) for m in bundle.members if m.size}
    found = {m: kind for m, kind in kinds.items() if kind is not None}
    folders = list(dict.fromkeys(_folder(m) for m, kind in found.items() if kind[0] == "H"))
    if bundle.chosen is not None:
        folders = [f for f in folders if f == _folder(bundle.chosen)]
    if not folders:
        raise FileFormatError(
            "There is a file of S but none of H(R): put data-HR-sparse_SPIN0.csr beside it."
        )
    if index >= len(folders):
        raise SettingsError(
            f"There are {len(folders)} calculations, counted from 0; {index} is none."
        )
    folder = folders[index]
    here = {m: kind for m, kind in found.items() if _folder(m) == folder}
    h = sorted((_spin(m, kind[1]), m.name, m) for m, kind in here.items() if kind[0] == "H")
    if [spin for spin, _, _ in h] not in ([0], [0, 1]):
        raise FileFormatError(
            f"The files of H(R) are {', '.join(name for _, name, _ in h)}; accepted are those of "
            "one step: SPIN0, or SPIN0 and SPIN1."
        )
    overlaps = [m for m, kind in here.items() if kind[0] == "S"]
    if not overlaps:
        raise FileFormatError(
            f"{h[0][1]} has no overlap beside it: put data-SR-sparse_SPIN0.csr (srs1_nao.csr) "
            "there."
        )
    log = [m for m in bundle.ending(".log") if m.basename.startswith("running_")]
    return RunFiles(
        tuple(m for _, _, m in h),
        min(overlaps, key=lambda m: m.name),
        next((m for m in sorted(log, key=_not_scf) if _folder(m) == folder), None),
        _nearest_stru(bundle, folder),
    )


def _nearest_stru(bundle: Bundle, folder: str) -> Member | None:
    """``STRU`` of the folder or of the one above, where ABACUS reads it; after a relaxation
    ``STRU_ION_D`` in the folder is the last crystal.
    """
    above = str(PurePosixPath(folder).parent)
    for where, names in ((folder, ("STRU_ION_D", "STRU")), (above, ("STRU",))):
        for name in names:
            for member in bundle.members:
                if member.basename == name and _folder(member) == where:
                    return member
    return None


def _folder(member: Member) -> str:
    return str(PurePosixPath(member.name).parent)


def _not_scf(member: Member) -> tuple[bool, str]:
    return "scf" not in member.basename, member.name


def _spin(member: Member, told: int) -> int:
    """0 or 1 of ``…_SPIN1.csr``; old files tell it by their name alone."""
    match = re.search(r"SPIN(\d)", member.basename)
    return int(match[1]) if match else told
