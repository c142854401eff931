"""The provenance of a Hamiltonian that was read from somebody's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pymatgen.core import Structure

from hamexplorer.formats.bundle import Member
from hamexplorer.formats.spinor import SpinParts
from hamexplorer.provenance import Provenance, package_versions, structure_hash, timestamp

__all__ = ["DEFECT_SHOWN", "ReadRecord"]

DEFECT_SHOWN = 1e-6
"""A break of hermiticity beyond this (eV) is told to the user."""


class ReadRecord:
    """The files that are read, whose hashes are taken beside the reading (hashing frees Python's
    lock, and a large file's hash takes as long as the rest).
    """

    def __init__(self, *members: Member) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._hashes: dict[str, Future[str]] = {}
        self.add(*members)

    def add(self, *members: Member) -> None:
        """More files that were found to be needed."""
        for member in members:
            self._hashes[member.name] = self._pool.submit(getattr, member, "digest")

    def provenance(
        self,
        *,
        source: str,
        title: str,
        structure: Structure,
        settings: Mapping[str, Any] | None = None,
        results: Mapping[str, Any] | None = None,
        parts: SpinParts | None = None,
        warnings: Sequence[str] = (),
    ) -> Provenance:
        """The record; ``source`` is the format's name."""
        told = list(warnings)
        found = dict(results or {})
        if parts is not None:
            found["hermiticity_defect_eV"] = parts.defect
            found["dropped_below_eV"] = parts.dropped
            if parts.defect > DEFECT_SHOWN:
                told.append(
                    f"The file's matrices break hermiticity by up to {parts.defect * 1e3:.3g} meV "
                    "(rounding of its digits); the Hermitian part is used."
                )
        hashes = {name: future.result() for name, future in self._hashes.items()}
        self._pool.shutdown()
        return Provenance(
            source=source,
            title=title,
            settings={"files": hashes, **(settings or {})},
            results=found,
            warnings=tuple(told),
            versions=package_versions("numpy"),
            structure_hash=structure_hash(structure),
            created=timestamp(),
        )
