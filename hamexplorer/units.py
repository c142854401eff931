"""Physical constants (CODATA 2018). Energies are eV and lengths Å everywhere but inside ``dft``."""

from __future__ import annotations

from typing import Final

HARTREE_EV: Final = 27.211386245988
"""One hartree in eV."""
BOHR_ANGSTROM: Final = 0.529177210903
"""One bohr in Å."""
BOLTZMANN_EV_PER_K: Final = 8.617333262e-5
"""Boltzmann's constant in eV/K."""
HBAR2_OVER_ME: Final = HARTREE_EV * BOHR_ANGSTROM**2
"""ħ²/mₑ in eV Å²; effective masses are HBAR2_OVER_ME / (d²E/dk²)."""
HBAR_EV_S: Final = 6.582119569e-16
"""ħ in eV s."""
BOHR_MAGNETON_EV_T: Final = 5.7883818060e-5
"""Bohr magneton in eV/T."""
