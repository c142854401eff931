"""Pulay's mixing of densities in reciprocal space, with Kerker's preconditioner.

The residual F = ρ_out − ρ_in is measured in the Coulomb metric ⟨F|F⟩ = Σ_G 4π|F(G)|²/G², in which
the long waves that slosh in long cells weigh most, and is damped by G²/(G² + q₀²) (Kerker, Phys.
Rev. B 23, 3082 (1981)) before the step (Kresse, Furthmüller, Comput. Mater. Sci. 6, 15 (1996)).
"""

from __future__ import annotations

import torch

from hamexplorer.dft.grid import PlaneWaveGrid

__all__ = ["PulayMixer"]


class PulayMixer:
    """Keeps the last densities and residuals and proposes the next density.

    Densities are (n_spin, *mesh) coefficients: spin up and down, or the whole. Charge and
    magnetisation are mixed together, but only the charge is preconditioned.

    Args:
        grid: gives G.
        step: fraction of the (preconditioned) residual that is taken.
        screening: q₀, 1/bohr; 0 switches the preconditioner off.
        history: number of densities kept.
    """

    def __init__(
        self, grid: PlaneWaveGrid, step: float = 0.7, screening: float = 0.3, history: int = 8
    ) -> None:
        squared = grid.squared.clone()
        smallest = float(squared.reshape(-1)[1:].min())
        squared.view(-1)[0] = smallest
        self._metric = 4 * torch.pi / squared
        self._preconditioner = step * squared / (squared + screening**2)
        self._spin_step = step
        self._history = history
        self._densities: list[torch.Tensor] = []
        self._residuals: list[torch.Tensor] = []

    def next(self, density: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """The next input density from the last one and its residual."""
        self._densities.append(_to_charge(density))
        self._residuals.append(_to_charge(residual))
        if len(self._densities) > self._history:
            del self._densities[0], self._residuals[0]
        weights = self._weights()
        best = _combination(weights, self._densities)
        rest = _combination(weights, self._residuals)
        step = rest.clone()
        step[0] *= self._preconditioner
        step[1:] *= self._spin_step
        return _from_charge(best + step)

    def _weights(self) -> list[float]:
        """Weights (sum 1) that minimise the norm of the combined residual."""
        n = len(self._residuals)
        if n == 1:
            return [1.0]
        last = self._residuals[-1]
        differences = [r - last for r in self._residuals[:-1]]
        matrix = torch.tensor(
            [[self._inner(a, b) for b in differences] for a in differences], dtype=torch.float64
        )
        right = torch.tensor([-self._inner(a, last) for a in differences], dtype=torch.float64)
        scale = torch.diagonal(matrix).clamp(min=1e-300).sqrt()
        solution = torch.linalg.lstsq(
            (matrix / scale / scale[:, None]).unsqueeze(0),
            (right / scale).reshape(1, -1, 1),
            rcond=1e-10,
            driver="gelsd",
        ).solution.reshape(-1)
        coefficients = (solution / scale).tolist()
        return [*coefficients, 1.0 - sum(coefficients)]

    def _inner(self, a: torch.Tensor, b: torch.Tensor) -> float:
        return float(((a.conj() * b).real * self._metric).sum())


def _combination(weights: list[float], fields: list[torch.Tensor]) -> torch.Tensor:
    total = torch.zeros_like(fields[0])
    for weight, field in zip(weights, fields, strict=True):
        total += weight * field
    return total


def _to_charge(density: torch.Tensor) -> torch.Tensor:
    if density.shape[0] == 1:
        return density
    return torch.stack([density[0] + density[1], density[0] - density[1]])


def _from_charge(density: torch.Tensor) -> torch.Tensor:
    if density.shape[0] == 1:
        return density
    return torch.stack([density[0] + density[1], density[0] - density[1]]) / 2
