"""The columns that all tables by k-point and band begin with."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["band_table"]


def band_table(
    kpoints: NDArray[np.float64], bands: ArrayLike, energies: NDArray[np.float64]
) -> pd.DataFrame:
    """One row per k and band: ``k_index``, ``k1`` … ``k3`` (fractional), ``band``, ``energy_eV``.

    ``kpoints`` (nk, 3), ``bands`` (nb,), ``energies`` (nk, nb).
    """
    nk, nb = energies.shape
    columns: dict[str, NDArray[np.generic]] = {"k_index": np.repeat(np.arange(nk), nb)}
    columns |= {f"k{a + 1}": np.repeat(kpoints[:, a], nb) for a in range(3)}
    columns["band"] = np.tile(np.asarray(bands), nk)
    columns["energy_eV"] = energies.ravel()
    return pd.DataFrame(columns)
