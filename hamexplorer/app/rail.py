"""The left rail: the crystal, how its Hamiltonian is computed, and the spin dial."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import panel as pn
import panel_material_ui as pmui
import param

from hamexplorer.app.drop import DropZone
from hamexplorer.app.facts import FileFacts, is_spin_pure, number
from hamexplorer.app.opening import Opener
from hamexplorer.app.state import AppState
from hamexplorer.app.style import Line
from hamexplorer.app.uploads import MAX_UPLOAD_BYTES, Files
from hamexplorer.dft.basis_sets import BASIS_SETS
from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.errors import HamexplorerError, SettingsError
from hamexplorer.structures import entries

__all__ = ["Rail"]

_WIDE: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": (6, 14)}
_HINT = (
    "CIF, POSCAR, XYZ … or a Hamiltonian: OpenMX, HamGNN, DeepH, Wannier90, Siesta, ABACUS, our .h5"
)
_SPINS = {"automatic": "auto", "off": "none", "collinear": "collinear"}
_SOURCES = {
    "automatic": "auto",
    "DFT, self-consistent": "dft",
    "superposed atoms (approximate, any size)": "superposed",
    "learned model (near DFT, for what it was trained on)": "learned",
}


class Dial(pmui.FloatSlider):
    """A slider whose every step is passed on at once, where Panel waits for 50 ms."""

    _priority_changes: ClassVar[list[str]] = ["value"]

    def __init__(self, **params: Any) -> None:
        # The thumb is where the value is; gliding there costs frames that the plot needs.
        at_once = {"& .MuiSlider-thumb, & .MuiSlider-track": {"transition": "none"}}
        super().__init__(**{"sx": at_once, **params})


class Rail:
    """Widgets of the rail, bound to the state; ``sections`` go into the page's sidebar.

    ``build`` opens the dialog in which bilayers are built; without it there is no button.
    """

    def __init__(
        self, state: AppState, opener: Opener, build: Callable[[], None] | None = None
    ) -> None:
        self._state = state
        self._opener = opener
        self._build = build
        self._following = True
        self.facts = FileFacts(state, opener)
        self.sections = [self._structure(), self._dial(), self._calculation()]
        state.param.watch(self._follow, "subject")
        self._follow()
        self._following = False

    # --- structure -------------------------------------------------------------------------

    def _structure(self) -> pn.Column:
        # A select always has a value: none of the examples is one of its own.
        groups: dict[str, dict[str, str]] = {"Your own": {"file or text below": ""}}
        for item in entries():
            groups.setdefault(item.family, {})[item.title] = item.name
        self.gallery = pmui.Select(
            label="Gallery", groups=groups, value="", searchable=True, size="small", **_WIDE
        )
        self.gallery.param.watch(self._chosen, "value")
        self.drop = DropZone(
            self._dropped,
            self._refused,
            max_bytes=MAX_UPLOAD_BYTES,
            label="Open a structure or Hamiltonian",
            hint=_HINT,
            dark=self._state.dark,
            **_WIDE,
        )
        self._state.param.watch(lambda e: setattr(self.drop, "dark", e.new), "dark")
        self.paste = pmui.TextAreaInput(
            label="Text of a CIF, POSCAR, XYZ …", rows=5, max_rows=8, size="small", **_WIDE
        )
        open_text = pmui.Button(label="Open text", variant="outlined", size="small", **_WIDE)
        open_text.on_click(self._pasted)
        build = pmui.Button(label="Build a bilayer", variant="outlined", size="small", **_WIDE)
        build.visible = self._build is not None
        build.on_click(lambda _: self._build and self._build())
        return pn.Column(
            _title("Crystal"),
            self.gallery,
            self.drop,
            build,
            _folded("Paste text", self.paste, open_text),
            self.facts.view,
            sizing_mode="stretch_width",
        )

    def _chosen(self, event: param.parameterized.Event) -> None:
        if event.new and not self._following:
            self._opener.gallery(event.new)

    def _refused(self, text: str) -> None:
        self._state.forget_errors()
        self._state.tell("error", text)

    def _dropped(self, files: Files) -> None:
        try:
            options = self.facts.options()
        except HamexplorerError as error:
            self._refused(str(error))
            return
        self._opener.upload(files, options)

    def _pasted(self, _: Any) -> None:
        self._opener.text(self.paste.value_input or self.paste.value or "")

    # --- spin ------------------------------------------------------------------------------

    def _dial(self) -> pn.Column:
        p = self._state.param
        self.soc = Dial.from_param(
            p.soc, label="Spin–orbit strength λ", step=0.01, format="0%", **_WIDE
        )
        self.theta = Dial.from_param(
            p.theta, label="Polar angle θ (°)", step=1, format="0", **_WIDE
        )
        self.phi = Dial.from_param(p.phi, label="Azimuth φ (°)", step=1, format="0", **_WIDE)
        self.exchange = Dial.from_param(
            p.exchange, label="Exchange field", step=0.01, format="0%", **_WIDE
        )
        self.reason = Line(css="font-size: 12.5px; opacity: .8;", margin=(0, 14))
        off, full = (
            pmui.Button(label=label, variant="text", size="small", margin=(0, 2))
            for label in ("off", "100 %")
        )
        off.on_click(lambda _: self._turn(soc=0.0))
        full.on_click(lambda _: self._turn(soc=1.0, exchange=1.0))
        return pn.Column(
            pn.Row(_title("Spin"), pn.Spacer(sizing_mode="stretch_width"), off, full),
            self.soc,
            self.theta,
            self.phi,
            self.exchange,
            self.reason.view,
            sizing_mode="stretch_width",
        )

    def _turn(self, **values: float) -> None:
        self._state.param.update(**values)

    def _follow(self, *_: param.parameterized.Event) -> None:
        subject, h = self._state.subject, self._state.hamiltonian
        before, self._following = self._following, True
        self.gallery.value = subject.gallery if subject is not None else ""
        self._following = before
        self.soc.disabled = h is not None and not h.has_spin_orbit
        self.exchange.disabled = h is None or not h.is_magnetic
        if h is None:
            self.reason.say("")
        elif not h.has_spin_orbit:
            self.reason.say("This Hamiltonian holds no spin–orbit part: λ does nothing.")
        elif not is_spin_pure(h):
            self.reason.say(
                "See the warnings: these orbitals are not spin-pure. Energies at λ = 100 % are "
                "those of the file; λ, θ, φ and the exchange field mean little."
            )
        elif not h.is_magnetic:
            self.reason.say(
                "Not magnetic: no exchange field to scale; θ and φ turn the quantisation axis, "
                "the energies do not depend on it."
            )
        else:
            self.reason.say("θ and φ turn the magnetisation.")
        self._show_chosen()

    # --- calculation -----------------------------------------------------------------------

    def _calculation(self) -> pmui.Accordion:
        settings = self._state.settings
        sources = dict(_SOURCES)
        # without a model the choice would only be refused, which an address that asks for it is
        if not self._opener.has_model and self._state.source != "learned":
            sources = {label: name for label, name in sources.items() if name != "learned"}
        self.source = pmui.Select(
            label="Source", options=sources, value=self._state.source, size="small", **_WIDE
        )
        self.source.link(self._state, value="source", bidirectional=True)
        self.basis = pmui.Select(
            label="Basis", options=list(BASIS_SETS), value=settings.basis, size="small", **_WIDE
        )
        self.kmesh = pmui.TextInput(label="k mesh", placeholder="automatic", size="small", **_WIDE)
        self.cutoff = pmui.TextInput(
            label="Grid cutoff (Ha)", placeholder="automatic", size="small", **_WIDE
        )
        self.spacing = pmui.TextInput(
            label="Grid spacing (Å)",
            placeholder="automatic",
            size="small",
            **_WIDE,
        )
        self.spin = pmui.Select(
            label="Magnetism", options=_SPINS, value=settings.spin, size="small", **_WIDE
        )
        self.compute = pmui.Button(
            label="Compute with these", variant="contained", size="small", **_WIDE
        )
        self.compute.on_click(self._recompute)
        self._state.param.watch(self._show_settings, "source")
        self._show_settings()
        return _folded(
            "Calculation",
            self.source,
            self.basis,
            self.spin,
            self.kmesh,
            self.cutoff,
            self.spacing,
            self.compute,
        )

    def _show_settings(self, *_: param.parameterized.Event) -> None:
        """Those of the source; where either may answer, with its name."""
        source = self._state.source
        of_dft, of_atoms = (" (DFT)", " (atoms)") if source == "auto" else ("", "")
        self.kmesh.label = f"k mesh{of_dft}"
        self.cutoff.label = f"Grid cutoff, Ha{of_dft}"
        self.spacing.label = f"Grid spacing, Å{of_atoms}"
        self.kmesh.visible = self.cutoff.visible = source in ("auto", "dft")
        self.spacing.visible = source != "dft"

    def _show_chosen(self) -> None:
        """What ``automatic`` came to, where the engine says so."""
        h = self._state.hamiltonian
        used = h.provenance.settings if h is not None else {}
        mesh, cutoff = used.get("kmesh"), used.get("cutoff")
        self.kmesh.placeholder = f"automatic: {' '.join(map(str, mesh))}" if mesh else "automatic"
        self.cutoff.placeholder = f"automatic: {cutoff:g}" if cutoff else "automatic"

    def _recompute(self, _: Any) -> None:
        try:
            self._state.param.update(**self._settings())
        except HamexplorerError as error:
            self._state.tell("error", str(error))
            return
        self._opener.start()

    def _settings(self) -> dict[str, Any]:
        """What the fields say, of those that are shown.

        Raises:
            SettingsError: one of them is no number, or outside its range.
        """
        common = {"basis": self.basis.value, "spin": self.spin.value}
        chosen: dict[str, Any] = {}
        if self.kmesh.visible:
            chosen["settings"] = DftSettings(
                kmesh=_mesh(self.kmesh.value),
                cutoff=number(self.cutoff.value, "The grid cutoff"),
                **common,
            )
        if self.spacing.visible:
            spacing = number(self.spacing.value, "The grid spacing")
            plain = SuperposedSettings(**common)
            chosen["superposed"] = plain if spacing is None else replace(plain, spacing=spacing)
        return chosen


def _mesh(text: str | None) -> tuple[int, int, int] | None:
    words = re.split(r"[\s,x×]+", (text or "").strip())
    if words == [""]:
        return None
    try:
        a, b, c = (int(word) for word in words)
    except ValueError:
        raise SettingsError(
            f"The k mesh {text!r} is not three whole numbers such as 6 6 1."
        ) from None
    return a, b, c


def _title(text: str) -> pmui.Typography:
    return pmui.Typography(text, variant="subtitle2", margin=(10, 14, 0, 14))


def _folded(title: str, *content: Any) -> pmui.Accordion:
    return pmui.Accordion(
        (title, pn.Column(*content, sizing_mode="stretch_width")),
        sizing_mode="stretch_width",
        margin=(4, 14),
        disable_gutters=True,
        title_variant="subtitle2",
    )
