"""The engine against PySCF's own periodic codes: integrals, energies, eigenvalues."""

from __future__ import annotations

import crystals
import numpy as np
import pytest
from pyscf.pbc import dft as pyscf_dft
from pyscf.pbc import gto
from pyscf.pbc.gto.pseudo import pp_int
from pyscf.scf.addons import smearing
from pyscf.symm.sph import sph_pure2real

from hamexplorer.dft.basis_sets import valence_charge
from hamexplorer.dft.bloch_sum import bloch_sum
from hamexplorer.dft.engine import ground_state, plan
from hamexplorer.dft.grid import mesh_for_cutoff
from hamexplorer.dft.integrals import convention_order, pairs_by_overlap, two_centre_blocks
from hamexplorer.dft.nonlocal_potential import nonlocal_blocks, spin_orbit_blocks
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.spin_orbit_parameters import spin_orbit_channels
from hamexplorer.dft.system import CrystalSystem, crystal_system
from hamexplorer.hamiltonian import Pairs
from hamexplorer.progress import Monitor

pytestmark = pytest.mark.filterwarnings("ignore")


def pyscf_cell(system: CrystalSystem, cutoff: float, precision: float = 1e-10) -> gto.Cell:
    cell = gto.Cell()
    cell.unit = "B"
    cell.a = system.lattice
    cell.atom = list(zip(system.symbols, system.positions, strict=True))
    cell.basis = system.basis_name
    cell.pseudo = "gth-pbe"
    cell.verbose = 0
    cell.precision = precision
    cell.mesh = list(mesh_for_cutoff(system.lattice, cutoff))
    cell.build()
    return cell


THREE = [crystals.gallium_arsenide(), crystals.iron_platinum(), crystals.mos2(12.0)]


@pytest.mark.parametrize("structure", THREE)
def test_real_space_integrals_sum_to_pyscfs_k_space_ones(structure):
    system = crystal_system(structure, DftSettings(electrostatics="periodic"))
    near = pairs_by_overlap(system)
    pairs = Pairs(near.first, near.second, near.cell, system.basis.sizes)
    overlap, kinetic = two_centre_blocks(system, near, ("int1e_ovlp", "int1e_kin"))
    nonlocal_part = nonlocal_blocks(system, pairs)
    cell = pyscf_cell(system, 60.0, precision=1e-12)
    order = convention_order([s.l for shells in system.basis.shells for s in shells])
    kpoint = np.array([0.21, -0.13, 0.37])
    absolute = (kpoint @ cell.reciprocal_vectors())[None]
    n = system.basis.n_orbitals
    for flat, reference in (
        (overlap, cell.pbc_intor("int1e_ovlp", kpts=absolute)[0]),
        (kinetic, cell.pbc_intor("int1e_kin", kpts=absolute)[0]),
        (nonlocal_part, pp_int.get_pp_nl(cell, kpts=absolute)[0]),
    ):
        difference = bloch_sum(pairs, flat, kpoint, n) - reference[np.ix_(order, order)]
        assert np.abs(difference).max() < 1e-8


def angular_momentum(l):  # noqa: E741
    """L_x, L_y, L_z between PySCF's real harmonics, from the ladder of |l, m⟩."""
    m = np.arange(-l, l + 1)
    raising = np.diag(np.sqrt(l * (l + 1) - m[:-1] * (m[:-1] + 1)), -1)
    pure = ((raising + raising.T) / 2, (raising - raising.T) / 2j, np.diag(m))
    real = sph_pure2real(l, reorder_p=True)
    return [real.conj().T @ matrix @ real for matrix in pure]


@pytest.mark.parametrize("structure", THREE)
def test_spin_orbit_sums_to_pyscfs_projector_integrals_at_k(structure):
    system = crystal_system(structure, DftSettings(electrostatics="periodic"))
    near = pairs_by_overlap(system)
    pairs = Pairs(near.first, near.second, near.cell, system.basis.sizes)
    ours = spin_orbit_blocks(system, pairs)
    cell = pyscf_cell(system, 60.0, precision=1e-12)
    cell._pseudo = {}
    for symbol in set(system.symbols):
        charge = valence_charge(symbol)
        projectors = [[0.5, 0, []] for _ in range(4)]
        for channel in spin_orbit_channels(symbol, charge):
            projectors[channel.l] = [channel.radius, len(channel.k), np.array(channel.k)]
        cell._pseudo[symbol] = [[charge], 0.4, 0, [], 4, *projectors]
    kpoint = np.array([0.21, -0.13, 0.37])
    fake, couplings = pp_int.fake_cell_vnl(cell)
    halves = pp_int._int_vnl(cell, fake, couplings, (kpoint @ cell.reciprocal_vectors())[None])
    starts = [0, 0, 0]
    theirs = np.zeros((3, cell.nao, cell.nao), dtype=complex)
    for shell, coupling in enumerate(couplings):
        l = fake.bas_angular(shell)  # noqa: E741
        p = []
        for i in range(len(coupling)):
            p.append(halves[i][0][starts[i] : starts[i] + 2 * l + 1])
            starts[i] += 2 * l + 1
        for a, momentum in enumerate(angular_momentum(l)):
            for i, j in np.ndindex(*coupling.shape):
                theirs[a] += 0.5 * coupling[i, j] * p[i].conj().T @ momentum @ p[j]
    order = convention_order([s.l for shells in system.basis.shells for s in shells])
    for a in range(3):
        summed = 1j * bloch_sum(pairs, ours[a], kpoint, system.basis.n_orbitals)
        assert np.abs(summed - theirs[a][np.ix_(order, order)]).max() < 1e-8
        assert np.abs(summed).max() > 1e-4


def compare(structure, basis, kmesh, cutoff, spin=None, width=1e-5):
    """Energies and the largest eigenvalue difference, ours against KRKS or KUKS; Ha."""
    settings = DftSettings(
        basis=basis,
        kmesh=kmesh,
        cutoff=cutoff,
        electrostatics="periodic",
        precision="double",
        density_tolerance=1e-7,
        energy_tolerance=1e-8,
        smearing=width,
    )
    chosen = plan(structure, settings)
    ours = ground_state(chosen, Monitor()).result
    cell = pyscf_cell(chosen.system, cutoff)
    kpoints = cell.make_kpts(list(kmesh))
    if spin is not None:
        cell.spin = spin * len(kpoints)
        cell.build()
    method = (pyscf_dft.KRKS if spin is None else pyscf_dft.KUKS)(cell, kpoints)
    method.xc = "PBE"
    method.conv_tol = 1e-9
    if width > 1e-5:
        method = smearing(method, sigma=width, method="fermi")
    method.kernel()
    assert method.converged
    theirs = np.array(method.mo_energy).reshape(ours.levels.shape[0], len(kpoints), -1)
    scaled = cell.get_scaled_kpts(kpoints)
    worst = 0.0
    for index, kpoint in enumerate(chosen.kmesh.kpoints):
        images = np.stack([kpoint - scaled, kpoint + scaled])
        distance = np.abs(images - np.rint(images)).sum(axis=2).min(axis=0)
        worst = max(worst, np.abs(ours.levels[:, index] - theirs[:, distance.argmin()]).max())
    return ours, method, worst


def test_silicon_against_krks():
    ours, reference, levels = compare(crystals.silicon(), "gth-szv", (2, 2, 2), 60.0)
    assert abs(ours.energy - reference.e_tot) < 1e-6
    assert levels < 1e-5


@pytest.mark.slow
def test_lithium_hydride_against_krks():
    ours, reference, levels = compare(
        crystals.lithium_hydride(), "gth-szv-molopt-sr", (2, 1, 1), 400.0
    )
    assert abs(ours.energy - reference.e_tot) < 1e-6
    assert levels < 1e-5


@pytest.mark.slow
def test_spin_polarised_lithium_against_kuks():
    ours, reference, levels = compare(
        crystals.lithium_atom(), "gth-szv-molopt-sr", (1, 1, 1), 300.0, spin=1
    )
    assert ours.moment == pytest.approx(1.0, abs=1e-6)
    assert abs(ours.energy - reference.e_tot) < 1e-6
    assert levels < 1e-5
