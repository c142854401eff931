"""DeepH's sets as a Hamiltonian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.bundle import Bundle, Member
from hamexplorer.formats.deeph.blocks import StoredBlocks, arranged, common_pairs, stored_pairs
from hamexplorer.formats.deeph.chunked import read_chunked
from hamexplorer.formats.deeph.crystal import Crystal, read_crystal
from hamexplorer.formats.deeph.fileset import FileSet, Layout, find
from hamexplorer.formats.deeph.keyed import read_keyed
from hamexplorer.formats.electrons import with_electrons
from hamexplorer.formats.options import ReadOptions
from hamexplorer.formats.order_check import CANDIDATES, detected_order
from hamexplorer.formats.orders import ABACUS, M_ORDER, OPENMX, HarmonicOrder, reordering
from hamexplorer.formats.record import ReadRecord
from hamexplorer.formats.spin_elements import mixed_mean
from hamexplorer.formats.spinor import (
    TOLERANCE,
    SpinParts,
    collinear_parts,
    hermitian,
    spinor_parts,
)
from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs
from hamexplorer.hamiltonian.arrays import read_only

__all__ = ["ORDERS", "PREDICTED_TOLERANCE", "read"]

ORDERS: dict[Layout, HarmonicOrder] = {
    "new": M_ORDER,
    # beyond OpenMX's own shells the format's library goes on with m = 0, 1, −1, 2, −2, …
    "old": HarmonicOrder({**ABACUS.m, **OPENMX.m}),
}
"""Orders of harmonics in a shell, by layout."""
PREDICTED_TOLERANCE = 0.1
"""Break of hermiticity (eV) accepted of a network: it may predict a pair's two directions apart."""

_ORDER_NAMES: dict[Layout, str] = {"new": "m = −l … l", "old": "OpenMX"}
_TITLES: dict[Layout, str] = {"new": "DeepH", "old": "DeepH (first layout)"}
_OVERLAPS: dict[Layout, str] = {"new": "overlap.h5", "old": "overlaps.h5"}
_LOADERS: dict[Layout, Callable[[Member, NDArray[np.int64]], StoredBlocks]] = {
    "new": read_chunked,
    "old": read_keyed,
}
_CUT_OVERLAP = 1e-3
"""Largest overlap of a pair that H may lack: what is left out is some 1e-2 eV."""


def read(bundle: Bundle, options: ReadOptions) -> Hamiltonian:
    """The Hamiltonian of a set in either layout.

    Raises:
        FileFormatError: a file is missing, damaged, or does not belong to the others.
        ResourceLimitError: more data than is read.
        SettingsError: an option does not fit.
    """
    files = find(bundle, options.index)
    record = ReadRecord(files.hamiltonian)
    crystal = read_crystal(files)
    record.add(*crystal.files)
    blocks = _LOADERS[files.layout](files.hamiltonian, crystal.basis.sizes)
    _check_spin(blocks, crystal)
    metric = None
    if _OVERLAPS[files.layout] in files.files or not crystal.orthogonal:
        member = files.need(_OVERLAPS[files.layout])
        record.add(member)
        metric = _LOADERS[files.layout](member, crystal.basis.sizes)
    pairs = common_pairs([blocks] if metric is None else [blocks, metric], crystal.basis.sizes)
    overlap, order, doubts = _overlap(metric, pairs, crystal, files.layout)
    uncovered = _uncovered(blocks, pairs, overlap)
    flat = arranged(blocks, pairs, crystal.basis, order)
    del blocks, metric  # as large as what is made of them
    parts = _parts(flat, pairs, crystal.basis, files.predicted)
    del flat
    fermi, remarks = _remarks(files, crystal, parts)
    found = Hamiltonian(
        structure=crystal.structure,
        basis=crystal.basis,
        pairs=pairs,
        overlap=overlap,
        scalar=parts.scalar,
        exchange=parts.exchange,
        spin_orbit=parts.spin_orbit,
        time_odd=parts.time_odd,
        n_electrons=0.0,
        provenance=record.provenance(
            source="deeph",
            title=_title(files, parts),
            structure=crystal.structure,
            settings={"layout": files.layout, "hamiltonian": files.hamiltonian.basename},
            results={} if fermi is None else {"fermi_energy_eV": fermi},
            parts=None if files.predicted else parts,
            warnings=[*doubts, *uncovered, *remarks],
        ),
    )
    return with_electrons(found, options, fermi, crystal.n_electrons)


def _check_spin(blocks: StoredBlocks, crystal: Crystal) -> None:
    if crystal.spinful is not None and crystal.spinful != (blocks.spins == 2):
        raise FileFormatError(
            f"{blocks.name} holds blocks {'with' if blocks.spins == 2 else 'without'} spin, but "
            f"info.json says {'spinful' if crystal.spinful else 'not spinful'}."
        )


def _overlap(
    metric: StoredBlocks | None, pairs: Pairs, crystal: Crystal, layout: Layout
) -> tuple[NDArray[np.float64], HarmonicOrder, list[str]]:
    """S in our order, the order of the files' harmonics, and doubts about it.

    The layout's order is taken unless the overlap denies it and fits another.
    """
    basis, order = crystal.basis, ORDERS[layout]
    if metric is None:
        rows, columns = pairs.element_orbitals
        here = (pairs.cell == 0).all(axis=1)[pairs.element_pair]
        return read_only(((rows == columns) & here).astype(float)), order, []
    if metric.spins != 1:
        raise FileFormatError(f"{metric.name} holds blocks with spin; an overlap has none.")
    stored = _real(metric.name, arranged(metric, pairs, basis, M_ORDER)[0, 0])
    stored = hermitian(pairs, basis, "S", stored)
    candidates = {**CANDIDATES, _ORDER_NAMES[layout]: order}
    check = detected_order(stored, pairs, basis, crystal.structure, candidates)
    doubt = check.doubt(_ORDER_NAMES[layout])
    if doubt is not None and check.fits:
        order = candidates[check.fits[0]]
        doubt += f" The order of {check.fits[0]} is taken."
    ours = stored if order is M_ORDER else reordering(pairs, basis, order)(stored)
    return read_only(ours), order, [] if doubt is None else [doubt]


def _real(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    if np.iscomplexobj(values) and np.abs(values.imag).max() > 1e-6:
        raise FileFormatError(f"{name} holds complex numbers; an overlap of orbitals is real.")
    return np.array(values.real, dtype=float)


def _parts(flat: NDArray[Any], pairs: Pairs, basis: Basis, predicted: bool) -> SpinParts:
    """Components of H in our order, (spins, spins, n_elements)."""
    tolerance = PREDICTED_TOLERANCE if predicted else TOLERANCE
    flat = flat.astype(complex if np.iscomplexobj(flat) else float, copy=False)
    if len(flat) == 1:
        return collinear_parts(pairs, basis, flat[0, 0], tolerance=tolerance)
    (up, mixed), (adjoint, down) = flat
    real, imaginary, defect = mixed_mean(pairs, mixed, adjoint, tolerance)
    return spinor_parts(
        pairs,
        basis,
        (up.real, down.real, real),
        (up.imag, down.imag, imaginary) if np.iscomplexobj(flat) else None,
        tolerance=tolerance,
        defect=defect,
    )


def _uncovered(blocks: StoredBlocks, pairs: Pairs, overlap: NDArray[np.float64]) -> list[str]:
    """A sentence on pairs that overlap but have no block of H.

    Raises:
        FileFormatError: they overlap by more than what a cutoff leaves.
    """
    place = stored_pairs(blocks, pairs)
    missing = (place < 0) & (place[pairs.reverse] < 0)
    weight = np.maximum.reduceat(np.abs(overlap), pairs.offsets[:-1])
    missing &= weight > 0
    if not missing.any():
        return []
    worst = int(np.where(missing, weight, 0).argmax())
    count, largest = np.count_nonzero(missing), weight[worst]
    if largest > _CUT_OVERLAP:
        raise FileFormatError(
            f"{blocks.name} lacks {count} pairs that overlap, by up to {largest:.2g} (sites "
            f"{pairs.first[worst] + 1} and {pairs.second[worst] + 1}, R = "
            f"{tuple(pairs.cell[worst].tolist())}): the files do not belong together."
        )
    return [
        f"{blocks.name} has no block for {count} pairs that overlap (by up to {largest:.1g}); H is "
        "taken to be zero there."
    ]


def _remarks(files: FileSet, crystal: Crystal, parts: SpinParts) -> tuple[float | None, list[str]]:
    """The Fermi energy that belongs to the file, and what its owner should know."""
    name, fermi, told = files.hamiltonian.basename, crystal.fermi_energy, []
    if "hamiltonian_raw.h5" in files.files and name == "hamiltonian.h5" and fermi is not None:
        fermi = None
        told.append(
            "hamiltonian_raw.h5 lies beside hamiltonian.h5: its energies were moved, and the Fermi "
            "energy of info.json is not theirs. It is left out."
        )
    predictions = sorted(n for n in files.files if "_pred" in n and n.startswith("hamiltonian"))
    if predictions and not files.predicted:
        told.append(f"{predictions[0]} lies beside {name}; to open the prediction, give that file.")
    if files.predicted and parts.defect > TOLERANCE:
        told.append(
            f"The prediction breaks hermiticity by up to {parts.defect * 1e3:.3g} meV; its "
            "Hermitian part is used."
        )
    return fermi, told


def _title(files: FileSet, parts: SpinParts) -> str:
    words = [_TITLES[files.layout], "prediction" if files.predicted else ""]
    words.append("magnetic" if parts.exchange is not None else "not magnetic")
    words.append("spin–orbit" if parts.spin_orbit is not None else "")
    return ", ".join(word for word in words if word)
