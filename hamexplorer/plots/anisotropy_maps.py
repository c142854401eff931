"""The anisotropy energy over directions and over the Brillouin zone, as HoloViews elements."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
from bokeh.models import DataRange1d
from bokeh.models.annotations import ColorBar
from numpy.typing import NDArray
from pymatgen.core import Structure

from hamexplorer.errors import SettingsError
from hamexplorer.plots.anisotropy_data import (
    UNITS,
    DirectionalEnergy,
    Unit,
    angle_curve,
    energy_label,
    hemisphere,
    polar_outline,
    projected,
    unit_factor,
)
from hamexplorer.plots.holoviews_style import frame_options, frame_size
from hamexplorer.plots.palette import SOC_ON, diverging, sequential, theme
from hamexplorer.properties.anisotropy import AnisotropyEnergy

__all__ = ["anisotropy_k_map", "anisotropy_polar", "anisotropy_sphere", "k_parts"]

_PIXELS = 241
_CIRCLE = np.radians(np.linspace(0.0, 360.0, 181))
_Array = NDArray[np.float64]


def anisotropy_polar(
    result: AnisotropyEnergy,
    constants: DirectionalEnergy | None = None,
    *,
    unit: Unit = "meV_per_cell",
    dark: bool = False,
    width: int | None = None,
    height: int | None = 420,
) -> hv.Overlay:
    """E(θ) from its minimum as the distance from the middle: z upwards, φ to the right.

    ``result`` is an arc; over 180° or more it is closed by E(n) = E(−n). Other arguments as
    :func:`~hamexplorer.plots.anisotropy.anisotropy_curve`'s.

    Raises:
        SettingsError: one direction only, both angles change, or an unknown unit.
    """
    curve = angle_curve(result, constants, unit)
    angle, energy = polar_outline(curve)
    radius = np.maximum(energy, 0.0)
    largest = float(radius.max()) or 1.0
    grid = [
        np.column_stack([part * largest * np.sin(_CIRCLE), part * largest * np.cos(_CIRCLE)])
        for part in (0.5, 1.0)
    ]
    grid += [
        largest * np.array([[-np.sin(a), -np.cos(a)], [np.sin(a), np.cos(a)]])
        for a in np.radians(np.arange(0, 180, 30))
    ]
    turned = np.radians(angle)
    outline = hv.Curve((radius * np.sin(turned), radius * np.cos(turned)), "x", "y")
    return hv.Overlay(
        [
            hv.Path(grid, ["x", "y"]).opts(color=theme(dark).grid, line_width=1),
            outline.opts(color=SOC_ON, line_width=2.5),
            hv.Text(0.0, 1.08 * largest, "z").opts(color=theme(dark).text),
        ]
    ).opts(
        hv.opts.Overlay(
            **_disc(dark, width, height, largest),
            title=f"E(θ), outer circle {largest:.3g} {UNITS[unit]}",
        )
    )


def anisotropy_sphere(
    result: AnisotropyEnergy,
    constants: DirectionalEnergy | None = None,
    *,
    unit: Unit = "meV_per_cell",
    dark: bool = False,
    width: int | None = None,
    height: int | None = 420,
) -> hv.Overlay:
    """E over the upper hemisphere, seen from z: the middle is z, the rim θ = 90°.

    The distance from the middle is θ/90°; E(n) = E(−n) brings lower directions to the map. The
    fit is painted, the computed directions are dots. Arguments as :func:`anisotropy_polar`'s.
    """
    _backend()
    factor = unit_factor(result, unit)
    theta, phi = result.directions.theta, result.directions.phi
    x, y = projected(theta, phi)
    energies = factor * result.relative_meV
    label = hv.Dimension("energy", label=energy_label(unit))
    parts: list[Any] = []
    high = float(energies.max())
    if constants is not None:
        painted = factor * hemisphere(constants)
        high = float(np.nanmax(painted))
        image = hv.Image(painted[::-1], ["x", "y"], [label], bounds=(-1, -1, 1, 1))
        parts.append(image.opts(cmap=sequential(dark), clim=(0.0, high or 1.0), colorbar=True))
    dots = hv.Points((x, y, energies, theta, phi), ["x", "y"], [label, "theta", "phi"])
    parts += [
        dots.opts(
            color="energy",
            cmap=sequential(dark),
            clim=(0.0, high or 1.0),
            line_color=theme(dark).text,
            line_alpha=0.45,
            size=7,
            tools=["hover"],
            colorbar=constants is None,
        ),
        hv.Path(
            [
                np.column_stack([part * np.cos(_CIRCLE), part * np.sin(_CIRCLE)])
                for part in (1 / 3, 2 / 3, 1.0)
            ],
            ["x", "y"],
        ).opts(color=theme(dark).text, alpha=0.35, line_width=1),
        hv.Text(1.08, 0.0, "x").opts(color=theme(dark).text),
        hv.Text(0.0, 1.08, "y").opts(color=theme(dark).text),
    ]
    return hv.Overlay(parts).opts(
        hv.opts.Overlay(**_disc(dark, width, height, 1.0), title=energy_label(unit))
    )


def anisotropy_k_map(
    result: AnisotropyEnergy,
    structure: Structure,
    layer: int | None = None,
    *,
    unit: Unit = "meV_per_cell",
    dark: bool = False,
    width: int | None = None,
    height: int | None = 420,
) -> hv.Overlay:
    """Where in the Brillouin zone E(last direction) − E(first direction) comes from.

    The parts are those of :func:`k_parts`, scaled so that the mean over the map (``layer`` None)
    is the whole. Every mesh point fills its place in the zone.

    Args:
        result: at least two directions, computed ``by_k``.
        structure: whose zone it is.
        layer: plane of the mesh along the axis that is summed over; None sums over all.
        unit: of the energy.
        dark: for a dark page.
        width: pixels; None fills the place.
        height: pixels; None fills the place.

    Raises:
        SettingsError: not resolved by k, one direction only, or no such plane.
    """
    _backend()
    parts, axes = k_parts(result, layer)
    factor = unit_factor(result, unit)
    vectors = _plane(structure, axes)
    reach = float(np.abs(vectors).sum(axis=0).max()) / 2
    line = np.linspace(-reach, reach, _PIXELS)
    points = np.stack(np.meshgrid(line, line), axis=-1)
    places = points @ np.linalg.inv(vectors)
    index = np.rint(places * parts.shape).astype(int) % parts.shape
    values = factor * parts.size * parts[index[..., 0], index[..., 1]]
    values = np.where(_in_zone(points, vectors), values, np.nan)
    largest = float(np.abs(factor * parts.size * parts).max()) or 1.0
    label = hv.Dimension("part", label=f"part of the MAE ({UNITS[unit]})")
    names = ["k_x", "k_y"]
    image = hv.Image(values[::-1], names, [label], bounds=(-reach, -reach, reach, reach)).opts(
        cmap=diverging(dark),
        clim=(-largest, largest),
        colorbar=True,
        tools=["hover"],
        clipping_colors={"NaN": "rgba(0, 0, 0, 0)"},
    )
    ends = vectors / 2
    names_of_b = [f"½ b{'₁₂₃'[axis]}" for axis in axes]
    texts = [
        hv.Text(0.0, 0.0, "Γ"),
        *(hv.Text(*(1.12 * end), name) for end, name in zip(ends, names_of_b, strict=True)),
    ]
    where = "summed" if layer is None else f"plane {layer}"
    across = "abc"[3 - sum(axes)]
    return hv.Overlay([image, *(text.opts(color=theme(dark).text) for text in texts)]).opts(
        hv.opts.Overlay(
            **_disc(dark, width, height, 1.15 * reach),
            title=f"Parts by k ({UNITS[unit]}), {where} along {across}*",
        )
    )


def k_parts(result: AnisotropyEnergy, layer: int | None = None) -> tuple[_Array, tuple[int, int]]:
    """Every k's part of E(last) − E(first), meV per cell, on a plane of the mesh.

    The mesh is summed over the axis with one division, or else the third, or (``layer``) cut
    there. Returns the parts (n, m), which sum to the whole, and the two axes that are left.

    Raises:
        SettingsError: not resolved by k, one direction only, or no such plane.
    """
    if result.by_k is None or len(result.directions) < 2:
        raise SettingsError(
            "A map over k needs two directions that were computed with their parts by k "
            "(by_k=True)."
        )
    mesh = result.mesh
    across = int(np.argmin(mesh)) if min(mesh) == 1 else 2
    values = 1e3 * (result.by_k[-1] - result.by_k[0]).reshape(mesh)
    first, second = (axis for axis in range(3) if axis != across)
    if layer is None:
        return values.sum(axis=across), (first, second)
    if not 0 <= layer < mesh[across]:
        raise SettingsError(
            f"The mesh has the planes 0 … {mesh[across] - 1} along this axis, not {layer}."
        )
    return mesh[across] * np.take(values, layer, axis=across), (first, second)


def _plane(structure: Structure, axes: tuple[int, int]) -> _Array:
    """Two reciprocal vectors, as rows, in a plane whose x axis is the first one, 1/Å, (2, 2)."""
    b = structure.lattice.reciprocal_lattice.matrix[list(axes)]
    length = np.linalg.norm(b, axis=1)
    along = float(b[0] @ b[1]) / length[0]
    return np.array([[length[0], 0.0], [along, np.sqrt(max(length[1] ** 2 - along**2, 1e-12))]])


def _in_zone(points: _Array, vectors: _Array) -> NDArray[np.bool_]:
    """Points (..., 2) that are nearer to 0 than to any other vector of the lattice."""
    steps = np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3)), axis=-1).reshape(-1, 2)
    others = steps[(steps != 0).any(axis=1)] @ vectors
    half = np.sum(others**2, axis=1) / 2
    inside: NDArray[np.bool_] = (points @ others.T <= half + 1e-9).all(axis=-1)
    return inside


def _backend() -> None:
    if "bokeh" not in hv.Store.renderers:
        hv.extension("bokeh", logo=False)


def _disc(dark: bool, width: int | None, height: int | None, size: float) -> dict[str, Any]:
    """Options of a picture to scale, ``size`` from the middle to the edge, without axes."""
    options = frame_options(dark)
    reach = 1.16 * size

    def bare(plot: Any, _element: Any) -> None:
        shown = plot.state
        shown.outline_line_color = None
        shown.grid.visible = False
        # HoloViews' ranges are fixed; only ranges that follow data keep a figure to scale.
        frame = shown.scatter([-reach, reach], [-reach, reach], size=0)
        shown.match_aspect = True
        shown.x_range = DataRange1d(renderers=[frame], range_padding=0)
        shown.y_range = DataRange1d(renderers=[frame], range_padding=0)
        for bar in shown.select(ColorBar):
            bar.update(width=12, padding=8)

    return {
        **frame_size(width, height),
        "hooks": [*options["hooks"], bare],
        "xaxis": None,
        "yaxis": None,
        "show_legend": False,
    }
