"""Wannier90's files for tests: written from plain arrays, and the real ones with their bands."""

from __future__ import annotations

import lzma
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamexplorer.hamiltonian import BlochSum, Hamiltonian, SpinState

DATA = Path(__file__).parents[1] / "data" / "wannier90"
Cell = tuple[int, int, int]
Matrices = Mapping[Cell, ArrayLike]


def bands(h: Hamiltonian, k: NDArray[np.float64], state: SpinState | None = None) -> NDArray:
    """Energies of both spins, (nk, 2n), of a Hamiltonian with S = 1."""
    return np.linalg.eigvalsh(BlochSum(h, "cpu")(k).spinor(state).numpy())


def text_of(path: Path) -> str:
    """A real file's text, packed or not."""
    if path.exists():
        return path.read_text()
    return lzma.open(path.with_name(path.name + ".xz"), "rt").read()


def real_path(folder: str, name: str) -> Path:
    path = DATA / folder / name
    return path if path.exists() else path.with_name(name + ".xz")


def their_bands(folder: str, seed: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """k-points (nk, 3) and energies (nk, n) that Wannier90 interpolated.

    The k-points are made anew between the labelled ones: ``_band.kpt`` has six decimals.
    """
    path = DATA / folder / f"{seed}_band.kpt"
    labels = [
        line.split()
        for line in text_of(path.with_name(f"{seed}_band.labelinfo.dat")).split("\n")
        if line
    ]
    lines = text_of(path).split("\n")
    k = np.array([line.split()[:3] for line in lines[1:] if line], dtype=float)
    rows = [line.split() for line in text_of(path.with_name(f"{seed}_band.dat")).split("\n")]
    energies = np.array([row[1] for row in rows if row], dtype=float).reshape(-1, len(k)).T
    corners = np.array([label[2:6] for label in labels], dtype=float)[:, 1:]
    places = [int(label[1]) - 1 for label in labels]
    for first, last, start, end in zip(places, places[1:], corners, corners[1:], strict=False):
        if last - first > 1:
            part = np.arange(last - first + 1)[:, None] / (last - first)
            k[first : last + 1] = start + (end - start) * part
    return k, energies


def hr(
    matrices: Matrices, degeneracies: Sequence[int] | None = None, comment: str = "a model"
) -> str:
    cells = list(matrices)
    n = np.atleast_2d(matrices[cells[0]]).shape[0]
    lines = [comment, str(n), str(len(cells)), *_degeneracies(cells, degeneracies)]
    for cell in cells:
        block = np.atleast_2d(np.asarray(matrices[cell], dtype=complex))
        head = "%5d%5d%5d" % cell  # noqa: UP031
        lines += [
            f"{head}{m + 1:5d}{k + 1:5d}{block[m, k].real:22.14f}{block[m, k].imag:22.14f}"
            for k in range(n)
            for m in range(n)
        ]
    return "\n".join(lines) + "\n"


def tb(
    lattice: ArrayLike,
    matrices: Matrices,
    positions: Matrices,
    degeneracies: Sequence[int] | None = None,
    comment: str = "a model",
) -> str:
    """``positions``: (3, n, n) by R."""
    cells = list(matrices)
    n = np.atleast_2d(matrices[cells[0]]).shape[0]
    lines = [comment, *(" ".join(f"{x:.16f}" for x in row) for row in np.asarray(lattice))]
    lines += [str(n), str(len(cells)), *_degeneracies(cells, degeneracies)]
    for source in (matrices, positions):
        for cell in cells:
            blocks = np.asarray(source[cell], dtype=complex).reshape(-1, n, n)
            lines += ["", " ".join(map(str, cell))]
            lines += [
                f"{m + 1:5d}{k + 1:5d} "
                + " ".join(f"{b[m, k].real:.16E} {b[m, k].imag:.16E}" for b in blocks)
                for k in range(n)
                for m in range(n)
            ]
    return "\n".join(lines) + "\n"


def wsvec(shifts: Mapping[tuple[int, ...], Sequence[Cell]], cells: Sequence[Cell], n: int) -> str:
    """Images T by (R1, R2, R3, m, n), counted from 1; T = 0 where none are given."""
    lines = ["## with use_ws_distance=.true."]
    for cell in cells:
        for m in range(1, n + 1):
            for k in range(1, n + 1):
                images = shifts.get((*cell, m, k), [(0, 0, 0)])
                lines.append(" ".join(map(str, (*cell, m, k))))
                lines.append(str(len(images)))
                lines += [" ".join(map(str, image)) for image in images]
    return "\n".join(lines) + "\n"


def win(
    lattice: ArrayLike,
    atoms: Sequence[tuple[str, Sequence[float]]] = (),
    projections: Sequence[str] = (),
    more: Sequence[str] = (),
) -> str:
    lines = [*more, "begin unit_cell_cart", "ang"]
    lines += [" ".join(f"{x:.12f}" for x in row) for row in np.asarray(lattice)]
    lines += ["end unit_cell_cart"]
    if atoms:
        lines += ["Begin Atoms_Frac"]
        lines += [f"{label} " + " ".join(map(str, place)) for label, place in atoms]
        lines += ["End Atoms_Frac"]
    if projections:
        lines += ["begin projections", *projections, "end projections"]
    return "\n".join(lines) + "\n"


def _degeneracies(cells: Sequence[Cell], given: Sequence[int] | None) -> list[str]:
    numbers = [f"{d:5d}" for d in (given or [1] * len(cells))]
    return ["".join(numbers[start : start + 15]) for start in range(0, len(numbers), 15)]
