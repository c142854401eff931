"""Widgets of the Anisotropy page: what is looked at, unit, mesh, smearing and method."""

from __future__ import annotations

import math
import re
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from hamexplorer.app.state import AppState
from hamexplorer.errors import HamexplorerError, SettingsError
from hamexplorer.plots.anisotropy_data import UNITS
from hamexplorer.properties.mesh import checked_mesh

__all__ = ["AnisotropySettings"]

_METHODS = {"fast (second variation)": "second variation", "exact": "exact"}
_HALF: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": (8, 6, 2, 12)}
_VIEWS = {"Angles": "angles", "Origin": "origin", "Convergence": "convergence"}


class AnisotropySettings:
    """Bound to the state: ``views`` and ``unit`` go above the plots, ``side`` beside the numbers.

    What cannot be read is said, and the field shows the old value again.
    """

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._following = False
        self.views = pmui.RadioButtonGroup(
            options=_VIEWS, value=state.mae_view, size="small", margin=(8, 6)
        )
        self.views.link(state, value="mae_view", bidirectional=True)
        self.unit = pmui.Select(
            label="Unit",
            options={label: name for name, label in UNITS.items()},
            value=state.mae_unit,
            size="small",
            width=120,
            margin=(8, 6),
        )
        self.unit.link(state, value="mae_unit", bidirectional=True)
        self.mesh = pmui.TextInput(label="k mesh", placeholder="automatic", size="small", **_HALF)
        self.smearing = pmui.TextInput(label="Smearing (meV)", size="small", **_HALF)
        self.mesh.param.watch(self._mesh_given, "value")
        self.smearing.param.watch(self._smearing_given, "value")
        self.method = pmui.Select(
            label="Method",
            options=_METHODS,
            value=state.mae_method,
            size="small",
            sizing_mode="stretch_width",
            margin=(10, 12, 2, 12),
        )
        self.dipoles = pmui.Checkbox.from_param(
            state.param.mae_dipoles,
            label="Add the dipoles (shape) term",
            size="small",
            margin=(4, 12),
        )
        self.side = pn.Column(
            self.method,
            pn.Row(self.mesh, self.smearing, sizing_mode="stretch_width"),
            self.dipoles,
            sizing_mode="stretch_width",
        )
        self.method.link(state, value="mae_method", bidirectional=True)
        state.param.watch(self._follow, ["mae_mesh", "mae_smearing"])
        self._follow()

    def show_mesh(self, mesh: tuple[int, int, int]) -> None:
        """Say what ``automatic`` came to."""
        self.mesh.placeholder = f"auto: {_written(mesh)}"

    def _follow(self, *_: param.parameterized.Event) -> None:
        mesh = self._state.mae_mesh
        self._following = True
        try:
            self.mesh.value = "" if mesh is None else _written(mesh)
            self.smearing.value = f"{1e3 * self._state.mae_smearing:g}"
        finally:
            self._following = False

    def _mesh_given(self, event: param.parameterized.Event) -> None:
        if not self._following:
            self._take("mae_mesh", _mesh, event.new)

    def _smearing_given(self, event: param.parameterized.Event) -> None:
        if not self._following:
            self._take("mae_smearing", _smearing, event.new)

    def _take(self, name: str, read: Any, text: str | None) -> None:
        try:
            self._state.param.update(**{name: read(text or "")})
        except HamexplorerError as error:
            self._state.tell("error", str(error))
            self._follow()


def _written(mesh: tuple[int, int, int]) -> str:
    return "×".join(map(str, mesh))


def _mesh(text: str) -> tuple[int, int, int] | None:
    words = re.split(r"[\s,x×]+", text.strip())
    if words == [""]:
        return None
    try:
        numbers = [int(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != 3:
        raise SettingsError(f"The k mesh {text[:40]!r} is not three whole numbers such as 8×8×6.")
    return checked_mesh(numbers)


def _smearing(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 1.0 <= value <= 2000.0:
        raise SettingsError(
            f"The smearing {text[:40]!r} is not a number of meV between 1 and 2000, such as 100."
        )
    return value / 1e3
