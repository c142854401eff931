"""Plots of the anisotropy energy: what they draw is the result, in the unit and place they say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import holoviews as hv
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import SpinState
from hamexplorer.plots import show
from hamexplorer.plots.anisotropy import anisotropy_curve
from hamexplorer.plots.anisotropy_data import (
    UNITS,
    angle_curve,
    hemisphere,
    polar_outline,
    projected,
)
from hamexplorer.plots.anisotropy_maps import (
    anisotropy_k_map,
    anisotropy_polar,
    anisotropy_sphere,
    k_parts,
)
from hamexplorer.plots.anisotropy_parts import anisotropy_convergence, site_anisotropy_bars
from hamexplorer.plots.live_anisotropy import LiveAngleCurve, LivePolar, LiveSphere
from hamexplorer.properties.anisotropy import (
    AnisotropyConvergence,
    AnisotropyEnergy,
    Directions,
    SiteAnisotropy,
)

K1, K2 = 2.0, -0.5  # meV
STATE = SpinState(soc=1.0)


def surface(theta: Any, phi: Any) -> Any:
    """E(θ, φ), meV, with an in-plane part, even in n."""
    t, p = np.radians(theta), np.radians(phi)
    sin2 = np.sin(t) ** 2
    return K1 * sin2 + K2 * sin2**2 + 0.3 * sin2 * np.cos(2 * p)


FIT = SimpleNamespace(energy=lambda theta, phi: surface(np.asarray(theta), np.asarray(phi)) + 7.0)


def energies(
    directions: Directions, mesh: tuple[int, int, int] = (4, 4, 2), **more: Any
) -> AnisotropyEnergy:
    values = 1e-3 * surface(directions.theta, directions.phi) - 100.0
    grid = np.stack(np.unravel_index(np.arange(int(np.prod(mesh))), mesh), axis=1) / mesh
    return AnisotropyEnergy(
        directions=directions,
        energies=values,
        fermi=np.zeros(len(directions)),
        state=STATE,
        mesh=mesh,
        smearing=0.1,
        n_electrons=4.0,
        method="exact",
        title="Toy",
        n_sites=2,
        volume=30.0,
        n_kpoints=8,
        n_operations=4,
        kpoints=grid,
        **more,
    )


ARC = energies(Directions.arc(np.linspace(0, 180, 13)))
RING = energies(Directions.ring(np.linspace(0, 360, 13)))


# --- data ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("meV_per_cell", 1.0),
        ("meV_per_atom", 0.5),
        ("ueV_per_atom", 500.0),
        # 1 meV / 30 Å³ = 1.602176634e-22 J / 30e-30 m³
        ("MJ_per_m3", 1.602176634e-22 / 30e-30 * 1e-6),
    ],
)
def test_curves_are_in_the_unit_asked_for(unit: Any, factor: float) -> None:
    curve = angle_curve(ARC, None, unit)
    assert curve.angle == "theta"
    assert curve.energy == pytest.approx(factor * surface(ARC.directions.theta, 0.0), abs=1e-7)


def test_a_fit_is_drawn_through_the_points_whatever_its_own_zero() -> None:
    curve = angle_curve(RING, FIT)
    assert curve.angle == "phi"
    assert curve.fixed == 90.0
    at = np.interp(curve.x, curve.fit_x, curve.fit_energy)
    assert at == pytest.approx(curve.energy, abs=1e-9)
    assert len(curve.fit_x) > 10 * len(curve.x)


def test_one_zero_serves_several_curves() -> None:
    ring = angle_curve(RING, zero=float(ARC.energies.min()))
    assert ring.energy.min() == pytest.approx(K1 + K2 - 0.3, abs=1e-9)


@pytest.mark.parametrize(
    ("directions", "words"),
    [
        (Directions.arc([30.0]), "at least two directions"),
        (Directions([0, 45, 90], [0, 10, 20]), "Draw them as a sphere"),
    ],
    ids=["one", "both"],
)
def test_what_is_no_curve_is_said(directions: Directions, words: str) -> None:
    for draw in (angle_curve, anisotropy_curve, anisotropy_polar):
        with pytest.raises(SettingsError, match=words):
            draw(energies(directions))


def test_an_unknown_unit_is_said() -> None:
    with pytest.raises(SettingsError, match="'furlong'"):
        anisotropy_sphere(ARC, unit="furlong")  # type: ignore[arg-type]


def test_the_polar_outline_is_closed_and_even() -> None:
    angle, energy = polar_outline(angle_curve(ARC, FIT))
    assert angle[-1] - angle[0] == pytest.approx(360.0)
    assert energy[0] == energy[-1]
    opposite = np.interp((angle[:170] + 180.0) % 360.0, angle, energy)
    assert opposite == pytest.approx(energy[:170], abs=1e-9)
    short = energies(Directions.arc([0, 45, 90]))
    assert np.ptp(polar_outline(angle_curve(short))[0]) == 90.0


def test_opposite_directions_share_a_place_on_the_map() -> None:
    assert projected(90.0, 0.0) == (pytest.approx(1.0), pytest.approx(0.0))
    above, below = projected(60.0, 200.0), projected(120.0, 20.0)
    assert np.array(above) == pytest.approx(np.array(below))


def test_the_map_holds_the_surface_inside_the_disc_only() -> None:
    image = hemisphere(FIT, steps=101)
    low = min(0.0, surface(90.0, 90.0))
    assert image[50, 50] == pytest.approx(-low, abs=1e-12)
    assert image[50, 100] == pytest.approx(surface(90.0, 0.0) - low, abs=1e-12)  # x
    assert image[100, 50] == pytest.approx(surface(90.0, 90.0) - low, abs=1e-12)  # y
    assert image[50, 75] == pytest.approx(surface(45.0, 0.0) - low, abs=1e-12)
    assert np.isnan(image[0, 0])
    assert np.isfinite(image).mean() == pytest.approx(np.pi / 4, abs=0.03)


# --- k -------------------------------------------------------------------------------------


def by_k(mesh: tuple[int, int, int]) -> AnisotropyEnergy:
    rng = np.random.default_rng(3)
    return energies(
        Directions.arc([0, 90]), mesh, by_k=1e-3 * rng.normal(size=(2, int(np.prod(mesh))))
    )


def test_parts_by_k_sum_to_the_whole_and_planes_average_to_it() -> None:
    result = by_k((4, 3, 5))
    whole = 1e3 * (result.by_k[1] - result.by_k[0]).sum()  # type: ignore[index]
    parts, axes = k_parts(result)
    assert parts.shape == (4, 3)
    assert axes == (0, 1)
    assert parts.sum() == pytest.approx(whole)
    planes = [k_parts(result, layer)[0].sum() for layer in range(5)]
    assert np.mean(planes) == pytest.approx(whole)


def test_a_layer_is_summed_along_its_single_division() -> None:
    parts, axes = k_parts(by_k((1, 4, 5)))
    assert parts.shape == (4, 5)
    assert axes == (1, 2)


@pytest.mark.parametrize(
    "lattice", [Lattice.tetragonal(3, 4), Lattice.hexagonal(3, 15)], ids=["tetragonal", "hexagonal"]
)
def test_the_k_map_fills_the_zone_and_its_mean_is_the_whole(lattice: Lattice) -> None:
    result = by_k((4, 4, 1))
    whole = 1e3 * (result.by_k[1] - result.by_k[0]).sum()  # type: ignore[index]
    structure = Structure(lattice, ["Fe"], [[0, 0, 0]])
    drawn = anisotropy_k_map(result, structure)
    image = drawn.values()[0]
    values = image.dimension_values(2)
    inside = values[np.isfinite(values)]
    left, bottom, right, top = image.bounds.lbrt()
    pixel = (right - left) * (top - bottom) / values.size
    zone = np.linalg.norm(np.cross(*lattice.reciprocal_lattice.matrix[:2]))
    assert len(inside) * pixel == pytest.approx(zone, rel=0.02)
    assert inside.mean() == pytest.approx(whole, abs=0.02 * np.abs(inside).max())


@pytest.mark.parametrize("layer", [-1, 5])
def test_what_has_no_parts_or_no_such_plane_is_said(layer: int) -> None:
    with pytest.raises(SettingsError, match="by_k=True"):
        k_parts(ARC)
    with pytest.raises(SettingsError, match="planes 0 … 4"):
        k_parts(by_k((4, 3, 5)), layer)


# --- parts and convergence -----------------------------------------------------------------


SITES = SiteAnisotropy(
    ("Fe1", "Fe2", "Pt1"),
    np.array([-0.5, -0.25, 3.0]),
    Directions.arc([0, 90]),
    STATE,
    (4, 4, 2),
    0.1,
    4,
)
STUDY = AnisotropyConvergence(
    directions=Directions.arc([0, 90]),
    meshes=((4, 4, 2), (6, 6, 3), (8, 8, 4)),
    smearings=(0.05, 0.1),
    mae_meV=np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    n_kpoints=(8, 16, 32),
    state=STATE,
    method="exact",
)


def test_every_atom_has_its_bar_and_elements_their_colour() -> None:
    bars = site_anisotropy_bars(SITES).values()[0]
    assert bars.dimension_values("atom").tolist() == ["Fe1", "Fe2", "Pt1"]
    assert bars.dimension_values("energy").tolist() == [-0.5, -0.25, 3.0]
    iron, iron_too, platinum = bars.dimension_values("colour")
    assert iron == iron_too != platinum


def test_every_smearing_has_its_line() -> None:
    curves = [e for e in anisotropy_convergence(STUDY).values() if isinstance(e, hv.Curve)]
    assert [c.label for c in curves] == ["kT = 50 meV", "kT = 100 meV"]
    assert curves[1].dimension_values("energy").tolist() == [2.0, 4.0, 6.0]


@pytest.mark.parametrize("dark", [False, True])
def test_everything_renders(dark: bool) -> None:
    structure = Structure(Lattice.hexagonal(3, 15), ["Fe"], [[0, 0, 0]])
    sphere = energies(Directions.sphere(20))
    elements = [
        anisotropy_curve(RING, FIT, dark=dark),
        anisotropy_polar(ARC, FIT, dark=dark),
        anisotropy_sphere(sphere, FIT, dark=dark),
        anisotropy_sphere(sphere, dark=dark, height=None),
        anisotropy_k_map(by_k((4, 4, 1)), structure, dark=dark),
        site_anisotropy_bars(SITES, dark=dark),
        anisotropy_convergence(STUDY, dark=dark),
    ]
    shades = {hv.render(element).background_fill_color for element in elements}
    assert shades == {"#121212" if dark else "#ffffff"}


def test_show_finds_the_plot_of_every_result() -> None:
    assert isinstance(show(ARC, constants=FIT), hv.Overlay)
    assert show(SITES).values()[0].dimension_values("energy")[2] == 3.0
    assert len(show(STUDY)) == 4


def test_sphere_and_k_map_are_drawn_to_scale() -> None:
    figure = hv.render(anisotropy_sphere(energies(Directions.sphere(20)), FIT))
    assert figure.match_aspect
    assert type(figure.x_range).__name__ == "DataRange1d"  # a fixed range would be stretched


# --- live ----------------------------------------------------------------------------------


def test_the_energy_axis_follows_until_it_is_zoomed() -> None:
    plot = LiveAngleCurve("theta")
    plot.update(angle_curve(ARC), "E", "title")
    assert plot.y_range.end > 1.79  # type: ignore[operator]
    plot.update(angle_curve(ARC, None, "ueV_per_atom"), "E", "title")
    assert plot.y_range.end > 895  # type: ignore[operator]
    plot.y_range.update(start=10.0, end=20.0)
    plot.update(angle_curve(ARC), "E", "title")
    assert (plot.y_range.start, plot.y_range.end) == (10.0, 20.0)
    assert plot.y_range.reset_end < 3


def test_a_flat_curve_has_a_range() -> None:
    plot = LiveAngleCurve("phi")
    flat = energies(Directions.ring([0, 90, 180], theta=0.0))
    plot.update(angle_curve(flat), "E", "title")
    assert plot.y_range.start < -0.5 < 0.5 < plot.y_range.end  # type: ignore[operator]


def test_markers_go_where_the_dial_is() -> None:
    curve, polar, sphere = LiveAngleCurve("theta"), LivePolar(), LiveSphere()
    curve.set_marker(30.0, 0.7)
    assert curve.marker.data == {"angle": [30.0], "energy": [0.7]}
    curve.set_marker(30.0, None)
    assert len(curve.marker.data["angle"]) == 0
    polar.set_marker(90.0)
    assert polar.marker.data["x"][1] == pytest.approx(1.0)
    sphere.set_marker(90.0, 90.0)
    assert sphere.marker.data["y"][0] == pytest.approx(1.0)


def test_the_largest_energy_reaches_the_circle_and_its_value_is_said() -> None:
    polar = LivePolar()
    polar.update(angle_curve(ARC, FIT), UNITS["meV_per_cell"])
    radius = np.hypot(polar.outline.data["x"], polar.outline.data["y"])
    assert radius.max() == pytest.approx(1.0)
    assert "1.8 meV/cell" in polar.figure.title.text  # type: ignore[union-attr]


def test_the_sphere_without_a_fit_shows_its_samples() -> None:
    sphere = LiveSphere(dark=True)
    result = energies(Directions.sphere(10))
    sphere.update(None, result.directions.theta, result.directions.phi, result.relative_meV, "E")
    assert len(sphere.image.data["value"]) == 0
    assert len(sphere.samples.data["x"]) == 10
    sphere.set_theme(False)
    assert sphere.figure.background_fill_color == "#ffffff"
