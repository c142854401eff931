"""Valley splitting against an exchange or Zeeman field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, SpinState
from hamexplorer.properties.field import with_field
from hamexplorer.properties.valley.edges import edge_bands
from hamexplorer.properties.valley.find import Valley, find_valleys

__all__ = ["ValleySplitting", "valley_splitting"]

_MAX_FIELDS = 2000


@dataclass(frozen=True, eq=False)
class ValleySplitting:
    """Band edges of both valleys against a field.

    Attributes:
        fields: Δ, the spin splitting that the field gives to the chosen atoms, meV, (nf,).
        energies: (nf, 2, 4), eV: K and K′; two valence and two conduction bands.
        sites: indices of the atoms on which the field acts.
        state: λ and the field's direction.
    """

    fields: NDArray[np.float64]
    energies: NDArray[np.float64]
    sites: tuple[int, ...]
    state: SpinState

    @property
    def valence(self) -> NDArray[np.float64]:
        """E_v(K) − E_v(K′), meV, (nf,)."""
        return (self.energies[:, 0, 1] - self.energies[:, 1, 1]) * 1e3

    @property
    def conduction(self) -> NDArray[np.float64]:
        """E_c(K) − E_c(K′), meV, (nf,)."""
        return (self.energies[:, 0, 2] - self.energies[:, 1, 2]) * 1e3

    @property
    def gap(self) -> NDArray[np.float64]:
        """Difference of the direct gaps, K − K′, meV, (nf,)."""
        return self.conduction - self.valence

    def to_dataframe(self) -> pd.DataFrame:
        """One row per field, meV."""
        return pd.DataFrame(
            {
                "field_meV": self.fields,
                "valence_splitting_meV": self.valence,
                "conduction_splitting_meV": self.conduction,
                "gap_splitting_meV": self.gap,
            }
        )


def valley_splitting(
    h: Hamiltonian,
    fields: ArrayLike,
    state: SpinState | None = None,
    *,
    sites: Iterable[int] | None = None,
    valleys: tuple[Valley, Valley] | None = None,
) -> ValleySplitting:
    """Band edges at K and K′ for a series of fields, each as in
    :func:`~hamexplorer.properties.field.with_field`, along n(θ, φ) of ``state``.

    The valleys are those without the field: the edges are stationary there, so that what a field
    moves them changes energies in second order only.

    Raises:
        SettingsError: a field is not finite or beyond ±10 eV, or a site is not there; and as
            :func:`~hamexplorer.properties.valley.find.find_valleys`.
    """
    state = state or SpinState()
    delta = np.atleast_1d(np.asarray(fields, dtype=float))
    if delta.ndim != 1 or not delta.size or len(delta) > _MAX_FIELDS:
        raise SettingsError(f"Fields are a list of 1 … {_MAX_FIELDS} numbers of meV.")
    chosen = tuple(range(h.basis.n_sites)) if sites is None else tuple(sorted(set(sites)))
    largest = float(delta[np.abs(delta).argmax()]) if np.isfinite(delta).all() else np.nan
    with_field(h, largest, chosen)  # refuses what is out of range
    bands = edge_bands(h)
    first, second = valleys or find_valleys(h, state)
    matrices = BlochSum(h, "cpu")(np.array([first.kpoint, second.kpoint]))
    hamiltonian = matrices.spinor(state).numpy()
    overlap = matrices.spinor_overlap().numpy()
    weight = np.isin(h.basis.orbital_site, chosen).astype(float)
    mean = (weight[:, None] + weight) / 2 * matrices.overlap.numpy()
    x, y, z = state.direction
    pauli = np.array([[z, x - 1j * y], [x + 1j * y, -z]])
    field = np.stack([np.kron(pauli, m) for m in mean]) * 0.5e-3
    energies = np.empty((len(delta), 2, 4))
    for f, value in enumerate(delta):
        for v in range(2):
            energies[f, v] = scipy.linalg.eigh(
                hamiltonian[v] + value * field[v],
                overlap[v],
                eigvals_only=True,
                subset_by_index=[bands[0], bands[3]],
            )
    return ValleySplitting(delta, energies, chosen, state)
