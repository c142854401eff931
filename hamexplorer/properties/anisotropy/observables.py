"""Thermal expectation values that belong to derivatives of the free energy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hamexplorer.hamiltonian import BlochMatrices, BlochSum, Hamiltonian, SpinState
from hamexplorer.properties.anisotropy.exact import kpoint_blocks
from hamexplorer.properties.anisotropy.free_energy import chemical_potential
from hamexplorer.properties.parallel import single_threaded_blas
from hamexplorer.properties.solver import BandSolver, BandStates

__all__ = ["Measure", "exchange_by_band", "spin_orbit_by_site", "thermal_by_k"]

Measure = Callable[[BandStates, BlochMatrices], NDArray[np.float64]]


def thermal_by_k(
    h: Hamiltonian,
    kpoints: NDArray[np.float64],
    weights: NDArray[np.float64],
    state: SpinState,
    smearing: float,
    measure: Measure,
    report: Callable[[float], None],
) -> NDArray[np.float64]:
    """Σ_b f_kb ⟨kb|O|kb⟩ of an operator O, (nk, ...), f the occupations at fixed electrons.

    ``measure`` gives ⟨kb|O|kb⟩ (nk, nb, ...) from states and Bloch matrices; ``report`` is told
    the part that is done.
    """
    energies, values = [], []
    bloch = BlochSum(h, "cpu")
    done = 0
    with single_threaded_blas():
        for block in kpoint_blocks(kpoints, 2 * h.basis.n_orbitals):
            report(done / len(kpoints))
            states = BandSolver(h, block, "cpu").states(state)
            energies.append(states.energies)
            values.append(measure(states, bloch(block)))
            done += len(block)
    levels = np.concatenate(energies)
    fermi = chemical_potential(levels, weights, h.n_electrons, smearing)
    occupation = expit((fermi - levels) / smearing)
    result: NDArray[np.float64] = np.einsum("kb,kb...->k...", occupation, np.concatenate(values))
    return result


def exchange_by_band(states: BandStates, matrices: BlochMatrices) -> NDArray[np.float64]:
    """⟨σ_a ⊗ B_b⟩ of every state, eV, (nk, nb, 3, c)."""
    assert matrices.exchange is not None
    n = matrices.n_orbitals
    up, down = states.coefficients[:, :n], states.coefficients[:, n:]
    parts = []
    for b in range(matrices.exchange.shape[1]):
        field = matrices.exchange[:, b].numpy()
        on_up, on_down = field @ up, field @ down
        mixed = 2 * np.einsum("kib,kib->kb", up.conj(), on_down)
        z = np.einsum("kib,kib->kb", up.conj(), on_up) - np.einsum(
            "kib,kib->kb", down.conj(), on_down
        )
        parts.append(np.stack([mixed.real, mixed.imag, z.real], axis=-1))
    return np.stack(parts, axis=-1)


def spin_orbit_by_site(h: Hamiltonian) -> Measure:
    """A measure of ⟨Σ_a σ_a ⊗ iΛ_a⟩ by site, eV, (nk, nb, n_sites).

    The element between orbitals of two sites is given half to each.
    """
    starts = h.basis.offsets[:-1]

    def measure(states: BandStates, matrices: BlochMatrices) -> NDArray[np.float64]:
        assert matrices.spin_orbit is not None
        n = matrices.n_orbitals
        x, y, z = np.moveaxis(matrices.spin_orbit.numpy(), 1, 0)
        up, down = states.coefficients[:, :n], states.coefficients[:, n:]
        on_up = z @ up + (x - 1j * y) @ down
        on_down = (x + 1j * y) @ up - z @ down
        gross = (up.conj() * on_up + down.conj() * on_down).real
        return np.add.reduceat(gross, starts, axis=1).swapaxes(1, 2)

    return measure
