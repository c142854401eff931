"""Radial tables evaluated by index: cubic splines on uniform radii, in torch; atomic units."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, make_interp_spline

from hamexplorer.errors import SettingsError

__all__ = ["RadialTable", "slope_over_radius"]


class RadialTable:
    """Functions f_k(r) that are even in r and 0 from the last radius on.

    Cubic splines with zero slope at both ends; their error is f⁗ step⁴/384.
    """

    def __init__(self, values: NDArray[np.float64], step: float, device: torch.device) -> None:
        """``values`` (n_functions, n_radii) at r = 0, step, 2 step … (bohr).

        Raises:
            SettingsError: fewer than four radii, a step that is not positive, values that are
                not finite.
        """
        values = np.atleast_2d(np.asarray(values, dtype=float))
        if values.ndim != 2 or values.shape[1] < 4 or not step > 0:
            raise SettingsError(
                "A radial table needs (functions, radii) with at least four radii a positive step "
                f"apart, not the shape {values.shape} and the step {step!r}."
            )
        if not np.isfinite(values).all():
            raise SettingsError("A radial table holds values that are not finite.")
        radii = step * np.arange(values.shape[1])
        spline = CubicSpline(radii, values.T, bc_type="clamped")
        # powers of the fraction of the step; one interval more, of zeros, for what lies beyond
        powers = spline.c[::-1] * step ** np.arange(4)[:, None, None]
        table = np.concatenate([powers, np.zeros((4, 1, len(values)))], axis=1)
        self._coefficients = torch.as_tensor(table.transpose(2, 0, 1).copy(), device=device)
        self._step = step
        self.reach = float(radii[-1])

    @property
    def n_functions(self) -> int:
        """Functions in the table."""
        return len(self._coefficients)

    def __call__(self, distance: torch.Tensor) -> torch.Tensor:
        """f_k at distances of any shape, (n_functions, *shape)."""
        flat = distance.reshape(-1) / self._step
        index = flat.clamp(max=self._coefficients.shape[2] - 1).to(torch.int64)
        fraction = flat - index
        result = torch.empty(self.n_functions, flat.numel(), dtype=flat.dtype, device=flat.device)
        for function, (c0, c1, c2, c3) in zip(result, self._coefficients, strict=True):
            # gathers from one short row each: several times as fast as from a wide table
            torch.mul(c3.index_select(0, index), fraction, out=function)
            for lower in (c2, c1):
                function.add_(lower.index_select(0, index)).mul_(fraction)
            function.add_(c0.index_select(0, index))
        # far away the fraction is no fraction, but every coefficient is zero
        return result.reshape(self.n_functions, *distance.shape)


def slope_over_radius(values: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """The g = f′/r of an even function f(r) at r = 0, step …, so that ∇f = g **r**.

    From a quintic spline of f continued evenly through 0, where g = f″.
    """
    n = len(values)
    mirrored = np.concatenate([values[:0:-1], values])
    spline = make_interp_spline(step * np.arange(1 - n, n), mirrored, k=5)
    radii = step * np.arange(1, n)
    slope = np.concatenate([[spline.derivative(2)(0.0)], spline.derivative(1)(radii) / radii])
    return np.asarray(slope, dtype=np.float64)
