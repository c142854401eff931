"""Which Wannier functions of a spinor model are up and which down: the files do not tell.

Wannier90 lists trial orbitals up and down in turn, older interfaces (VASP's to Wannier90 1.2) all
up and then all down. The matrices mostly show it: spin–orbit coupling is weak against hopping, so
that in the right order the part between up and down is small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError, SettingsError
from hamexplorer.formats.options import ReadOptions, SpinOrder
from hamexplorer.formats.wannier90.companions import Model
from hamexplorer.formats.wannier90.matrices import RealSpace

__all__ = ["SPIN_ORDER_NOTE", "SpinLayout", "flip_part", "spin_layout"]

SPIN_ORDER_NOTE = "spin order: "
"""Followed by the order's name in the comment of files that we wrote."""
_CLEAR = 8.0
"""By this factor the parts of two orders must differ for the matrices to tell."""


@dataclass(frozen=True, eq=False)
class SpinLayout:
    """Functions of every spin.

    Attributes:
        up, down: indices of functions, (n_orbitals,) each, partners at the same place; ``down`` is
            None without spinors.
        order: ``block``, ``interleaved``, or None without spinors.
        told_by: what decided it.
        warnings: what the user should know.
    """

    up: NDArray[np.int64]
    down: NDArray[np.int64] | None
    order: SpinOrder | None
    told_by: str
    warnings: tuple[str, ...] = ()


def spin_layout(model: Model, options: ReadOptions) -> SpinLayout:
    """The functions' spins: by the user's option, the file's own comment, or the matrices; else
    Wannier90's order of projections, with a warning.

    Raises:
        SettingsError: a spin order is given for a file whose input says that it has no spinors.
        FileFormatError: spinors, but an odd number of functions.
    """
    n = model.raw.n_functions
    noted = next(
        (o for o in ("block", "interleaved") if SPIN_ORDER_NOTE + o in model.raw.comment), None
    )
    given = options.spin_order
    declared = model.win.spinors if model.win is not None else None
    if declared is False and given is not None:
        raise SettingsError(
            f"{model.seed}.win says spinors = false; --spin-order is for spinors only."
        )
    if not (declared or noted or given):
        # spinors = false is Wannier90's default
        unknown = (_unknown(model),) if model.win is None else ()
        return SpinLayout(np.arange(n), None, None, "", unknown)
    if n % 2:
        raise FileFormatError(f"{model.raw.name} holds {n} spinor functions; the number is even.")
    if given is not None:
        return _layout(n, given, "the given spin order")
    if noted is not None:
        return _layout(n, "block" if noted == "block" else "interleaved", "the file's comment")
    return _from_matrices(model)


def _unknown(model: Model) -> str:
    return (
        f"Nothing tells whether {model.raw.name} holds spinors ({model.seed}.win with the keyword "
        "spinors would): every function is taken to hold two electrons. Give --spin-order if the "
        "functions are spinors."
    )


def _from_matrices(model: Model) -> SpinLayout:
    parts = {order: flip_part(model.raw, order) for order in ("block", "interleaved")}
    low, high = sorted(parts, key=lambda order: parts[order])
    shown = ", ".join(f"{100 * part:.2g} % {order}" for order, part in parts.items())
    projected = _projection_order(model)
    if parts[low] * _CLEAR < parts[high]:
        best: SpinOrder = "block" if low == "block" else "interleaved"
        layout = _layout(
            model.raw.n_functions, best, f"the matrices: hopping that turns the spin: {shown}"
        )
        if projected is not None and projected != best:
            return _warned(
                layout,
                f"Spins are read in {best} order, which the matrices show ({shown} of the hopping "
                f"turns the spin), although the projections are listed as {projected}. Give "
                "--spin-order if that is wrong.",
            )
        return layout
    order = projected or "interleaved"
    return _warned(
        _layout(model.raw.n_functions, order, "Wannier90's order of projections, assumed"),
        f"The file does not tell the order of its spinors: {order} is taken, as Wannier90 lists "
        f"projections (hopping that turns the spin: {shown}). Energies at full spin–orbit strength "
        "do not depend on it; spins, λ and n do. Give --spin-order block or interleaved.",
    )


def _projection_order(model: Model) -> SpinOrder | None:
    spins = model.spins
    if spins is None and model.win is not None and model.win.projections is not None:
        listed = np.array([projection.spin for projection in model.win.projections])
        spins = listed if len(listed) == model.raw.n_functions else None
    if spins is None:
        return None
    half = len(spins) // 2
    if (spins[::2] == 1).all() and (spins[1::2] == -1).all():
        return "interleaved"
    if (spins[:half] == 1).all() and (spins[half:] == -1).all():
        return "block"
    return None


def _layout(n: int, order: SpinOrder, told_by: str) -> SpinLayout:
    every = np.arange(n)
    if order == "block":
        return SpinLayout(every[: n // 2], every[n // 2 :], order, told_by)
    return SpinLayout(every[::2], every[1::2], order, told_by)


def _warned(layout: SpinLayout, warning: str) -> SpinLayout:
    return SpinLayout(layout.up, layout.down, layout.order, layout.told_by, (warning,))


def flip_part(raw: RealSpace, order: SpinOrder) -> float:
    """Part of the hopping that turns the spin, Σ|H_↑↓|²/Σ|H|² in one order of spins, 0 … 1.

    Levels and fields on one orbital are left out: a magnetisation across z turns the spin there.
    """
    weights = np.abs(raw.hamiltonian / raw.degeneracies[:, None, None]) ** 2
    home = int(np.flatnonzero(~raw.cells.any(axis=1))[0])
    layout = _layout(raw.n_functions, order, "")
    assert layout.down is not None
    orbital = np.empty(raw.n_functions, dtype=np.int64)
    spin = np.zeros(raw.n_functions, dtype=bool)
    orbital[layout.up] = orbital[layout.down] = np.arange(len(layout.up))
    spin[layout.down] = True
    weights[home][orbital[:, None] == orbital] = 0
    summed = weights.sum(axis=0)
    total = float(summed.sum())
    return float(summed[spin[:, None] != spin].sum()) / total if total > 0 else 0.0
