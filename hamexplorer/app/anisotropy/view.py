"""The four pictures of E(n) that follow λ and the dial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import panel as pn

from hamexplorer.app.anisotropy.model import Sweep
from hamexplorer.app.export import Exported
from hamexplorer.app.state import AppState
from hamexplorer.plots.anisotropy_data import (
    UNITS,
    angle_curve,
    energy_label,
    hemisphere,
    unit_factor,
)
from hamexplorer.plots.live_anisotropy import LiveAngleCurve, LivePolar, LiveSphere
from hamexplorer.properties.anisotropy import AnisotropyEnergy

__all__ = ["AngleView"]

_RING_TITLE = "E(φ) at θ = 90°"
_AROUND = np.linspace(0.0, 360.0, 181)
_NOTHING = 1e-5  # meV
_NO_WIDTH = {"min-width": "0", "min-height": "0"}


class AngleView:
    """E(θ), E(φ), the polar plot and the sphere, drawn when there is something to draw."""

    def __init__(self, state: AppState, sweep: Callable[[], Sweep | None]) -> None:
        self._state = state
        self._sweep = sweep
        self._plots: tuple[LiveAngleCurve, LiveAngleCurve, LivePolar, LiveSphere] | None = None
        self.view = pn.Column(sizing_mode="stretch_both", visible=False)

    def draw(self, sweep: Sweep, checked: AnisotropyEnergy | None = None) -> None:
        """Show ``sweep``; ``checked`` are energies of the exact method along the same arc."""
        by_theta, by_phi, polar, sphere = self._made()
        unit, constants = self._state.mae_unit, sweep.constants
        every = sweep.everything
        factor = unit_factor(every, unit)
        phi = sweep.arc.directions.phi[0]
        arc = angle_curve(sweep.arc, constants, unit, sweep.zero)
        ring = angle_curve(sweep.ring, constants, unit)
        by_theta.update(arc, energy_label(unit), f"E(θ) at φ = {phi:g}°")
        by_phi.update(ring, f"E − min over φ ({UNITS[unit]})", _RING_TITLE)
        polar.update(arc, UNITS[unit])
        sphere.update(
            None if constants is None else factor * hemisphere(constants),
            every.directions.theta,
            every.directions.phi,
            factor * every.relative_meV,
            energy_label(unit),
        )
        shown = sweep.spread_meV > _NOTHING
        theta, azimuth = sweep.easy
        sphere.set_easy(theta if shown else None, azimuth)
        polar.set_easy(_within(theta, azimuth, phi) if shown else None)
        if checked is None:
            by_theta.set_exact(None, None)
        else:
            shift = np.interp(checked.directions.theta[0], arc.x, arc.energy)
            relative = factor * 1e3 * (checked.energies - checked.energies[0])
            by_theta.set_exact(checked.directions.theta, relative + shift)
        self.mark()

    def mark(self) -> None:
        """Move the markers to the dial's direction."""
        sweep = self._sweep()
        if self._plots is None or sweep is None:
            return
        by_theta, by_phi, polar, sphere = self._plots
        theta, phi = self._state.theta, self._state.phi
        factor = unit_factor(sweep.arc, self._state.mae_unit)
        energy = sweep.energy(theta, phi)
        by_theta.set_marker(theta, None if energy is None else factor * energy)
        polar.set_marker(theta)
        sphere.set_marker(theta, phi)
        if sweep.constants is None:
            by_phi.set_marker(phi, None)
            return
        around = sweep.constants.energy(theta, _AROUND)
        low = float(around.min())
        here = float(sweep.constants.energy(theta, phi)) - low
        by_phi.set_marker(phi, factor * max(here, 0.0))
        if abs(theta - 90.0) < 1e-6:
            by_phi.set_other(None, None, _RING_TITLE)
        else:
            title = f"{_RING_TITLE}; dashed: {theta:g}°"
            by_phi.set_other(_AROUND, factor * (around - low), title)

    def set_theme(self, dark: bool) -> None:
        """Switch between light and dark."""
        for plot in self._plots or ():
            plot.set_theme(dark)

    def exports(self, stem: Callable[[str], str]) -> list[Exported]:
        """What the export menu offers."""

        def table(name: str) -> Any:
            sweep = self._sweep()
            part = None if sweep is None else getattr(sweep, name)
            return None if part is None else part.to_dataframe()

        def picture(index: int) -> Any:
            return None if self._plots is None else self._plots[index].figure

        return [
            Exported("E(θ)", lambda: stem("mae-theta"), lambda: table("arc"), lambda: picture(0)),
            Exported("E(φ)", lambda: stem("mae-phi"), lambda: table("ring"), lambda: picture(1)),
            Exported("Polar", lambda: stem("mae-polar"), lambda: table("arc"), lambda: picture(2)),
            Exported(
                "Sphere",
                lambda: stem("mae-sphere"),
                lambda: table("everything"),
                lambda: picture(3),
            ),
        ]

    def _made(self) -> tuple[LiveAngleCurve, LiveAngleCurve, LivePolar, LiveSphere]:
        if self._plots is None:
            dark = self._state.dark
            self._plots = (
                LiveAngleCurve("theta", dark=dark),
                LiveAngleCurve("phi", dark=dark),
                LivePolar(dark=dark),
                LiveSphere(dark=dark),
            )
            panes = [
                pn.pane.Bokeh(plot.figure, sizing_mode="stretch_both", margin=2)
                for plot in self._plots
            ]
            rows = [
                pn.Row(*panes[start : start + 2], sizing_mode="stretch_both", styles=_NO_WIDTH)
                for start in (0, 2)
            ]
            self.view.objects = list(rows)
        return self._plots


def _within(theta: float, azimuth: float, phi: float) -> float | None:
    """θ of an axis in the plane of ``phi``, counted towards it; None for an axis outside of it."""
    if min(theta, 180.0 - theta) < 1.0:
        return theta
    apart = (azimuth - phi) % 180.0
    if min(apart, 180.0 - apart) > 1.0:
        return None
    return theta if abs((azimuth - phi + 180.0) % 360.0 - 180.0) < 1.0 else -theta
