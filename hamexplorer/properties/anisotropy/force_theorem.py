"""Magnetocrystalline anisotropy by the magnetic force theorem."""

from __future__ import annotations

from dataclasses import replace

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy.directions import Directions
from hamexplorer.properties.anisotropy.exact import exact_anisotropy
from hamexplorer.properties.anisotropy.noncollinear import collinear_field
from hamexplorer.properties.anisotropy.parts import part_of
from hamexplorer.properties.anisotropy.result import AnisotropyEnergy, Method
from hamexplorer.properties.anisotropy.second_variation import DEFAULT_WINDOW, SecondVariation

__all__ = ["magnetic_anisotropy"]


def magnetic_anisotropy(
    h: Hamiltonian,
    directions: Directions,
    mesh: tuple[int, int, int] | None = None,
    smearing: float = 0.1,
    soc: float = 1.0,
    exchange: float = 1.0,
    method: Method = "exact",
    monitor: Monitor | None = None,
    by_k: bool = False,
    window: tuple[float, float] = DEFAULT_WINDOW,
    collinear: bool = False,
) -> AnisotropyEnergy:
    """F(n) = Σ_k w_k Σ_b −kT ln(1 + exp((μ − ε_kb)/kT)) + μN at a fixed number of electrons.

    The force theorem: charge and field stay those of the calculation without spin-orbit coupling,
    the direction n of the field is turned, and differences of the band (free) energy are the
    anisotropy; M. Weinert, R. E. Watson, J. W. Davenport, Phys. Rev. B 32, 2115 (1985);
    G. H. O. Daalderop, P. J. Kelly, M. F. H. Schuurmans, Phys. Rev. B 41, 11919 (1990).

    Args:
        h: a magnetic Hamiltonian with spin-orbit part.
        directions: of the magnetisation.
        mesh: divisions of the Γ-centred mesh; default: spacing 0.25 1/Å, 1 across a vacuum.
        smearing: kT of the Fermi–Dirac occupations, eV.
        soc: spin-orbit strength λ.
        exchange: factor on the exchange field.
        method: ``exact`` diagonalisation at every direction, or ``second variation``, which is
            much faster and whose error is estimated (``window_error``).
        monitor: told the progress; can cancel.
        by_k: also give every k's part.
        window: of the second variation, eV below and above the Fermi level.
        collinear: keep only the component of a three-component exchange field along its main
            direction, so that F(n) = F(−n); see :func:`collinear_field`.

    Raises:
        SettingsError: not magnetic, no spin-orbit part, a parameter out of range, or
            ``collinear`` for a field without a main direction.
        CalculationCancelled: stopped by ``monitor``.
    """
    if collinear:
        result = magnetic_anisotropy(
            collinear_field(h),
            directions,
            mesh,
            smearing,
            soc,
            exchange,
            method,
            monitor,
            by_k,
            window,
        )
        return replace(result, collinear=True)
    if method == "exact":
        return exact_anisotropy(h, directions, mesh, smearing, soc, exchange, monitor, by_k)
    if method != "second variation":
        raise SettingsError(f"The method is 'exact' or 'second variation', not {method!r}.")
    monitor = monitor or Monitor()
    prepared = SecondVariation(h, mesh, smearing, window, exchange, part_of(monitor, 0.0, 0.5))
    result = prepared.energies(directions, soc, part_of(monitor, 0.5, 0.8), by_k)
    error = prepared.window_check(directions, soc, part_of(monitor, 0.8, 1.0))
    return replace(result, window_error=error)
