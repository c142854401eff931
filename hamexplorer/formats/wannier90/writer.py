"""Hamiltonians as Wannier90's ``_hr.dat`` and ``_tb.dat``, with ``.win`` and ``_centres.xyz``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import ResourceLimitError, SettingsError
from hamexplorer.files import checked_output, written
from hamexplorer.formats.electrons import UNWRITTEN, are_assumed
from hamexplorer.formats.labels import unknown_told
from hamexplorer.formats.lowdin import Orthogonalised, orthogonalised
from hamexplorer.formats.orders import HarmonicOrder, site_order
from hamexplorer.formats.sparse import diagonal
from hamexplorer.formats.spin_elements import spin_elements
from hamexplorer.formats.wannier90.projections import ORDER
from hamexplorer.formats.wannier90.spins import SPIN_ORDER_NOTE
from hamexplorer.formats.wannier90.text import (
    WINNER,
    Blocks,
    centres_text,
    hr_text,
    tb_text,
    win_text,
)
from hamexplorer.formats.writing import WriteOptions, WriteReport
from hamexplorer.hamiltonian import Hamiltonian, Pairs, SpinState

__all__ = ["write_hr", "write_tb"]

_WANNIER90 = HarmonicOrder(ORDER)
_OURS = "hamexplorer"
"""First word of the matrices' comment."""
_NEGLIGIBLE = 1e-7
"""eV (Å for the position): R with nothing larger are not written."""
_MAX_BYTES = 5e8
"""Largest file of matrices that is written."""
_LINE_BYTES = {"hr": 66, "tb": 60 + 158}
"""Of the lines for one element at one R."""
_MAX_LINES = 3e7
"""Of one file: some two gigabytes."""


def write_hr(h: Hamiltonian, target: Path, options: WriteOptions) -> WriteReport:
    """``SEED_hr.dat``, ``SEED.win`` and ``SEED_centres.xyz``.

    An overlap is removed by Löwdin orthogonalisation; λ, n and the exchange's factor of the state
    are written in; spinors stand all up, then all down.

    Raises:
        SettingsError: the target is not named so, or files of others would be overwritten.
        ResourceLimitError: the text would be too large.
        HamexplorerError: it cannot be written.
    """
    return _write(h, target, options, "hr")


def write_tb(h: Hamiltonian, target: Path, options: WriteOptions) -> WriteReport:
    """``SEED_tb.dat``, as :func:`write_hr`, with position elements between the same orbitals.

    They are exact for ``h.position`` (in Löwdin's orbitals with the derivative of S^{-1/2});
    without it they are the diagonal approximation, carried over in the same way.

    Raises:
        SettingsError, ResourceLimitError, HamexplorerError: as :func:`write_hr`.
    """
    return _write(h, target, options, "tb")


def _write(
    h: Hamiltonian, target: Path, options: WriteOptions, kind: Literal["hr", "tb"]
) -> WriteReport:
    ending = f"_{kind}.dat"
    checked_output(target, (".dat",))
    if not target.name.endswith(ending) or target.name == ending:
        raise SettingsError(f"{target}: a file of this format is named SEED{ending}.")
    seed = target.name[: -len(ending)]
    win, centres = target.with_name(f"{seed}.win"), target.with_name(f"{seed}_centres.xyz")
    _check_neighbours(
        target.with_name(f"{seed}_wsvec.dat"),
        {target: _OURS, win: WINNER, centres: WINNER[2:]},
        options,
    )
    if kind == "tb" and h.position is None:
        h_with_position = replace(h, position=np.zeros((3, h.pairs.n_elements)))
        orthogonal = orthogonalised(h_with_position, options.mesh)
    else:
        orthogonal = orthogonalised(h, options.mesh)
    new = orthogonal.hamiltonian
    spinor = options.as_spinor(h)
    _check_size(new, spinor)
    order, with_projections = _functions(new)
    blocks = _reaching(_blocks(new, options.state, spinor, order, kind == "tb"))
    _check_bytes(target, blocks, orthogonal, spinor)
    comment = _comment(orthogonal, options.state, spinor)
    if kind == "hr":
        text: Iterable[str] = hr_text(comment, blocks)
    else:
        text = tb_text(comment, new.structure.lattice.matrix, blocks)
    home = win_text(
        new.structure,
        new.basis,
        n_functions=blocks.hamiltonian.shape[1],
        spinors=spinor,
        n_electrons=None if are_assumed(h) else h.n_electrons,
        fermi_energy=_fermi_energy(h, options),
        with_projections=with_projections,
        comment=comment,
    )
    middles = np.tile(_centres(new)[order], (2 if spinor else 1, 1))
    xyz = centres_text(new.structure, new.basis.symbols, middles, f"{WINNER[2:]}: Wannier centres")
    with ExitStack() as stack:
        # all are written before the first takes its place
        paths = [stack.enter_context(written(path)) for path in (centres, win, target)]
        paths[0].write_text(xyz, encoding="utf-8")
        paths[1].write_text(home, encoding="utf-8")
        with paths[2].open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(text)
    notes = _notes(h, options, spinor, orthogonal, kind, with_projections)
    return WriteReport((target, win, centres), notes)


def _check_neighbours(vectors: Path, marks: Mapping[Path, str], options: WriteOptions) -> None:
    """``marks``: what stands at the beginning of each file if it is ours."""
    if vectors.exists():
        raise SettingsError(
            f"{vectors} of another calculation stands there, and readers would apply it to the new "
            "file; choose another name or folder."
        )
    if options.force:
        return
    for path, mark in marks.items():
        if not path.exists():
            continue
        with path.open("rb") as stream:
            if mark.encode() not in stream.read(200):
                raise SettingsError(
                    f"{path} exists and is not of hamexplorer; it would be overwritten: choose "
                    "another name or folder, or give --force to replace it."
                )


def _check_size(h: Hamiltonian, spinor: bool) -> None:
    n = h.basis.n_orbitals * (2 if spinor else 1)
    cells = len(np.unique(h.pairs.cell, axis=0))
    if cells * float(n) ** 2 > _MAX_LINES:
        raise ResourceLimitError(
            f"{n} functions at {cells} vectors R make {cells * float(n) ** 2:.2g} lines of text; "
            f"up to {_MAX_LINES:.0e} are written."
        )


def _reaching(blocks: Blocks) -> Blocks:
    """Without the R at which nothing is larger than :data:`_NEGLIGIBLE`."""
    largest = np.abs(blocks.hamiltonian).max(axis=(1, 2))
    if blocks.position is not None:
        largest = np.maximum(largest, np.abs(blocks.position).max(axis=(0, 2, 3)))
    # R and −R hold the same but for rounding, and stay together
    _, order = np.unique(blocks.cells, axis=0, return_index=True)
    _, mirrored = np.unique(-blocks.cells, axis=0, return_index=True)
    paired = largest.copy()
    paired[order] = np.maximum(largest[order], largest[mirrored])
    kept = (paired > _NEGLIGIBLE) | ~blocks.cells.any(axis=1)
    position = None if blocks.position is None else blocks.position[:, kept]
    return Blocks(blocks.cells[kept], blocks.hamiltonian[kept], position)


def _check_bytes(target: Path, blocks: Blocks, orthogonal: Orthogonalised, spinor: bool) -> None:
    n_r, n, _ = blocks.hamiltonian.shape
    size = n_r * n * n * _LINE_BYTES["hr" if blocks.position is None else "tb"]
    if size <= _MAX_BYTES:
        return
    mesh, helps = "", []
    if orthogonal.mesh is not None:
        shown = " ".join(map(str, orthogonal.mesh))
        mesh = f" (Löwdin orthogonalisation on a mesh of {shown} k-points)"
        helps.append(
            f"a coarser mesh than --lowdin-mesh '{shown}' (bands between its points are then less "
            "exact)"
        )
    if blocks.position is not None:
        helps.append("wannier90-hr, a third of the size")
    if spinor:
        helps.append("--no-spinor, a quarter of it")
    helps.append("--to deeph, which keeps the overlap and is small")
    raise ResourceLimitError(
        f"{target.name} would have {size / 1e6:.0f} MB: {n} functions at {n_r} vectors R{mesh}; up "
        f"to {_MAX_BYTES / 1e6:.0f} MB are written. What helps: {'; or '.join(helps)}."
    )


def _functions(h: Hamiltonian) -> tuple[NDArray[np.int64], bool]:
    """Our orbital at each place of the file, and whether Wannier90 has names for all shells."""
    if any(shell.l not in ORDER for shells in h.basis.shells for shell in shells):
        return np.arange(h.basis.n_orbitals), False
    order = np.empty(h.basis.n_orbitals, dtype=np.int64)
    for site, shells in enumerate(h.basis.shells):
        places, _ = site_order([shell.l for shell in shells], _WANNIER90)
        start = int(h.basis.offsets[site])
        order[start + places] = start + np.arange(len(places))
    return order, True


def _blocks(
    h: Hamiltonian,
    state: SpinState,
    spinor: bool,
    order: NDArray[np.int64],
    with_position: bool,
) -> Blocks:
    cells, cell = np.unique(h.pairs.cell, axis=0, return_inverse=True)
    n, n_r = h.basis.n_orbitals, len(cells)
    dense = _Dense(h.pairs, cell.ravel(), order)
    if spinor:
        parts = spin_elements(h, state)
        hamiltonian = np.zeros((n_r, 2 * n, 2 * n), dtype=np.complex128)
        dense.put(hamiltonian[:, :n, :n], parts.upup)
        dense.put(hamiltonian[:, :n, n:], parts.updown)
        dense.put(hamiltonian[:, n:, :n], parts.downup)
        dense.put(hamiltonian[:, n:, n:], parts.downdown)
    else:
        hamiltonian = np.zeros((n_r, n, n), dtype=np.complex128)
        odd = 0.0 if h.time_odd is None else 1j * h.time_odd
        dense.put(hamiltonian, h.scalar + odd)
    if not with_position:
        return Blocks(cells, hamiltonian, None)
    position = np.zeros((3, *hamiltonian.shape), dtype=np.complex128)
    sites = h.structure.cart_coords[h.basis.orbital_site]
    rows, _ = h.pairs.element_orbitals
    for a in range(3):
        # S = 1: the midpoint of the two sites stands on the diagonal alone
        flat = h.overlap * sites[rows, a]
        if h.position is not None:
            flat = flat + h.position[a]
        for spin in range(2 if spinor else 1):
            part = slice(spin * n, (spin + 1) * n)
            dense.put(position[a][:, part, part], flat)
    return Blocks(cells, hamiltonian, position)


class _Dense:
    """Puts flat blocks into matrices by R, in the file's order of functions."""

    def __init__(self, pairs: Pairs, cell: NDArray[np.int64], order: NDArray[np.int64]) -> None:
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        rows, columns = pairs.element_orbitals
        self._index = (cell[pairs.element_pair], place[rows], place[columns])

    def put(self, target: NDArray[np.complex128], flat: NDArray[np.generic]) -> None:
        """``flat`` (n_elements,) into ``target`` (n_r, n, n)."""
        target[self._index] = flat


def _centres(h: Hamiltonian) -> NDArray[np.float64]:
    """⟨i0|r|i0⟩ of orthonormal orbitals, Å, (n_orbitals, 3)."""
    centres = h.structure.cart_coords[h.basis.orbital_site]
    if h.position is None:
        return centres
    rows, _ = h.pairs.element_orbitals
    places = np.flatnonzero(diagonal(h.pairs))
    own = np.empty_like(centres)
    own[rows[places]] = h.position[:, places].T
    return centres + own


def _fermi_energy(h: Hamiltonian, options: WriteOptions) -> float | None:
    """Of the calculation, eV; None if it told none, or the dial has moved the levels."""
    fermi: Any = h.provenance.results.get("fermi_energy_eV")
    known = isinstance(fermi, int | float) and options.state == SpinState()
    return float(fermi) if known else None


def _comment(orthogonal: Orthogonalised, state: SpinState, spinor: bool) -> str:
    """The first line of the matrices' file."""
    words = [_OURS]
    if orthogonal.mesh is not None:
        mesh = "x".join(map(str, orthogonal.mesh))
        words.append(f"Loewdin orthogonalisation on a {mesh} k mesh")
    if spinor:
        words.append(f"{SPIN_ORDER_NOTE}block, all up then all down")
        words.append(
            f"soc x {state.soc:g}, theta {state.theta:g}, phi {state.phi:g}, "
            f"exchange x {state.exchange:g}"
        )
    else:
        words.append("spinless")
    return "; ".join(words)


def _notes(
    h: Hamiltonian,
    options: WriteOptions,
    spinor: bool,
    orthogonal: Orthogonalised,
    kind: str,
    with_projections: bool,
) -> tuple[str, ...]:
    notes = [orthogonal.note] if orthogonal.note else []
    state = options.state
    if spinor:
        notes.append(
            f"The format knows no dial: λ = {state.soc:g}, θ = {state.theta:g}°, φ = "
            f"{state.phi:g}° and exchange × {state.exchange:g} are written in. Spinors stand all "
            "up, then all down (block)."
        )
    elif left := [
        name
        for name, there in (("exchange", h.is_magnetic), ("spin–orbit", h.has_spin_orbit))
        if there
    ]:
        notes.append(f"Without spin: {' and '.join(left)} left out.")
    if kind == "hr" and h.has_position:
        notes.append("Position elements are not in _hr.dat (wannier90-tb keeps them).")
    if kind == "tb" and not h.has_position:
        notes.append(
            "There are no position elements: those written are the diagonal approximation"
            + (", carried over to Löwdin's orbitals." if orthogonal.mesh is not None else ".")
        )
    if h.uncertainty is not None:
        notes.append("The uncertainty is left out.")
    if not with_projections:
        notes.append("Shells beyond f have no name in Wannier90: the .win lists no projections.")
    if unknown := unknown_told(h.basis):
        notes.append(unknown)
    if are_assumed(h):
        notes.append(UNWRITTEN)
    return tuple(notes)
