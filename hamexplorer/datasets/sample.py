"""One sample: a self-consistent Hamiltonian, H0 on the same pairs, and what the crystal is.

A sample is a file of its own, in the layout of :mod:`hamexplorer.hamiltonian.hdf5` (so that every
reader of Hamiltonians opens it), with besides

    /sample/info           (1,) string: JSON of :class:`SampleInfo`
    /sample/zero           (n_elements,) float64, eV: H0 on the file's pairs
    /sample/zero_exchange  optional, as /blocks/exchange: B0, eV
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError, HamexplorerError, HamiltonianError
from hamexplorer.files import replacing
from hamexplorer.hamiltonian import Hamiltonian, load_hamiltonian, save_hamiltonian
from hamexplorer.hamiltonian.arrays import owned
from hamexplorer.hamiltonian.checked_hdf5 import Field, read_fields
from hamexplorer.hamiltonian.hdf5 import LIBRARY, MAX_BYTES, write_text, write_values
from hamexplorer.hamiltonian.validation import HERMITICITY_TOLERANCE
from hamexplorer.provenance import structure_hash

__all__ = ["Sample", "SampleInfo", "load_sample", "made_sample", "read_info", "save_sample"]

_INFO = Field("sample/info", "text")
_ZERO = Field("sample/zero", "real")
_ZERO_EXCHANGE = Field("sample/zero_exchange", "real", (1, 2), required=False)
_INFO_BYTES = 100_000


@dataclass(frozen=True)
class SampleInfo:
    """What a crystal of a data set is.

    Attributes:
        name: unique in the set, ``family/parent/number``; the sample's file is named so.
        family: of crystals that are made alike.
        parent: the undistorted crystal.
        strain: its largest strain.
        n_cells: primitive cells of the parent in it.
        held_out: left for tests, whatever the split.
        n_atoms: in the cell.
        formula: reduced.
        structure_hash: of :func:`~hamexplorer.provenance.structure_hash`.
        pristine: whether it is the parent itself.
        digest: SHA-256 of structure, orbitals, pairs, S, H, B, Λ, H0 and B0.
    """

    name: str
    family: str
    parent: str
    strain: float
    n_cells: int
    held_out: bool
    n_atoms: int
    formula: str
    structure_hash: str
    pristine: bool = False
    digest: str = ""


@dataclass(frozen=True, eq=False)
class Sample:
    """A crystal's Hamiltonian and what it is to be learned from.

    Attributes:
        info: what the crystal is.
        reference: the self-consistent Hamiltonian.
        zero: H0 on ``reference.pairs``, (n_elements,), eV.
        zero_exchange: B0 likewise, of the shape of ``reference.exchange``; None if there is none.

    Raises:
        HamiltonianError: H0 or B0 of another shape, not finite, or X[R] ≠ X[−R]ᵀ.
    """

    info: SampleInfo
    reference: Hamiltonian
    zero: NDArray[np.float64]
    zero_exchange: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        _check(self.reference, "H0", self.zero, self.reference.scalar.shape)
        object.__setattr__(self, "zero", owned(self.zero))
        if self.zero_exchange is not None:
            if self.reference.exchange is None:
                raise HamiltonianError("B0 is given, but the reference has no exchange field.")
            _check(self.reference, "B0", self.zero_exchange, self.reference.exchange.shape)
            object.__setattr__(self, "zero_exchange", owned(self.zero_exchange))

    def content_digest(self) -> str:
        """SHA-256 of all that a network learns from, computed anew; 64 hex digits."""
        h = self.reference
        digest = hashlib.sha256(structure_hash(h.structure).encode())
        shells = [[f"{s.label}:{s.l}" for s in of_site] for of_site in h.basis.shells]
        digest.update(json.dumps([h.basis.symbols, shells, h.n_electrons]).encode())
        arrays = {
            **{name: getattr(h.pairs, name) for name in ("first", "second", "cell")},
            **{name: getattr(h, name) for name in ("overlap", "scalar", "exchange", "spin_orbit")},
            "time_odd": h.time_odd,
            "zero": self.zero,
            "zero_exchange": self.zero_exchange,
        }
        for name, values in arrays.items():
            if values is not None:
                digest.update(f"\n{name} {values.shape} {values.dtype.str}\n".encode())
                digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()


def made_sample(
    reference: Hamiltonian,
    zero: NDArray[np.float64],
    zero_exchange: NDArray[np.float64] | None = None,
    *,
    name: str,
    family: str,
    parent: str,
    strain: float = 0.0,
    n_cells: int = 1,
    held_out: bool = False,
    pristine: bool = False,
) -> Sample:
    """A sample whose facts about the structure, and digest, are taken from the arrays.

    Position matrix elements are left out: nothing is learned from them.

    Raises:
        HamiltonianError: as :class:`Sample`.
    """
    structure = reference.structure
    info = SampleInfo(
        name=name,
        family=family,
        parent=parent,
        strain=float(strain),
        n_cells=n_cells,
        held_out=held_out,
        n_atoms=len(structure),
        formula=structure.composition.reduced_formula,
        structure_hash=structure_hash(structure),
        pristine=pristine,
    )
    bare = reference if reference.position is None else replace(reference, position=None)
    sample = Sample(info, bare, zero, zero_exchange)
    return replace(sample, info=replace(info, digest=sample.content_digest()))


def save_sample(sample: Sample, path: Path) -> None:
    """Write a sample whole or not at all; a kill at any moment leaves no damaged file.

    Raises:
        HamexplorerError: the structure or provenance holds what no file can keep.
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        save_hamiltonian(sample.reference, temporary)
        with h5py.File(temporary, "r+", libver=LIBRARY) as file:
            write_text(file, _INFO.path, [json.dumps(asdict(sample.info), ensure_ascii=False)])
            write_values(file, _ZERO.path, sample.zero)
            if sample.zero_exchange is not None:
                write_values(file, _ZERO_EXCHANGE.path, sample.zero_exchange)


def load_sample(path: Path) -> Sample:
    """Read a sample, checking it anew (hermiticity, S positive, checksums of the file).

    Raises:
        FileFormatError: no sample, or damaged.
        ResourceLimitError: it declares too much data.
    """
    reference = load_hamiltonian(path)
    data = _read(path, (_INFO, _ZERO, _ZERO_EXCHANGE), MAX_BYTES)
    try:
        return Sample(
            _info(path, data),
            reference,
            data[_ZERO.path],
            data.get(_ZERO_EXCHANGE.path),
        )
    except HamiltonianError as error:
        raise FileFormatError(f"{path.name}: {error}") from error


def read_info(path: Path) -> SampleInfo:
    """What a sample's crystal is, without its matrices.

    Raises:
        FileFormatError: no sample, or damaged.
    """
    return _info(path, _read(path, (_INFO,), _INFO_BYTES))


def _check(h: Hamiltonian, name: str, values: NDArray[np.float64], shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise HamiltonianError(f"{name} has shape {values.shape}; expected is {shape}.")
    error = float(np.abs(values - values[..., h.pairs.transposition]).max())
    # written so that NaN fails, too
    if not error <= HERMITICITY_TOLERANCE:
        raise HamiltonianError(
            f"{name}[R] = {name}[−R]ᵀ is broken by {error:.3e} eV; accepted is "
            f"{HERMITICITY_TOLERANCE:.0e}."
        )


def _read(path: Path, wanted: tuple[Field, ...], max_bytes: float) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise FileFormatError(f"{path}: there is no such sample.")
    try:
        with h5py.File(path, "r") as file:
            return read_fields(file, wanted, max_bytes)
    except HamexplorerError as error:
        raise type(error)(f"{path.name}: {error}") from error
    except Exception as error:  # on damaged input HDF5 may raise anything
        raise FileFormatError(f"{path.name} is truncated or damaged: {error}.") from error


def _info(path: Path, data: dict[str, NDArray[Any]]) -> SampleInfo:
    lines = data[_INFO.path]
    try:
        found = json.loads(lines[0].decode()) if len(lines) == 1 else None
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path.name}: {_INFO.path!r} is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise FileFormatError(f"{path.name}: {_INFO.path!r} must hold one JSON object.")
    known: dict[str, Any] = {}
    for field in fields(SampleInfo):
        if field.name not in found:
            raise FileFormatError(f"{path.name}: {_INFO.path!r} has no {field.name!r}.")
        value = found[field.name]
        kind = {"str": str, "float": float, "int": int, "bool": bool}[str(field.type)]
        if type(value) is not kind:
            raise FileFormatError(
                f"{path.name}: {field.name!r} in {_INFO.path!r} must be a {kind.__name__}, not "
                f"{value!r:.80}."
            )
        known[field.name] = value
    return SampleInfo(**known)
