"""The crystal beside every page: follows the dial, answers clicks on atoms."""

from __future__ import annotations

from typing import Any

import param

from hamexplorer.app.facts import is_spin_pure
from hamexplorer.app.jobs import Latest, Post
from hamexplorer.app.state import COLOUR_NONE, AppState
from hamexplorer.app.viewer import Bonds, CrystalViewer, crystal_scene, find_bonds
from hamexplorer.errors import HamiltonianError

__all__ = ["CrystalPane"]


class CrystalPane:
    """The one viewer of a page, bound to its state.

    A click selects an atom and projects the bands onto it; a second one with Shift (on the
    Hamiltonian page without, too) opens the block of both; a click beside all atoms clears.
    """

    def __init__(self, state: AppState, post: Post) -> None:
        self._state = state
        self._latest = Latest(post, self._failed)
        self._bonds: tuple[object, Bonds] | None = None
        self._first_image = (0, 0, 0)
        self.viewer = CrystalViewer(
            min_height=180,
            dark=state.dark,
            spin_theta=state.theta,
            spin_phi=state.phi,
            spin_label=self._arrow_label(),
            selected=list(state.atoms),
            camera=state.camera,
        )
        state.param.watch(self._draw, ["subject", "supercell"])
        state.param.watch(self._follow, ["theta", "phi", "dark", "atoms"])
        state.param.watch(self._axis, ["easy_axis", "page"])
        self.viewer.param.watch(self._clicked, "clicked")
        self.viewer.param.watch(self._camera, "camera")
        self._draw()

    def _draw(self, *_: param.parameterized.Event) -> None:
        self.viewer.spin_label = self._arrow_label()
        subject, supercell = self._state.subject, self._state.supercell
        if subject is None:
            return
        structure = subject.structure

        def work() -> dict[str, Any]:
            if self._bonds is None or self._bonds[0] is not structure:
                self._bonds = (structure, find_bonds(structure))
            return crystal_scene(structure, supercell, bonds=self._bonds[1])

        def done(scene: dict[str, Any]) -> None:
            wanted = self._state.camera
            self.viewer.scene = scene
            if wanted is not None and self.viewer.camera != wanted:
                self.viewer.camera = wanted

        self._latest.request(work, done)

    def _arrow_label(self) -> str:
        """M turns with θ and φ only where there is one; elsewhere they turn an axis n."""
        h = self._state.hamiltonian
        return "M" if h is not None and h.is_magnetic and is_spin_pure(h) else "n"

    def _failed(self, error: Exception) -> None:
        self._state.tell("error", str(error))
        if self._state.supercell != (1, 1, 1):
            self._state.supercell = (1, 1, 1)

    def _follow(self, *_: param.parameterized.Event) -> None:
        self.viewer.param.update(
            spin_theta=self._state.theta,
            spin_phi=self._state.phi,
            dark=self._state.dark,
            selected=list(self._state.atoms),
        )

    def _axis(self, *_: param.parameterized.Event) -> None:
        axis = self._state.easy_axis if self._state.page == "anisotropy" else None
        self.viewer.axis = [] if axis is None else [x + 0.0 for x in axis]

    def _camera(self, event: param.parameterized.Event) -> None:
        if event.new is not None:
            self._state.camera = {key: list(event.new[key]) for key in ("position", "target")}

    def _clicked(self, event: param.parameterized.Event) -> None:
        click = event.new
        state = self._state
        if not click:
            return
        site = click.get("site")
        if site is None:
            projected = state.colour.startswith("site:")
            state.param.update(atoms=[], colour=COLOUR_NONE if projected else state.colour)
            return
        a, b, c = (int(x) for x in click["image"])
        image = (a, b, c)
        second = len(state.atoms) == 1 and (click.get("shift") or state.page == "hamiltonian")
        if second:
            self._open_block(state.atoms[0], site, image)
            return
        self._first_image = image
        changes: dict[str, Any] = {"atoms": [site]}
        if state.page != "hamiltonian" and state.hamiltonian is not None:
            changes["colour"] = f"site:{state.hamiltonian.basis.site_labels[site]}"
        state.param.update(**changes)

    def _open_block(self, first: int, second: int, image: tuple[int, int, int]) -> None:
        h = self._state.hamiltonian
        if h is None:
            return
        a, b, c = (x - y for x, y in zip(image, self._first_image, strict=True))
        try:
            h.pairs.index(first, second, (a, b, c))
        except HamiltonianError as error:
            self._state.tell("info", f"{error} The two atoms are too far apart.")
            return
        atoms = [first] if first == second else [first, second]
        self._state.param.update(pair=(first, second, (a, b, c)), atoms=atoms, page="hamiltonian")
