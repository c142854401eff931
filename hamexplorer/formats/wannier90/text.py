"""The text of ``_hr.dat``, ``_tb.dat``, ``.win`` and ``_centres.xyz`` files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.formats.wannier90.win import ELECTRONS_NOTE
from hamexplorer.hamiltonian import Basis

__all__ = ["WINNER", "Blocks", "centres_text", "hr_text", "tb_text", "win_text"]

WINNER = "! Written by hamexplorer"
"""First words of a ``.win`` file of ours."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Matrices by R in the file's order of functions.

    Attributes:
        cells: R, (n_r, 3).
        hamiltonian: (n_r, n, n), eV.
        position: ⟨0m|r_a|Rn⟩, (3, n_r, n, n), Å, or None.
    """

    cells: NDArray[np.int64]
    hamiltonian: NDArray[np.complex128]
    position: NDArray[np.complex128] | None


def hr_text(comment: str, blocks: Blocks) -> Iterator[str]:
    """``_hr.dat``; 13 decimals where Wannier90 has 6."""
    yield from _head(comment, blocks)
    template = _template(blocks.hamiltonian.shape[1], "{R}", "%20.13f%20.13f")
    for cell, block in zip(blocks.cells.tolist(), blocks.hamiltonian, strict=True):
        lines = template.replace("{R}", _row(cell, "5d"))
        yield lines % tuple(_numbers([block]))


def tb_text(comment: str, lattice: NDArray[np.float64], blocks: Blocks) -> Iterator[str]:
    """``_tb.dat``."""
    vectors = "".join(_row(vector, "24.16f") + "\n" for vector in lattice.tolist())
    first, *rest = _head(comment, blocks)
    yield first + vectors
    yield from rest
    assert blocks.position is not None
    n = blocks.hamiltonian.shape[1]
    one, three = (_template(n, "", " %24.16E%24.16E" * count) for count in (1, 3))
    cells = ["\n" + _row(cell, "5d") + "\n" for cell in blocks.cells.tolist()]
    for cell, block in zip(cells, blocks.hamiltonian, strict=True):
        yield cell + one % tuple(_numbers([block]))
    for index, cell in enumerate(cells):
        yield cell + three % tuple(_numbers(blocks.position[:, index]))


def _head(comment: str, blocks: Blocks) -> Iterator[str]:
    yield comment + "\n"
    n_r = len(blocks.cells)
    yield f"{blocks.hamiltonian.shape[1]:12d}\n{n_r:12d}\n"
    ones = ["    1"] * n_r
    yield "".join("".join(ones[start : start + 15]) + "\n" for start in range(0, n_r, 15))


def _template(n: int, before: str, numbers: str) -> str:
    """Lines of a block, m running fastest."""
    index = range(1, n + 1)
    return "".join(f"{before} {m:4d} {k:4d}{numbers}\n" for k in index for m in index)


def _row(values: Sequence[float], form: str) -> str:
    """The numbers side by side, such as "5d" or "20.12f" wide."""
    return "".join(f"{value:{form}}" for value in values)


def _numbers(matrices: Iterable[NDArray[np.complex128]]) -> list[float]:
    """Re, Im of every matrix's [m, n] by turns, m running fastest."""
    columns = np.stack([matrix.T.ravel() for matrix in matrices], axis=1)
    values: list[float] = (columns.view(np.float64) + 0.0).ravel().tolist()
    return values


def win_text(
    structure: Structure,
    basis: Basis,
    *,
    n_functions: int,
    spinors: bool,
    n_electrons: float | None,
    fermi_energy: float | None,
    with_projections: bool,
    comment: str,
) -> str:
    """``seed.win``: what a reader needs beside the matrices.

    One line of projections for each shell, its label as a remark. It is no input for a new run
    of Wannier90: that would need the k-points of a calculation.
    """
    lines = [
        f"{WINNER}: {comment}",
        "! electrons: not known" if n_electrons is None else f"! {ELECTRONS_NOTE} {n_electrons!r}",
        f"num_wann = {n_functions}",
    ]
    if spinors:
        lines.append("spinors = true")
    if fermi_energy is not None:
        lines.append(f"fermi_energy = {fermi_energy!r}")
    lines += ["", "begin unit_cell_cart", "ang"]
    lines += [_row(vector, "22.16f") for vector in structure.lattice.matrix.tolist()]
    lines += ["end unit_cell_cart", "", "begin atoms_frac"]
    fractional = structure.frac_coords.tolist()
    lines += [
        f"{symbol:3s}" + _row(row, "20.14f")
        for symbol, row in zip(basis.symbols, fractional, strict=True)
    ]
    lines += ["end atoms_frac", ""]
    if with_projections:
        lines.append("begin projections")
        for label, shells, row in zip(basis.site_labels, basis.shells, fractional, strict=True):
            centre = "f=" + ",".join(f"{x:.14f}" for x in row)
            lines += [f"{centre}:l={s.l} ! {label}, shell {s.label}" for s in shells]
        lines += ["end projections", ""]
    return "\n".join(lines)


def centres_text(
    structure: Structure, symbols: Sequence[str], centres: NDArray[np.float64], comment: str
) -> str:
    """``seed_centres.xyz``: centres of the functions in the file's order, then the atoms; Å."""
    rows = [("X", row) for row in centres.tolist()]
    rows += list(zip(symbols, structure.cart_coords.tolist(), strict=True))
    body = "".join(f"{name:3s}{_row(row, '20.12f')}\n" for name, row in rows)
    return f"{len(rows):6d}\n {comment}\n{body}"
