"""Fields for what a Hamiltonian's file does not tell: electrons, Fermi energy, spin order."""

from __future__ import annotations

from typing import Any, cast

import panel as pn
import panel_material_ui as pmui
import param

from hamexplorer.app.opening import Opener
from hamexplorer.app.state import AppState
from hamexplorer.app.style import Line
from hamexplorer.errors import HamexplorerError, SettingsError
from hamexplorer.formats import ReadOptions, SpinOrder
from hamexplorer.formats.electrons import can_recount
from hamexplorer.hamiltonian import Hamiltonian

__all__ = ["FileFacts", "is_spin_pure", "number"]

_FIELD: dict[str, Any] = {"size": "small", "sizing_mode": "stretch_width", "margin": (6, 14)}
_ORDERS = {"as the file shows": "", "all up, then all down": "block", "in turn": "interleaved"}
_ABOUT = (
    "For files that do not tell: taken with the next file that is dropped. On the command line "
    "--electrons, --fermi, --spin-order."
)


class FileFacts:
    """A fold of the rail. It opens by itself where the electrons of what is shown were assumed,
    and corrects them there.
    """

    def __init__(self, state: AppState, opener: Opener) -> None:
        self._state = state
        self._opener = opener
        self.about = Line(_ABOUT, css="font-size: 12.5px; opacity: .8;", margin=(0, 14))
        self.electrons = pmui.TextInput(label="Electrons per cell", **_FIELD)
        self.fermi = pmui.TextInput(label="or Fermi energy (eV)", **_FIELD)
        self.spins = pmui.Select(label="Spinor orbitals", options=_ORDERS, value="", **_FIELD)
        self.apply = pmui.Button(label="Apply to this Hamiltonian", variant="contained", **_FIELD)
        self.apply.on_click(self._applied)
        content = pn.Column(
            self.about.view,
            self.electrons,
            self.fermi,
            self.spins,
            self.apply,
            sizing_mode="stretch_width",
        )
        self.view = pmui.Accordion(
            ("Beside the file", content),
            sizing_mode="stretch_width",
            margin=(4, 14),
            disable_gutters=True,
            title_variant="subtitle2",
        )
        state.param.watch(self._follow, "subject")
        self._follow()

    def options(self) -> ReadOptions:
        """What the fields say.

        Raises:
            SettingsError: one of them is no number, or outside its range.
        """
        return ReadOptions(
            n_electrons=number(self.electrons.value_input, "The number of electrons"),
            fermi_energy=number(self.fermi.value_input, "The Fermi energy"),
            spin_order=cast("SpinOrder", self.spins.value) if self.spins.value else None,
        )

    def _applied(self, _: Any) -> None:
        try:
            options = self.options()
            if options.n_electrons is None and options.fermi_energy is None:
                raise SettingsError("Give the number of electrons per cell, or the Fermi energy.")
        except HamexplorerError as error:
            self._state.tell("error", str(error))
            return
        self._opener.recount(options)

    def _follow(self, *_: param.parameterized.Event) -> None:
        """Fields are for one file: another Hamiltonian finds them empty."""
        h = self._state.hamiltonian
        self.electrons.value = self.electrons.value_input = ""
        self.fermi.value = self.fermi.value_input = ""
        self.spins.value = ""
        correctable = h is not None and can_recount(h)
        self.apply.visible = correctable
        self.about.say(_ABOUT)
        if h is not None and correctable:
            origin = h.provenance.results["n_electrons_from"]
            n = f"{h.n_electrons:g} electrons"
            known = _SENTENCES.get(origin)
            self.about.say(known.format(n=n) if known else f"{n}, by {origin}.")
            if origin == "half filling":
                self.view.active = [0]


_SENTENCES = {
    "half filling": "The file does not tell: {n}, half of all states, are assumed.",
    "Fermi energy": "{n}, counted up to the Fermi energy.",
    "user": "{n}, as you said.",
}


def is_spin_pure(h: Hamiltonian) -> bool:
    """Whether up and down orbitals are partners, so that λ, n and the exchange field mean what
    they say; a reader that found otherwise has warned.
    """
    return bool(h.provenance.results.get("spin_pure", True))


def number(text: str | None, what: str) -> float | None:
    """The number in a field, None if it is empty.

    Raises:
        SettingsError: it is no number.
    """
    if not (text or "").strip():
        return None
    try:
        return float(text or "")
    except ValueError:
        raise SettingsError(f"{what} {text!r} is not a number.") from None
