"""What one visitor sees and has chosen: the single source that all panes read and write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import param
from pymatgen.core import Structure

from hamexplorer.dft.settings import DftSettings
from hamexplorer.dft.superposed.settings import SuperposedSettings
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.plots.anisotropy_data import UNITS
from hamexplorer.progress import ProgressEvent
from hamexplorer.properties.comparison import SHIFTS
from hamexplorer.properties.valley import MAP_FIELDS

__all__ = [
    "COLOUR_NONE",
    "FIELD_EVERYWHERE",
    "MAE_METHODS",
    "MAE_VIEWS",
    "MAX_NOTICES",
    "PAGES",
    "SHIFT_CHOICES",
    "SOURCES",
    "AppState",
    "Approximation",
    "Job",
    "Notice",
    "Pair",
    "Subject",
]

PAGES = ("structure", "bands", "hamiltonian", "valleys", "anisotropy", "compare")
"""Names of the pages, in the order of the menu."""
MAX_NOTICES = 3
"""The newest ones stand on the page; more would leave no place for the plots."""
COLOUR_NONE = "none"
FIELD_EVERYWHERE = "all"
MAE_VIEWS = ("angles", "origin", "convergence")
"""What the Anisotropy page shows."""
MAE_METHODS = ("second variation", "exact")
SHIFT_CHOICES = ("auto", *SHIFTS)
"""How the constant between two Hamiltonians is chosen."""
SOURCES = ("auto", "dft", "superposed", "learned")
"""Who computes the Hamiltonian of a structure; ``auto``: see :mod:`hamexplorer.app.answering`."""

Pair = tuple[int, int, tuple[int, int, int]]
"""Sites i (in cell 0) and j (in cell R), and R."""


@dataclass(frozen=True)
class Approximation:
    """What is told beside an answer that is not DFT's.

    Attributes:
        who: answered, as within a sentence: ``superposed atoms``.
        accuracy: the source's, in words.
        why: what kept DFT from answering; empty if nothing did.
        dft_seconds: what DFT would take; None: it refuses the crystal.
    """

    who: str
    accuracy: str
    why: str = ""
    dft_seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Subject:
    """The crystal on the page and, once there is one, its Hamiltonian.

    ``gallery`` is the example's name and ``stored`` the start of the cache entry's key, either
    may be empty: with neither, a link cannot lead back to it. ``approximation`` is there where
    superposed atoms or a learned model answer.
    """

    structure: Structure
    hamiltonian: Hamiltonian | None = None
    title: str = ""
    gallery: str = ""
    stored: str = ""
    approximation: Approximation | None = None


@dataclass(frozen=True)
class Job:
    """A calculation that runs, or one (``waiting``) that the user has yet to start."""

    description: str
    waiting: bool = False
    event: ProgressEvent | None = None


@dataclass(frozen=True)
class Notice:
    """Something to tell: ``severity`` is ``error``, ``warning`` or ``info``."""

    severity: Literal["error", "warning", "info"]
    text: str


class AppState(param.Parameterized):
    """The state of one page. What the address bar carries is listed in ``app.url``."""

    subject = param.ClassSelector(class_=Subject, default=None)
    source: Any = param.Selector(default="auto", objects=list(SOURCES))
    settings = param.ClassSelector(class_=DftSettings, default=DftSettings())
    superposed = param.ClassSelector(class_=SuperposedSettings, default=SuperposedSettings())
    job = param.ClassSelector(class_=Job, default=None)
    notices = param.List(default=[], item_type=Notice)

    page: Any = param.Selector(default="bands", objects=list(PAGES))
    dark = param.Boolean(default=False)

    soc = param.Number(default=1.0, bounds=(0, 2))
    theta = param.Number(default=0.0, bounds=(0, 180))
    phi = param.Number(default=0.0, bounds=(0, 360))
    exchange = param.Number(default=1.0, bounds=(0, 2))

    colour = param.String(
        default=COLOUR_NONE, doc="none, spin_x … spin_z, spin_n or GROUPING:GROUP (element:Mo)."
    )
    energies = param.Range(default=(-6.0, 6.0), doc="Window, eV from E_F.")
    show_off = param.Boolean(default=True)
    point: Any = param.Parameter(
        default=None, doc="The inspected state: index of the k-point on the path, and band."
    )

    atoms = param.List(default=[], item_type=int, doc="Selected sites.")
    pair: Any = param.Parameter(default=None, doc="The block on the Hamiltonian page.")
    component = param.String(default="H", doc="What is shown of it.")
    easy_axis: Any = param.Parameter(
        default=None, doc="Unit vector to draw in the crystal on the Anisotropy page, or None."
    )
    supercell: Any = param.NumericTuple(default=(1, 1, 1), length=3)
    camera = param.Dict(default=None, allow_None=True)

    map_field: Any = param.Selector(default="curvature", objects=list(MAP_FIELDS))
    field = param.Number(default=0.0, bounds=(-100, 100), doc="Spin splitting by a field, meV.")
    field_atoms = param.String(
        default=FIELD_EVERYWHERE, doc="Where the field acts: all, element:Mo or site:S2."
    )

    mae_view: Any = param.Selector(default="angles", objects=list(MAE_VIEWS))
    mae_unit: Any = param.Selector(default="meV_per_cell", objects=list(UNITS))
    mae_mesh: Any = param.Parameter(default=None, doc="Divisions of the k mesh, or None: chosen.")
    mae_smearing = param.Number(default=0.1, bounds=(0.001, 2), doc="kT, eV.")
    mae_method: Any = param.Selector(default="second variation", objects=list(MAE_METHODS))
    mae_dipoles = param.Boolean(default=False, doc="Whether the dipoles' energy is added.")

    second = param.ClassSelector(
        class_=Subject, default=None, doc="What the open Hamiltonian is compared with."
    )
    shift: Any = param.Selector(default="auto", objects=list(SHIFT_CHOICES))
    compared = param.String(default="H", doc="The component whose errors are drawn.")
    near_gap = param.Range(default=(-2.0, 2.0), doc="Bands that are compared, eV from the edges.")

    @property
    def hamiltonian(self) -> Hamiltonian | None:
        """The Hamiltonian on the page."""
        return None if self.subject is None else self.subject.hamiltonian

    @property
    def spin_state(self) -> SpinState:
        """What the dial says."""
        return SpinState(self.soc, self.theta, self.phi, self.exchange)

    def tell(self, severity: Literal["error", "warning", "info"], text: str) -> None:
        """Add a notice on top of the page; the same one is not repeated."""
        notice = Notice(severity, text)
        if notice not in self.notices:
            self.notices = [*self.notices, notice][-MAX_NOTICES:]

    def forget_errors(self) -> None:
        """Drop what went wrong before, when the visitor tries something else or it succeeds."""
        kept = [notice for notice in self.notices if notice.severity != "error"]
        if len(kept) < len(self.notices):
            self.notices = kept

    def show(self, subject: Subject) -> None:
        """Change the subject; selections that mean nothing for it are dropped with it."""
        same = self.subject is not None and self.subject.structure == subject.structure
        changes: dict[str, Any] = {"subject": subject}
        if not same:
            changes |= {"atoms": [], "pair": None, "point": None, "camera": None}
            if ":" in self.colour:
                changes["colour"] = COLOUR_NONE
            changes["field_atoms"] = FIELD_EVERYWHERE
        self.param.update(**changes)
