"""The bands on both sides of the gap, which valleys are made of."""

from __future__ import annotations

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.properties.fermi import occupied_bands

__all__ = ["edge_bands"]


def edge_bands(h: Hamiltonian) -> tuple[int, int, int, int]:
    """Indices of the two highest valence and the two lowest conduction bands.

    Raises:
        SettingsError: the electrons fill no whole bands, or there are not two on either side.
    """
    filled = occupied_bands(h.n_electrons)
    total = 2 * h.basis.n_orbitals
    if filled is None:
        raise SettingsError(
            f"{h.n_electrons:g} electrons per cell fill no whole number of bands, so that there "
            "are no valence and conduction bands to look at."
        )
    if not 2 <= filled <= total - 2:
        raise SettingsError(
            f"{filled} of {total} bands are filled; valleys need two bands on either side of the "
            "gap."
        )
    return filled - 2, filled - 1, filled, filled + 1
