"""Files that a visitor drops on the page: what they hold, and how the cache keeps it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from pymatgen.core import Structure

from hamexplorer.errors import FileFormatError, SettingsError
from hamexplorer.formats import Bundle, ReadOptions, bundle_of_bytes, read_bundle, recognised
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.sources import Capability, Cost
from hamexplorer.structures import load_structure, safe_filename

__all__ = ["MAX_UPLOAD_BYTES", "Contents", "Files", "Uploaded", "named", "read_files"]

MAX_UPLOAD_BYTES = 200_000_000
"""Largest upload; more is opened with ``hamexplorer app FILE``."""
_MAX_UNPACKED_BYTES = 600_000_000
"""Largest content of one packed file; reading takes up to four times as much memory."""

_STRUCTURES = (".cif", ".vasp", ".poscar", ".xyz", ".xsf")

Files = Mapping[str, bytes]
"""Contents by name."""


@dataclass(frozen=True)
class Contents:
    """What was in the files: ``digest`` tells the same files, read in the same way, again."""

    crystal: Structure | Hamiltonian
    title: str
    digest: str


@dataclass(frozen=True)
class Uploaded:
    """A Hamiltonian from a visitor, as a source: so that the cache keeps it and a link finds it."""

    hamiltonian: Hamiltonian
    digest: str
    name: str = field(default="upload", init=False)
    title: str = "Uploaded file"

    def capability(self) -> Capability:
        """All that it is asked for."""
        return Capability(frozenset(self.hamiltonian.basis.symbols), True, True, 10**6, "")

    def settings_key(self, structure: Structure) -> str:  # noqa: ARG002 - the protocol's
        """The digest."""
        return json.dumps({"source": self.name, "sha256": self.digest})

    def check(self, structure: Structure) -> None:
        """Nothing to check."""

    def estimate(self, structure: Structure) -> Cost:  # noqa: ARG002
        """None."""
        return Cost(0.0, 0.0, "")

    def compute(
        self,
        structure: Structure,  # noqa: ARG002
        monitor: Monitor | None = None,
    ) -> Hamiltonian:
        """The Hamiltonian itself; what takes time is to store it afterwards."""
        if monitor is not None:
            monitor.report("Storing", 0.6, "for links to this view")
        return self.hamiltonian


def named(files: Files) -> str:
    """How the visitor knows them."""
    return next(iter(files))[:60] if len(files) == 1 else f"{len(files)} files"


def read_files(files: Files, options: ReadOptions, monitor: Monitor) -> Contents:
    """The structure or Hamiltonian in files that were given together.

    Raises:
        StructureError: no computable crystal, or a file name that no honest browser sends.
        FileFormatError: of no known format, or damaged.
        ResourceLimitError: too large, or it unpacks to too much.
        SettingsError: an option does not fit.
    """
    safe = {safe_filename(name): data for name, data in files.items()}
    monitor.report("Reading", 0.0, named(safe))
    bundle = bundle_of_bytes(safe, _MAX_UNPACKED_BYTES)
    chosen = bundle.chosen
    if chosen is not None and recognised(bundle) is None and not chosen.head.startswith(b"\x89HDF"):
        if options != ReadOptions():
            raise SettingsError(
                f"{chosen.name} holds no Hamiltonian of a known format; what is told beside the "
                "file (electrons, Fermi energy, spin order) goes with one."
            )
        structure = load_structure(safe[chosen.name], filename=chosen.name)
        return Contents(structure, PurePath(chosen.name).stem, "")
    if chosen is None and recognised(bundle) is None:
        _check_one_crystal(bundle)
    h = read_bundle(bundle, options)
    title = PurePath(bundle.name if chosen is None else chosen.basename).stem
    if len(safe) > 1:
        title = h.structure.composition.reduced_formula
    return Contents(h, title, _digest(safe, options))


def _check_one_crystal(bundle: Bundle) -> None:
    crystals = [m.basename for m in bundle.members if _is_structure(m.basename)]
    if len(crystals) == len(bundle.members) > 1:
        shown = ", ".join(crystals[:4]) + (", …" if len(crystals) > 4 else "")
        raise FileFormatError(
            f"{shown}: one crystal at a time. Drop one of these files; two Hamiltonians are "
            "compared on the Compare page."
        )


def _is_structure(name: str) -> bool:
    stem = PurePath(name).stem.upper()
    return name.lower().endswith(_STRUCTURES) or stem in ("POSCAR", "CONTCAR")


def _digest(files: Files, options: ReadOptions) -> str:
    digest = hashlib.sha256(repr(replace(options, structure=None)).encode())
    for name in sorted(files):
        digest.update(f"\0{name}\0{len(files[name])}\0".encode())
        digest.update(files[name])
    return digest.hexdigest()
