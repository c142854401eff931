"""Hamiltonians as models of PythTB (optional), for orthonormal orbitals.

PythTB's H_ij(k) = Σ_R exp(2πi k·(R + t_j − t_i)) ⟨i0|H|jR⟩ has the orbitals' places t in its
phases; energies are the same.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamexplorer.errors import HamexplorerError, ResourceLimitError, SettingsError
from hamexplorer.formats.lowdin import is_orthogonal
from hamexplorer.formats.sparse import diagonal
from hamexplorer.formats.spin_elements import spin_elements
from hamexplorer.hamiltonian import Hamiltonian, SpinState

__all__ = ["MAX_HOPPINGS", "to_pythtb"]

MAX_HOPPINGS = 20_000
"""PythTB compares every new hopping with all before it: these take half a minute."""


def to_pythtb(
    h: Hamiltonian,
    state: SpinState | None = None,
    *,
    spinor: bool | None = None,
    smallest: float = 0.0,
) -> Any:
    """``h`` as a ``pythtb.tb_model``, eV and Å.

    Its orbitals are those of ``h.basis`` in their order, at their sites (PythTB's position operator
    is diagonal; ``h.position`` is left out). It is periodic along the lattice vectors along which
    blocks reach; its k has that many components.

    Args:
        h: the Hamiltonian, with S = 1.
        state: λ, n and the exchange's factor that are written in.
        spinor: two spin components per orbital; default: if ``h`` has spin–orbit or exchange.
            Without, both are left out.
        smallest: hoppings with all components below (eV) are left out.

    Raises:
        SettingsError: the overlap is not 1.
        ResourceLimitError: more than :data:`MAX_HOPPINGS` hoppings.
        HamexplorerError: PythTB is not installed.
    """
    package = _package()
    if not is_orthogonal(h):
        raise SettingsError(
            "PythTB knows no overlap, and these orbitals overlap: orthogonalise first "
            "(hamexplorer.formats.lowdin.orthogonalised(h).hamiltonian)."
        )
    if spinor is None:
        spinor = h.has_spin_orbit or h.is_magnetic
    elements = _elements(h, state or SpinState(), spinor)
    pairs = h.pairs
    periodic = np.flatnonzero(pairs.cell.any(axis=0)).tolist()
    model = package.tb_model(
        len(periodic),
        3,
        h.structure.lattice.matrix.tolist(),
        h.structure.frac_coords[h.basis.orbital_site].tolist(),
        per=periodic,
        nspin=2 if spinor else 1,
    )
    rows, columns = pairs.element_orbitals
    cells = pairs.cell[pairs.element_pair]
    home = np.flatnonzero(diagonal(pairs))
    order = home[np.argsort(rows[home])]
    model.set_onsite(_onsite(elements[order], spinor))
    size = np.abs(elements).reshape(len(elements), -1).max(axis=1)
    once = np.flatnonzero((size > smallest) & _first_of_two(rows, columns, cells))
    if len(once) > MAX_HOPPINGS:
        raise ResourceLimitError(
            f"The model has {len(once)} hoppings; PythTB takes up to {MAX_HOPPINGS} in reasonable "
            "time. Leave out weak ones (smallest=…, eV), or use Wannier90's files."
        )
    for index in once.tolist():
        where = [cells[index].tolist()] if periodic else []
        model.set_hop(elements[index], int(rows[index]), int(columns[index]), *where)
    return model


def _package() -> ModuleType:
    try:
        import pythtb
    except ImportError as error:
        raise HamexplorerError(
            "PythTB is not installed; `pip install pythtb` brings it."
        ) from error
    return pythtb


def _elements(h: Hamiltonian, state: SpinState, spinor: bool) -> NDArray[np.complex128]:
    """(n_elements, 2, 2), or (n_elements,) without spin."""
    if not spinor:
        plain = h.scalar.astype(np.complex128)
        return plain if h.time_odd is None else plain + 1j * h.time_odd
    parts = spin_elements(h, state)
    rows = [
        np.stack([parts.upup, parts.updown], axis=-1),
        np.stack([parts.downup, parts.downdown], axis=-1),
    ]
    return np.stack(rows, axis=-2)


def _onsite(elements: NDArray[np.complex128], spinor: bool) -> list[Any]:
    return list(elements) if spinor else elements.real.tolist()


def _first_of_two(
    rows: NDArray[np.int64], columns: NDArray[np.int64], cells: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """One of each (i, j, R) and (j, i, −R), none of the on-site energies."""
    x, y, z = cells.T
    sign = np.where(x != 0, x, np.where(y != 0, y, z))
    first: NDArray[np.bool_] = (sign > 0) | ((sign == 0) & (rows < columns))
    return first
