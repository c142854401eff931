"""Spin textures and moments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models import L_P, P, build, chain, p_atom, random_crystal, square
from models import S as S_SHELL
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import SpinState
from hamexplorer.properties.moments import site_moments
from hamexplorer.properties.spin import spin_texture


def test_rashba_spins_run_around() -> None:
    # H = 2α (sin k_y σ_x − sin k_x σ_y): the lower band's spin lies against that vector
    k = np.random.default_rng(0).random((20, 3)) * [1, 1, 0]
    texture = spin_texture(square(rashba=0.1), k)
    field = np.stack(
        [np.sin(2 * np.pi * k[:, 1]), -np.sin(2 * np.pi * k[:, 0]), np.zeros(20)], axis=1
    )
    field /= np.linalg.norm(field, axis=1)[:, None]
    np.testing.assert_allclose(texture.spin[:, 1], field, atol=1e-8)
    np.testing.assert_allclose(texture.spin[:, 0], -field, atol=1e-8)
    np.testing.assert_allclose(texture.along([0, 0, 3]), 0, atol=1e-8)
    assert len(texture.to_dataframe()) == 40


def test_textures_are_odd_with_time_reversal() -> None:
    h = random_crystal(2, [S_SHELL, P], seed=4)
    k = np.random.default_rng(1).random((4, 3))
    here, there = spin_texture(h, k), spin_texture(h, -k)
    np.testing.assert_allclose(there.spin, -here.spin, atol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(here.spin, axis=-1).max(), 1, atol=0.6)


def test_a_window_does_not_change_the_spin_of_degenerate_bands() -> None:
    h = chain()
    assert spin_texture(h, [[0.1, 0, 0]], window=(1, 1)).spin == pytest.approx(0, abs=1e-12)
    with pytest.raises(SettingsError, match="band window"):
        spin_texture(h, [[0.1, 0, 0]], window=(0, 2))


def test_moments_of_a_polarised_chain_follow_the_dial() -> None:
    # spin down along n is lowered by 10 eV: one electron of moment −1 along n
    h = chain(field=5.0, t=-0.2)
    state = SpinState(theta=40, phi=70)
    moments = site_moments(h, state, mesh=(8, 1, 1))
    np.testing.assert_allclose(moments.spin[0], -state.direction, atol=1e-8)
    np.testing.assert_allclose(moments.orbital, 0, atol=1e-12)


def test_orbital_moment_of_a_p_shell() -> None:
    # one electron in the lowest level of ξ L·S + b σ_z, |j = 1/2 or mixed⟩: from its 2 × 2 block
    xi, b = 0.6, -0.05
    h = replace(p_atom(xi, b), n_electrons=1.0)
    found = site_moments(h, mesh=(1, 1, 1), smearing=1e-3)
    blocks = []
    for m in (0.5, -0.5, 1.5, -1.5):  # j_z; states |m−1/2, ↑⟩ and |m+1/2, ↓⟩ where they exist
        lower, upper = m - 0.5, m + 0.5
        states = [(lower, 1)] * (abs(lower) <= 1) + [(upper, -1)] * (abs(upper) <= 1)
        matrix = np.diag([xi / 2 * ml * s + b * s for ml, s in states]).astype(float)
        if len(states) == 2:
            flip = xi / 2 * np.sqrt(2 - lower * upper)
            matrix[0, 1] = matrix[1, 0] = flip
        energies, vectors = np.linalg.eigh(matrix)
        weight = vectors[:, 0] ** 2
        blocks.append(
            (
                energies[0],
                sum(w * s for w, (_, s) in zip(weight, states, strict=True)),
                sum(w * ml for w, (ml, _) in zip(weight, states, strict=True)),
            )
        )
    _, spin, orbital = min(blocks)
    assert abs(orbital) > 0.3
    np.testing.assert_allclose(found.spin[0], [0, 0, spin], atol=1e-6)
    np.testing.assert_allclose(found.orbital[0], [0, 0, orbital], atol=1e-6)


def test_moments_sum_to_the_polarisation_in_overlapping_orbitals() -> None:
    h = random_crystal(2, [S_SHELL, P], seed=2, magnetic=True)
    moments = site_moments(h, SpinState(0.0), mesh=(3, 3, 3), smearing=0.05)
    from hamexplorer.properties import BandSolver, KMesh
    from hamexplorer.properties.weights import spin_expectation

    mesh = KMesh((3, 3, 3))
    states = BandSolver(h, mesh.kpoints).states(SpinState(0.0))
    filling = 1 / (1 + np.exp((states.energies - moments.fermi.energy) / 0.05))
    total = np.einsum("k,kb,kba->a", mesh.weights, filling, spin_expectation(states))
    np.testing.assert_allclose(moments.spin.sum(axis=0), total, atol=1e-8)
    np.testing.assert_allclose(moments.orbital, 0, atol=1e-8)


def test_nothing_magnetic_has_no_moment() -> None:
    moments = site_moments(square(rashba=0.2), mesh=(4, 4, 1))
    assert not moments.spin.any()
    assert list(moments.to_dataframe()["site"]) == ["H1"]
    structure = Structure(Lattice.cubic(10), ["Bi"], [[0, 0, 0]])
    here = (0, 0, (0, 0, 0))
    h = build(
        structure,
        [[P]],
        3.0,
        scalar={here: np.zeros((3, 3))},
        spin_orbit={here: 0.3 * L_P},
        exchange={here: 0.2 * np.eye(3)},
    )
    assert not site_moments(h, SpinState(exchange=0.0), mesh=(1, 1, 1)).spin.any()
