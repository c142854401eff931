"""What is computed of a Hamiltonian, as views that a notebook shows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from hamexplorer.api.hamiltonians import compute
from hamexplorer.api.hamiltonians import open as open_hamiltonian
from hamexplorer.api.structures import Crystal
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.progress import Monitor
from hamexplorer.properties.anisotropy import Directions, magnetic_anisotropy
from hamexplorer.properties.bands import band_structure, bands_on_mesh
from hamexplorer.properties.comparison import Shift
from hamexplorer.properties.comparison import compare as compare_hamiltonians
from hamexplorer.properties.dos import density_of_states
from hamexplorer.properties.field import with_field
from hamexplorer.properties.gap import Gap
from hamexplorer.properties.gap import gap as gap_of
from hamexplorer.properties.large_cells import WHOLE_PIECES, near_gap_bands
from hamexplorer.properties.valley import valley_readouts
from hamexplorer.properties.weights import Grouping
from hamexplorer.structures.kpath import KPath, path_from_text, standard_path
from hamexplorer.views import AnisotropyView, BandsView, ComparisonView, DosView, ValleyView

__all__ = ["bands", "compare", "dos", "gap", "mae", "valley"]


def bands(
    h: Hamiltonian | Crystal,
    path: KPath | str | None = None,
    *,
    soc: float = 1.0,
    theta: float = 0.0,
    phi: float = 0.0,
    exchange: float = 1.0,
    spacing: float | None = None,
    weights: Grouping | None = None,
    spin: bool = False,
    near_gap: int | None = None,
    monitor: Monitor | None = None,
) -> BandsView:
    """Bands along a path, with ``.plot()``, ``.to_dataframe()``, ``.save(path)``.

    Args:
        h: a Hamiltonian; a crystal is computed first, with default settings.
        path: ``"G-M-K-G"``, a :class:`~hamexplorer.structures.kpath.KPath`, or the lattice's own.
        soc: spin-orbit strength λ; 0 off, 1 nature's.
        theta: polar angle of the magnetisation from z, degrees.
        phi: its azimuth from x, degrees.
        exchange: factor on the exchange field.
        spacing: of the k-points, 1/Å; default 0.03, with ``near_gap`` the named points alone.
        weights: also give every state's weights on groups of orbitals: ``element``, …
        spin: also give every state's spin expectation value.
        near_gap: only so many bands around the gap, both spins counted, as cells of hundreds of
            atoms need it: :func:`hamexplorer.properties.large_cells.near_gap_bands`.
        monitor: told the progress of ``near_gap``; can cancel.

    Raises:
        SettingsError: a parameter is out of range, or the path names an unknown point.
        ResourceLimitError: the matrices do not fit into the memory that is free.
    """
    hamiltonian = _hamiltonian(h)
    state = SpinState(soc, theta, phi, exchange)
    if near_gap is not None:
        points = _path(hamiltonian, path, WHOLE_PIECES if spacing is None else spacing)
        found = near_gap_bands(
            hamiltonian, points, near_gap, state, weights=weights, spin=spin, monitor=monitor
        )
        return BandsView(found)
    points = _path(hamiltonian, path, 0.03 if spacing is None else spacing)
    return BandsView(band_structure(hamiltonian, points, state, weights=weights, spin=spin))


def dos(
    h: Hamiltonian | Crystal,
    *,
    soc: float = 1.0,
    theta: float = 0.0,
    phi: float = 0.0,
    exchange: float = 1.0,
    mesh: tuple[int, int, int] | None = None,
    method: Literal["tetrahedron", "gaussian"] = "tetrahedron",
    broadening: float = 0.05,
    energy_range: tuple[float, float] | None = None,
    step: float = 0.01,
    groups: Grouping | None = None,
) -> DosView:
    """Density of states, total and by groups of orbitals; arguments as :func:`bands`' and
    :func:`hamexplorer.properties.dos.density_of_states`'.

    Raises:
        SettingsError: a parameter is out of range.
    """
    return DosView(
        density_of_states(
            _hamiltonian(h),
            SpinState(soc, theta, phi, exchange),
            mesh=mesh,
            method=method,
            broadening=broadening,
            energy_range=energy_range,
            step=step,
            groups=groups,
        )
    )


def gap(
    h: Hamiltonian | Crystal | BandsView,
    *,
    soc: float = 1.0,
    theta: float = 0.0,
    phi: float = 0.0,
    exchange: float = 1.0,
    mesh: tuple[int, int, int] | None = None,
) -> Gap:
    """The band gap over the standard path and a mesh: value, kind and place of both edges.

    Given the view of bands that were computed already, the gap along their path.

    Raises:
        SettingsError: a parameter is out of range, or the electrons fill no whole bands.
    """
    if isinstance(h, BandsView):
        return h.gap()
    hamiltonian, state = _hamiltonian(h), SpinState(soc, theta, phi, exchange)
    on_mesh = bands_on_mesh(hamiltonian, mesh, state)
    on_path = band_structure(hamiltonian, standard_path(hamiltonian.structure), state)
    return gap_of(on_path, on_mesh)


def mae(
    h: Hamiltonian | Crystal,
    theta: ArrayLike = (0.0, 90.0),
    phi: ArrayLike = 0.0,
    *,
    soc: float = 1.0,
    exchange: float = 1.0,
    mesh: tuple[int, int, int] | None = None,
    smearing: float = 0.1,
    method: Literal["exact", "fast"] = "exact",
    by_k: bool = False,
    collinear: bool = False,
    monitor: Monitor | None = None,
) -> AnisotropyView:
    """Energy against the direction of the magnetisation, by the force theorem.

    The view has ``.mae_meV`` (last direction minus first), ``.constants()``, ``.plot()``,
    ``.to_dataframe()`` and ``.save(path)``.

    Args:
        h: a magnetic Hamiltonian with spin-orbit part; a crystal is computed first.
        theta: polar angles from z, degrees; broadcast with ``phi``.
        phi: azimuths from x, degrees.
        soc: spin-orbit strength λ.
        exchange: factor on the exchange field.
        mesh: divisions of the k mesh; default: spacing 0.25 1/Å. Converge it.
        smearing: kT of the occupations, eV.
        method: ``exact``, or ``fast``: second variation, with an estimate of its error.
        by_k: also give every k-point's part.
        collinear: keep only the main component of an exchange field of three.
        monitor: told the progress; can cancel.

    Raises:
        SettingsError: not magnetic, no spin-orbit part, or a parameter out of range.
    """
    if method not in ("exact", "fast"):
        raise SettingsError(f"method is 'exact' or 'fast', not {method!r}.")
    try:
        thetas, phis = np.broadcast_arrays(np.atleast_1d(theta), np.atleast_1d(phi))
    except ValueError as error:
        raise SettingsError("theta and phi must be of the same length, or one of them one.") from (
            error
        )
    hamiltonian = _hamiltonian(h)
    result = magnetic_anisotropy(
        hamiltonian,
        Directions(thetas, phis),
        mesh,
        smearing,
        soc,
        exchange,
        "exact" if method == "exact" else "second variation",
        monitor,
        by_k,
        collinear=collinear,
    )
    return AnisotropyView(result, hamiltonian.structure)


def valley(
    h: Hamiltonian | Crystal,
    *,
    soc: float = 1.0,
    theta: float = 0.0,
    phi: float = 0.0,
    exchange: float = 1.0,
    field: float = 0.0,
    sites: Iterable[int] | None = None,
    extremum: Literal["gap", "valence", "conduction"] = "gap",
) -> ValleyView:
    """The valleys of a layer near K and K′: energies, splittings, spins, Berry curvatures.

    The view has ``.k`` and ``.k_prime``, ``.valence_difference`` (meV), ``.map(n)``,
    ``.splitting(fields)``, ``.chern()``, ``.to_dataframe()`` and ``.save(path)``.

    Args:
        h: a layer's Hamiltonian; a crystal is computed first.
        soc: spin-orbit strength λ.
        theta: polar angle of the magnetisation or field from z, degrees.
        phi: its azimuth from x, degrees.
        exchange: factor on the exchange field.
        field: splits the spins on ``sites`` by so many meV, along n(θ, φ); see
            :func:`hamexplorer.properties.field.with_field`.
        sites: the atoms that feel it; default all.
        extremum: what a valley is: the smallest direct gap, or an edge of one band.

    Raises:
        StructureError: the crystal is not a layer.
        SettingsError: no valleys in its lattice, no whole bands filled, or a parameter out of
            range.
    """
    hamiltonian, state = _hamiltonian(h), SpinState(soc, theta, phi, exchange)
    if field:
        hamiltonian = with_field(hamiltonian, field, sites)
    return ValleyView(valley_readouts(hamiltonian, state, extremum=extremum), hamiltonian)


def compare(
    first: Hamiltonian | str | Path,
    second: Hamiltonian | str | Path,
    path: KPath | str | None = None,
    *,
    soc: float = 1.0,
    theta: float = 0.0,
    phi: float = 0.0,
    exchange: float = 1.0,
    spacing: float = 0.03,
    shift: Shift | None = None,
    window: tuple[float, float] = (-2.0, 2.0),
) -> ComparisonView:
    """Two Hamiltonians of one structure: errors of elements beside those of bands near the gap.

    The view has ``.verdict``, ``.bands`` and ``.elements``, ``.plot()``, ``.to_dataframe(table)``
    and ``.save(path)``.

    Args:
        first: the reference: a Hamiltonian, or what :func:`open` reads.
        second: what is compared with it.
        path: as in :func:`bands`.
        soc: spin-orbit strength λ, of both.
        theta: polar angle of the magnetisation from z, degrees.
        phi: its azimuth from x, degrees.
        exchange: factor on the exchange field.
        spacing: of the k-points, 1/Å.
        shift: constant c in H + c·S of the second: ``none``, ``fit``, ``vbm`` or ``fermi``; see
            :func:`hamexplorer.properties.comparison.compare`.
        window: eV below the valence top and above the conduction bottom.

    Raises:
        StructureError: the two are not of one structure, or their sites stand in another order.
        SettingsError: a parameter is out of range, or the path names an unknown point.
        FileFormatError: a file that cannot be read.
    """
    given = (first, second)
    one, other = (h if isinstance(h, Hamiltonian) else open_hamiltonian(h) for h in given)
    titles = (h.provenance.title if isinstance(h, Hamiltonian) else Path(h).name for h in given)
    return ComparisonView(
        compare_hamiltonians(
            one,
            other,
            _path(one, path, spacing),
            SpinState(soc, theta, phi, exchange),
            shift=shift,
            window=window,
            names=(next(titles), next(titles)),
        )
    )


def _hamiltonian(given: Hamiltonian | Crystal) -> Hamiltonian:
    return given if isinstance(given, Hamiltonian) else compute(given)


def _path(h: Hamiltonian, path: KPath | str | None, spacing: float) -> KPath:
    if isinstance(path, str):
        return path_from_text(path, h.structure, spacing)
    return standard_path(h.structure, spacing) if path is None else path
