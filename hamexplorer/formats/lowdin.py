"""A Hamiltonian between orthonormal orbitals: Löwdin's, for formats that know no overlap.

With |ψ̃_k⟩ = |ψ_k⟩ S(k)^{-1/2} every component becomes M̃(k) = S^{-1/2} M S^{-1/2}. Spin does not
enter S, so that the decomposition stays: λ and n turn the same terms as before. On a mesh of k that
is exact; back in real space M̃[R] reaches farther than M[R] does, and what the mesh's supercell cuts
off is the error between the mesh's points.

The position operator: with A(k) = ⟨u|i∂_k u⟩ = Q + (i/2) ∂S,
Q(k) = Σ_R e^{ik·R} (X + S (r_i + r_j)/2) and T = S^{-1/2},

    Ã = T A T + i T S ∂T = T Q T + (i/2) [S^{1/2}, ∂T],   Ã_a[R] = ⟨ĩ0|r_a|j̃R⟩.

∂T follows from the eigenvectors U and eigenvalues s of S:
(U†∂T U)_mn = −(U†∂S U)_mn / (√s_m √s_n (√s_m + √s_n)).

P.-O. Löwdin, J. Chem. Phys. 18, 365 (1950).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from hamexplorer.errors import HamiltonianError, ResourceLimitError, SettingsError
from hamexplorer.formats.sparse import diagonal
from hamexplorer.formats.supercell import Supercell, supercell_pairs
from hamexplorer.hamiltonian import (
    BlochSum,
    Hamiltonian,
    Pairs,
    PairSum,
    SpinState,
    transposition_sign,
)

__all__ = ["TARGET", "Orthogonalised", "is_orthogonal", "orthogonalised"]

TARGET = 1e-3
"""eV; the mesh that is chosen by default grows until its error is below, or is too large."""
_ORTHOGONAL = 1e-10
_MAX_BYTES = 6e9
_MAX_ELEMENTS = 4e6
"""Of orbital pairs times R, where the default mesh stops growing: text files of some 300 MB."""
_GROWTH = 1.25
_SAMPLES = ((100, 60), (400, 20))  # up to so many orbitals, so many k-points
_FEW_SAMPLES = 4
_SINGULAR = 1e-10


@dataclass(frozen=True, eq=False)
class Orthogonalised:
    """The same bands between orthonormal orbitals.

    Attributes:
        hamiltonian: with S = 1; on the same sites, its orbitals are the nearest orthonormal ones.
        mesh: divisions; None where the orbitals were orthonormal before.
        error: largest change of a band's energy at ``n_samples`` points halfway between the
            mesh's, full spin–orbit strength, eV; on the mesh's points there is none.
        error_occupied: the same among the lowest ``n_electrons`` bands.
        n_samples: points at which it was measured.
    """

    hamiltonian: Hamiltonian
    mesh: tuple[int, int, int] | None
    error: float
    error_occupied: float
    n_samples: int

    @property
    def note(self) -> str:
        """What was done, a sentence; "" if nothing."""
        if self.mesh is None:
            return ""
        mesh = " × ".join(map(str, self.mesh))
        return (
            f"The overlap was removed by Löwdin orthogonalisation on a {mesh} mesh of k: energies "
            f"are the same on its points and differ by up to {self.error * 1e3:.2g} meV between "
            f"them ({self.error_occupied * 1e3:.2g} meV in occupied bands; {self.n_samples} points "
            "tried)."
        )


def is_orthogonal(h: Hamiltonian) -> bool:
    """Whether S is 1 to 1e-10."""
    return bool(np.abs(h.overlap - diagonal(h.pairs)).max() <= _ORTHOGONAL)


def orthogonalised(h: Hamiltonian, mesh: tuple[int, int, int] | None = None) -> Orthogonalised:
    """``h`` between Löwdin's orthonormal orbitals.

    Args:
        h: the Hamiltonian; position elements are carried over if it has them.
        mesh: divisions of the Γ-centred mesh; default: as wide as the blocks of ``h`` reach, then
            growing until the error is below :data:`TARGET`.

    Raises:
        SettingsError: ``mesh`` is not three positive integers.
        ResourceLimitError: the matrices on the mesh would need more than 6 GB.
        HamiltonianError: S(k) is singular on the mesh.
    """
    if is_orthogonal(h):
        return Orthogonalised(h, None, 0.0, 0.0, 0)
    if mesh is not None:
        return _measured(h, _on_mesh(h, _checked(mesh)), _checked(mesh))
    reach = np.abs(h.pairs.cell).max(axis=0)
    divisions = 2 * reach + 1
    while True:
        chosen = (int(divisions[0]), int(divisions[1]), int(divisions[2]))
        found = _measured(h, _on_mesh(h, chosen), chosen)
        larger = np.where(reach > 0, np.ceil(divisions * _GROWTH).astype(np.int64), divisions)
        if (
            found.error <= TARGET
            or not reach.any()
            or float(larger.prod()) * h.basis.n_orbitals**2 > _MAX_ELEMENTS
        ):
            return found
        divisions = larger


def _checked(mesh: tuple[int, int, int]) -> tuple[int, int, int]:
    values = np.asarray(mesh)
    if values.shape != (3,) or values.dtype.kind not in "iu" or not (values > 0).all():
        raise SettingsError(f"A mesh is three positive integers, not {mesh!r}.")
    return int(values[0]), int(values[1]), int(values[2])


# --- on the mesh ------------------------------------------------------------------------------


def _on_mesh(h: Hamiltonian, mesh: tuple[int, int, int]) -> Hamiltonian:
    n, n_k = h.basis.n_orbitals, math.prod(mesh)
    names = [name for name in h.components if name != "S"]
    count = len(names) + (3 if h.position is not None else 0)
    need = 16.0 * n_k * n * n * (count + 2)
    if need > _MAX_BYTES:
        raise ResourceLimitError(
            f"Löwdin orthogonalisation of {n} orbitals on {n_k} k-points needs {need / 1e9:.1f} "
            f"GB; the limit is {_MAX_BYTES / 1e9:.0f} GB. Choose a smaller mesh."
        )
    axes = (np.arange(m) / m for m in mesh)
    k = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    summed = _Sums(h, names)
    values = np.empty((count, n_k, n, n), dtype=np.complex128)
    step = max(1, int(2e8 / (16.0 * n * n * (summed.count + 4))))
    for start in range(0, n_k, step):
        values[:, start : start + step] = summed.transformed(k[start : start + step])
    cell = supercell_pairs(h, mesh)
    flat = [_real_space(values[c], mesh, cell, names[c : c + 1]) for c in range(count)]
    parts = dict(zip(names, flat, strict=False))
    return _rebuilt(h, cell.pairs, parts, np.stack(flat[len(names) :]) if h.has_position else None)


class _Sums:
    """Bloch sums of everything that is transformed, and the transformation."""

    def __init__(self, h: Hamiltonian, names: list[str]) -> None:
        flat = [h.overlap, *(h.component(name) for name in names)]
        signs = [1.0, *(transposition_sign(name) for name in names)]
        self._plain = len(names)
        self._has_position = h.position is not None
        if h.position is not None:
            pairs = h.pairs
            sites = h.structure.cart_coords
            middle = (sites[pairs.first] + sites[pairs.second]) / 2
            steps = pairs.cell @ h.structure.lattice.matrix
            for a in range(3):
                flat.append(h.position[a] + h.overlap * middle[pairs.element_pair, a])
                signs.append(1.0)
            for a in range(3):
                flat.append(h.overlap * steps[pairs.element_pair, a])
                signs.append(-1.0)
        self.count = len(flat)
        self._sum = PairSum(h.pairs, np.stack(flat), np.array(signs), torch.device("cpu"))

    def transformed(self, k: NDArray[np.float64]) -> NDArray[np.complex128]:
        """T M T for every component, then Ã_x,y,z, (c, nk, n, n)."""
        m = self._sum(k).numpy().swapaxes(0, 1)
        s, u = np.linalg.eigh(m[0])
        if not s.min() > _SINGULAR:
            worst = int(s.min(axis=1).argmin())
            raise HamiltonianError(
                f"The overlap is singular at k = {k[worst].round(4).tolist()}: its smallest "
                f"eigenvalue is {s.min():.2e}. Orbitals are linearly dependent."
            )
        root = np.sqrt(s)
        uh = u.conj().swapaxes(-1, -2)
        t = (u / root[:, None, :]) @ uh
        result = [t @ part @ t for part in m[1 : 1 + self._plain]]
        if self._has_position:
            half = (u * root[:, None, :]) @ uh
            divided = -1.0 / (
                root[:, :, None] * root[:, None, :] * (root[:, :, None] + root[:, None, :])
            )
            q, steps = np.split(m[1 + self._plain :], 2)
            for centred, step in zip(q, steps, strict=True):
                slope = u @ (divided * (uh @ (1j * step) @ u)) @ uh
                result.append(t @ centred @ t + 0.5j * (half @ slope - slope @ half))
        return np.stack(result)


def _real_space(
    values: NDArray[np.complex128], mesh: tuple[int, int, int], cell: Supercell, name: list[str]
) -> NDArray[np.float64]:
    """Flat blocks of M(k) (nk, n, n) on the mesh; its symmetry made exact."""
    n = values.shape[-1]
    by_cell = np.fft.fftn(values.reshape(*mesh, n, n), axes=(0, 1, 2)) / len(values)
    rows, columns = cell.pairs.element_orbitals
    pair = cell.pairs.element_pair
    flat = by_cell.reshape(-1, n, n)[cell.index[pair], rows, columns].real * cell.weight[pair]
    sign = transposition_sign(name[0]) if name else 1.0
    settled: NDArray[np.float64] = (flat + sign * flat[cell.pairs.transposition]) / 2
    return settled


def _rebuilt(
    h: Hamiltonian,
    pairs: Pairs,
    parts: dict[str, NDArray[np.float64]],
    position: NDArray[np.float64] | None,
) -> Hamiltonian:
    identity = diagonal(pairs).astype(float)
    if position is not None:
        sites = h.structure.cart_coords[pairs.first[pairs.element_pair]]
        position = position - identity * sites.T
    exchange = [parts[name] for name in ("B", "Bx", "By", "Bz") if name in parts]
    spin_orbit = [parts[name] for name in ("Lx", "Ly", "Lz") if name in parts]
    return replace(
        h,
        pairs=pairs,
        overlap=identity,
        scalar=parts["H"],
        exchange=None if not exchange else np.stack(exchange) if exchange[1:] else exchange[0],
        spin_orbit=np.stack(spin_orbit) if spin_orbit else None,
        time_odd=parts.get("A"),
        position=position,
        uncertainty=None,
    )


# --- how good it is ---------------------------------------------------------------------------


def _measured(h: Hamiltonian, new: Hamiltonian, mesh: tuple[int, int, int]) -> Orthogonalised:
    """Compares energies at k-points between those of the mesh."""
    n = h.basis.n_orbitals
    k = _between(mesh, next((count for most, count in _SAMPLES if n <= most), _FEW_SAMPLES))
    difference = np.abs(_energies(new, k) - _energies(h, k)).max(axis=0)
    occupied = math.ceil(h.n_electrons)
    made = {"lowdin_mesh": list(mesh), "lowdin_error_eV": float(difference.max())}
    results = {**new.provenance.results, **made}
    return Orthogonalised(
        replace(new, provenance=replace(new.provenance, results=results)),
        mesh,
        float(difference.max()),
        float(difference[:occupied].max()) if occupied else 0.0,
        len(k),
    )


def _between(mesh: tuple[int, int, int], count: int) -> NDArray[np.float64]:
    """Points farthest from the mesh's along every divided axis: (m + ½)/N."""
    random = np.random.default_rng(0)
    divisions = np.array(mesh)
    points: NDArray[np.float64] = (random.integers(0, divisions, (count, 3)) + 0.5) / divisions
    # where the blocks do not reach, all k are alike
    points[:, divisions == 1] = 0.0
    return points


def _energies(h: Hamiltonian, k: NDArray[np.float64]) -> NDArray[np.float64]:
    bloch, state = BlochSum(h, "cpu"), SpinState()
    energies = []
    for point in k:
        matrices = bloch(point)
        energies.append(
            scipy.linalg.eigh(
                matrices.spinor(state)[0].numpy(),
                matrices.spinor_overlap()[0].numpy(),
                eigvals_only=True,
            )
        )
    return np.array(energies)
