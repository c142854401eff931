"""One crystal with rows of a matrix, stored or predicted, as a Hamiltonian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.electrons import ASSUMED, with_electrons
from hamexplorer.formats.hamgnn.elements import LAYOUTS, VARIABLE_VALENCE, orbital_set, valence
from hamexplorer.formats.hamgnn.graph import Crystal
from hamexplorer.formats.hamgnn.padding import Padding, shell_places
from hamexplorer.formats.hamgnn.rows import Rows, rows_kind
from hamexplorer.formats.openmx.reader import BOHR, HARTREE
from hamexplorer.formats.options import ReadOptions
from hamexplorer.formats.order_check import detected_order
from hamexplorer.formats.orders import OPENMX, reordering
from hamexplorer.formats.spinor import (
    NEGLIGIBLE,
    TOLERANCE,
    SpinParts,
    collinear_parts,
    hermitian,
    spinor_parts,
)
from hamexplorer.hamiltonian import Basis, Hamiltonian, Pairs, Shell
from hamexplorer.provenance import Provenance

__all__ = ["crystal_basis", "crystal_hamiltonian", "crystal_pairs", "unit_of_length"]

_SHIFT_TOLERANCE = 1e-3
_LARGEST = 1e6
"""No element of a Hamiltonian is larger (Ha)."""
_SPINS = ("↑↑", "↓↓", "↑↓", "↓↑")
_Flat = NDArray[np.float64]


def crystal_hamiltonian(
    crystal: Crystal,
    rows: Rows,
    name: str,
    options: ReadOptions,
    provenance: Callable[[Structure, SpinParts, list[str]], Provenance],
) -> Hamiltonian:
    """H, B, Λ and S of ``crystal`` and its ``rows``.

    An edge (src, dst) with R = ``cell_shift`` is the pair (i = src, j = dst, R): its rows are the
    orbitals of src. Of spinors ↑↑, ↓↓ and ↑↓ are read. HamGNN stores, and its network gives, ↓↑ of
    an edge as the complex conjugate of ↑↓ of the same edge, which together are not Hermitian; ↓↑ is
    built as the adjoint of ↑↓ over the reverse edges. Where time reversal holds, ↑↓ is odd under
    the exchange of the sites, the two differ by a sign, and a rotation of all spins by π around z
    takes what HamGNN diagonalises (the lower triangle) to what is read.

    Units are OpenMX's own Hartree and bohr, from whose matrices HamGNN learns.

    Args:
        crystal: the graph.
        rows: the matrix, Ha.
        name: what holds or gave the matrix, for messages.
        options: facts beside the file; of them the electrons are used.
        provenance: makes the record of the structure, the parts and further warnings.

    Raises:
        FileFormatError: numbers that no matrix has, not Hermitian, or an element outside HamGNN's
            tables.
        HamiltonianError: an edge is stored twice or without its reverse.
    """
    unit = unit_of_length(crystal)
    overlap_rows = np.concatenate(crystal.overlap)
    _largest(overlap_rows, crystal.where)
    warnings: list[str] = []
    basis = crystal_basis(crystal, warnings)
    pairs = crystal_pairs(crystal, basis.sizes)
    structure = Structure(
        Lattice(crystal.lattice * unit),
        crystal.symbols,
        crystal.positions * unit,
        coords_are_cartesian=True,
    )
    padding = Padding(crystal.width, pairs, basis)
    overlap = hermitian(pairs, basis, "S", padding.flat(overlap_rows))
    stored = reordering(pairs, basis, OPENMX).inverse()(overlap)
    doubt = detected_order(stored, pairs, basis, structure).doubt("OpenMX")
    parts = _parts(rows, crystal.width, name, pairs, basis, padding)
    if parts.exchange is not None and parts.exchange.ndim == 2:
        warnings.append(
            "The stored ↑↓ holds an exchange field along x or y. HamGNN writes ↓↑ as the complex "
            "conjugate of ↑↓, which fits spin–orbit coupling but not such a field beside it; ↑↓ "
            "is used as stored and ↓↑ as its adjoint."
        )
    if doubt:
        warnings.append(doubt)
    h = Hamiltonian(
        structure=structure,
        basis=basis,
        pairs=pairs,
        overlap=overlap,
        scalar=parts.scalar,
        exchange=parts.exchange,
        spin_orbit=parts.spin_orbit,
        time_odd=parts.time_odd,
        n_electrons=0.0,
        provenance=provenance(structure, parts, warnings),
    )
    return _filled(h, crystal, options)


def crystal_pairs(crystal: Crystal, sizes: NDArray[np.int64]) -> Pairs:
    """Rows as pairs (i, j, R): every atom's own, then the edges; ``sizes`` orbitals per atom.

    Raises:
        HamiltonianError: an edge is stored twice or without its reverse.
    """
    n = len(crystal.symbols)
    sites = np.arange(n)
    return Pairs(
        np.concatenate([sites, crystal.edges[0]]),
        np.concatenate([sites, crystal.edges[1]]),
        np.concatenate([np.zeros((n, 3), dtype=np.int64), crystal.shifts]),
        sizes,
    )


def unit_of_length(crystal: Crystal) -> float:
    """Å per unit of the lattice. HamGNN's shifts R · lattice are in bohr; its lattice and
    positions are, too, but for those that its magnetism tools pack, which are in Å.

    Raises:
        FileFormatError: they are in neither.
    """
    shifts = crystal.shifts @ crystal.lattice
    given = crystal.cartesian_shifts
    size = float(np.sum(shifts**2))
    if not size:
        return BOHR
    for unit, scale in ((BOHR, 1.0), (1.0, 1 / BOHR)):
        if np.abs(given - scale * shifts).max() <= _SHIFT_TOLERANCE * np.abs(given).max():
            return unit
    raise FileFormatError(
        f"{crystal.where}: 'nbr_shift' is not 'cell_shift' times 'cell', neither in bohr nor with "
        "a cell in Å."
    )


def crystal_basis(crystal: Crystal, warnings: list[str]) -> Basis:
    """Shells of every atom: those of its element's set that have an overlap.

    Sentences on shells without are added to ``warnings``.

    Raises:
        FileFormatError: an element outside HamGNN's tables, or an overlap in other shells than its.
    """
    n, width = len(crystal.symbols), crystal.width
    square = crystal.overlap[0].reshape(n, width, width)
    filled = np.diagonal(square, axis1=1, axis2=2) != 0
    known: dict[tuple[str, bytes], tuple[Shell, ...]] = {}
    found = []
    for symbol, places in zip(crystal.symbols, filled, strict=True):
        key = symbol, places.tobytes()
        if key not in known:
            known[key] = _shells(symbol, width, places, crystal.where, warnings)
        found.append(known[key])
    return Basis(crystal.symbols, tuple(found))


def _shells(
    symbol: str, width: int, filled: NDArray[np.bool_], where: str, warnings: list[str]
) -> tuple[Shell, ...]:
    expected = [shell for shell in orbital_set(symbol) if shell in LAYOUTS[width]]
    there = {shell: filled[shell_places(width, shell)] for shell in LAYOUTS[width]}
    wrong = [
        shell.label
        for shell, orbitals in there.items()
        if orbitals.any() and not (shell in expected and orbitals.all())
    ]
    if wrong:
        raise FileFormatError(
            f"{where}: the overlap of {symbol} fills {', '.join(wrong)}, wholly or in part; "
            f"HamGNN's orbitals of it are {', '.join(shell.label for shell in expected)}."
        )
    missing = [shell.label for shell in expected if not there[shell].any()]
    if missing:
        warnings.append(
            f"{symbol} has no overlap in {', '.join(missing)}, which HamGNN's set for it has; "
            "these shells are left out."
        )
    return tuple(shell for shell in expected if shell.label not in missing)


def _parts(
    rows: Rows, width: int, name: str, pairs: Pairs, basis: Basis, padding: Padding
) -> SpinParts:
    def flat(part: NDArray[Any], spins: str = "") -> NDArray[np.float64]:
        taken = padding.flat(part, spins)
        taken *= HARTREE
        return taken

    largest = max(_largest(part, name) for part in (rows.real, rows.imaginary) if part is not None)
    # what remains of two numbers that were rounded and should cancel
    rounding = float(np.finfo(rows.real.dtype).eps) * HARTREE * largest
    negligible, tolerance = max(NEGLIGIBLE, rounding), max(TOLERANCE, 4 * rounding)
    kind = rows_kind(rows.real.shape, width, "")
    if kind != "spinor":
        spins = rows.real[:, None] if kind == "scalar" else rows.real
        return collinear_parts(
            pairs,
            basis,
            *(flat(spins[:, spin]) for spin in range(spins.shape[1])),
            negligible=negligible,
            tolerance=tolerance,
        )
    assert rows.imaginary is not None
    up, down, mixed, lower = (flat(rows.real, spins) for spins in _SPINS)
    i_up, i_down, i_mixed, i_lower = (flat(rows.imaginary, spins) for spins in _SPINS)
    _check_lower(pairs, (lower, i_lower), (mixed, i_mixed), tolerance)
    return spinor_parts(
        pairs,
        basis,
        (up, down, mixed),
        (i_up, i_down, i_mixed),
        negligible=negligible,
        tolerance=tolerance,
    )


def _largest(rows: NDArray[Any], name: str) -> float:
    """The largest |element|, if all are numbers such as a matrix may have."""
    largest = float(max(rows.max(), -rows.min()))
    # written so that NaN fails, too
    if not largest < _LARGEST:
        raise FileFormatError(
            f"{name} holds values that are not finite or beyond {_LARGEST:.0e}: it is damaged."
        )
    return largest


def _check_lower(
    pairs: Pairs, lower: tuple[_Flat, _Flat], upper: tuple[_Flat, _Flat], tolerance: float
) -> None:
    """↓↑ is what HamGNN makes of ↑↓, its complex conjugate block by block, or its adjoint."""
    (real, imaginary), (of, i_of) = lower, upper
    t = pairs.transposition
    for expected, i_expected in ((of, i_of), (of[t], i_of[t])):
        # written so that NaN fails, too
        defect = max(np.abs(real - expected).max(), np.abs(imaginary + i_expected).max())
        if defect <= tolerance:
            return
    raise FileFormatError(
        "The stored ↓↑ blocks are neither the complex conjugates nor the adjoints of the ↑↓ "
        "blocks: the file is damaged, or not HamGNN's."
    )


def _filled(h: Hamiltonian, crystal: Crystal, options: ReadOptions) -> Hamiltonian:
    """``h`` with its electrons: the user's, else the pseudopotentials' standard charges."""
    if options.n_electrons is not None or options.fermi_energy is not None:
        return with_electrons(h, options)
    warnings = list(h.provenance.warnings)
    variable = sorted(VARIABLE_VALENCE & set(crystal.symbols))
    if variable:
        warnings.append(
            f"{ASSUMED}: OpenMX's hard pseudopotentials are taken for {', '.join(variable)}; it "
            "has soft ones with fewer electrons, too."
        )
    if crystal.doping:
        warnings.append(
            f"{ASSUMED}; its doping charge of {crystal.doping:g} is taken as electrons removed."
        )
    provenance = replace(
        h.provenance,
        warnings=tuple(warnings),
        results={
            **h.provenance.results,
            "n_electrons_from": "standard valence charges of OpenMX's PBE19 pseudopotentials",
        },
    )
    n_electrons = sum(map(valence, crystal.symbols)) - crystal.doping
    return replace(h, n_electrons=n_electrons, provenance=provenance)
