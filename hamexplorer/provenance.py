"""Where a Hamiltonian came from: source, settings, versions, hashes, timings, warnings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from pymatgen.core import Structure

__all__ = ["Provenance", "package_versions", "structure_hash", "timestamp"]


@dataclass(frozen=True)
class Provenance:
    """The record stamped on every :class:`~hamexplorer.hamiltonian.Hamiltonian`.

    Every field is plain JSON data, so that the record survives any file format.
    ``source`` is the machine name (``dft``), ``title`` what a person reads
    (``PBE, gth-dzvp-molopt-sr, spin-orbit one-shot``); ``results`` are the calculation's own
    numbers (total energy in eV, iterations, moment in µB, ...); ``timings`` are seconds by stage.
    """

    source: str
    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    structure_hash: str = ""
    created: str = ""

    def to_json(self) -> str:
        """The record as JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """The inverse of :meth:`to_json`; keys that this version does not know are dropped."""
        data = json.loads(text)
        known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
        for key in ("warnings", "citations"):
            known[key] = tuple(known.get(key, ()))
        return cls(**known)


def package_versions(*names: str) -> dict[str, str]:
    """Installed versions of the named distributions, ``hamexplorer`` always among them."""
    found = {}
    for name in ("hamexplorer", *names):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def timestamp() -> str:
    """The present time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def structure_hash(structure: Structure) -> str:
    """SHA-256 of cell, species, positions (rounded to 1e-8 Å) and moments, 64 hex digits."""
    digest = hashlib.sha256()
    digest.update(np.round(structure.lattice.matrix, 8).astype("<f8").tobytes())
    digest.update("\n".join(site.species_string for site in structure).encode())
    digest.update((np.round(structure.cart_coords, 8) + 0.0).astype("<f8").tobytes())
    magmoms = structure.site_properties.get("magmom")
    if magmoms is not None:
        digest.update(json.dumps([np.asarray(m, dtype=float).tolist() if m is not None else None
                                  for m in magmoms]).encode())
    return digest.hexdigest()
