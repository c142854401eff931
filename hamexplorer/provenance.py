"""Where a Hamiltonian came from: source, settings, versions, hashes, timings, warnings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from pymatgen.core import Structure

from hamexplorer.errors import FileFormatError

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
        """The record as JSON text; NumPy's numbers and arrays become plain ones.

        Raises:
            TypeError: a field holds what is not JSON data.
        """
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps(fields, ensure_ascii=False, sort_keys=True, default=_plain)

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """The inverse of :meth:`to_json`; keys that this version does not know are dropped.

        Raises:
            FileFormatError: not such a record.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FileFormatError(f"The provenance record is not JSON: {error}.") from error
        if not isinstance(data, dict):
            raise FileFormatError("The provenance record must be a JSON object.")
        for key, (kind, name) in _KINDS.items():
            if key in ("source", "title") and key not in data:
                raise FileFormatError(f"The provenance record has no {key!r}.")
            if key in data and not isinstance(data[key], kind):
                raise FileFormatError(f"{key!r} of the provenance record must be {name}.")
        known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
        for key in ("warnings", "citations"):
            known[key] = tuple(str(item) for item in known.get(key, ()))
        return cls(**known)


_KINDS = {
    **dict.fromkeys(("source", "title", "structure_hash", "created"), (str, "a string")),
    **dict.fromkeys(("settings", "results", "timings", "versions"), (dict, "an object")),
    **dict.fromkeys(("warnings", "citations"), (list, "a list")),
}
"""What every field is in JSON."""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"A provenance record holds plain data, not a {type(value).__name__}.")


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
    # + 0.0: −0.0 and 0.0 are the same cell
    digest.update((np.round(structure.lattice.matrix, 8) + 0.0).astype("<f8").tobytes())
    digest.update("\n".join(site.species_string for site in structure).encode())
    digest.update((np.round(structure.cart_coords, 8) + 0.0).astype("<f8").tobytes())
    magmoms = structure.site_properties.get("magmom")
    if magmoms is not None:
        digest.update(
            json.dumps(
                [np.asarray(m, dtype=float).tolist() if m is not None else None for m in magmoms]
            ).encode()
        )
    return digest.hexdigest()
