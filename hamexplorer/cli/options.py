"""Options that several commands share, said once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import MISSING, asdict, dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args, get_type_hints

import typer

from hamexplorer.errors import SettingsError

if TYPE_CHECKING:
    from hamexplorer.formats import ReadOptions, SpinOrder

__all__ = [
    "GIVEN",
    "Calculation",
    "Given",
    "Json",
    "Quiet",
    "Reading",
    "numbers",
    "option_groups",
    "with_groups",
]

GIVEN = "STRUCTURE|HAMILTONIAN"
Given = Annotated[
    str,
    typer.Argument(
        metavar=GIVEN, help="File, folder or archive of a known format; or gallery:NAME."
    ),
]

Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout, no progress: for scripts.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]

_CALCULATION = "Calculation of a structure's Hamiltonian"
_READING = "Facts that a Hamiltonian's file does not tell"


def _option(*names: str, help: str, metavar: str | None = None, panel: str = _CALCULATION) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel)


@dataclass(frozen=True)
class Calculation:
    """How the Hamiltonian of a structure is computed; what is None the engine chooses.

    The fields are the command line's options; :meth:`settings` are those of the source.
    """

    source: Annotated[
        str,
        _option(
            "--source",
            metavar="dft|superposed|learned",
            help="superposed: free atoms with fitted potentials, not self-consistent: any size, an "
            "approximation. learned: corrected by a network, for the crystals that it was trained "
            "on.",
        ),
    ] = "dft"
    basis: Annotated[str | None, _option("--basis", help="Name of the Gaussian basis.")] = None
    kmesh: Annotated[
        str | None,
        _option("--kmesh", metavar="N N N", help="Γ-centred mesh of the SCF; 6 6 1."),
    ] = None
    kspacing: Annotated[
        float | None, _option("--kspacing", help="Largest distance of mesh points, 1/Å.")
    ] = None
    cutoff: Annotated[
        float | None, _option("--cutoff", help="Cutoff of the real-space grid, Ha.")
    ] = None
    smearing: Annotated[float | None, _option("--smearing", help="Fermi-Dirac width kT, Ha.")] = (
        None
    )
    grid_spacing: Annotated[
        float | None,
        _option(
            "--grid-spacing", help="With --source superposed, learned: of the real-space grid, Å."
        ),
    ] = None
    unfitted: Annotated[
        bool,
        _option("--unfitted", help="With --source superposed: without the fitted potentials."),
    ] = False
    weights: Annotated[
        str | None,
        _option(
            "--weights",
            metavar="FILE",
            help="With --source learned: of the model, .safetensors; default: the shipped ones.",
        ),
    ] = None
    spin: Annotated[
        str | None, _option("--spin", metavar="auto|none|collinear", help="Spin polarisation.")
    ] = None
    magmom: Annotated[
        str | None,
        _option("--magmom", metavar="Fe=3,Pt=0.4", help="Starting moments in µB; Fe1=3,Fe2=-3."),
    ] = None
    electrostatics: Annotated[
        str | None,
        _option("--electrostatics", metavar="auto|periodic|slab", help="Boundary along c."),
    ] = None
    no_soc: Annotated[bool, _option("--no-soc", help="Without the spin-orbit part.")] = False
    precision: Annotated[
        str | None,
        _option("--precision", metavar="single|double", help="Of the orbitals on the grid."),
    ] = None
    max_iterations: Annotated[int | None, _option("--max-iterations", help="Of the SCF.")] = None
    max_atoms: Annotated[int | None, _option("--max-atoms", help="Largest cell.")] = None
    memory_limit: Annotated[
        float | None, _option("--memory-limit", help="Refuse to start beyond so many GB.")
    ] = None
    threads: Annotated[
        int | None,
        _option("--threads", help="Default: OMP_NUM_THREADS, else all cores of the process."),
    ] = None
    primitive: Annotated[
        bool, _option("--primitive", help="Reduce to the standard primitive cell first.")
    ] = False
    no_cache: Annotated[
        bool, _option("--no-cache", help="Neither read nor write the disk cache.")
    ] = False

    def settings(self) -> dict[str, Any]:
        """What was given, as fields of :class:`~hamexplorer.dft.settings.DftSettings` or
        :class:`~hamexplorer.dft.superposed.settings.SuperposedSettings`, and ``weights``.
        """
        given = asdict(self)
        for name in _NOT_SETTINGS:
            del given[name]
        if self.grid_spacing is not None:
            given["spacing"] = self.grid_spacing
        if self.unfitted:
            given["residual"] = False
        if self.kmesh is not None:
            given["kmesh"] = numbers(self.kmesh, "--kmesh", 3, int, "6,6,1")
        if self.memory_limit is not None:
            given["memory_limit"] = self.memory_limit * 1e9
        if self.no_soc:
            given["spin_orbit"] = False
        return {name: value for name, value in given.items() if value is not None}

    def check_source(self, apart: Sequence[str] = ()) -> None:
        """Refuse an unknown source, and options that another source has; ``apart`` as in
        :func:`option_groups`.

        Raises:
            SettingsError: it names the option.
        """
        if self.source not in _OWN:
            raise SettingsError(f"--source must be one of {', '.join(_OWN)}, not {self.source!r}.")
        for field in fields(self):
            owners = [name for name, own in _OWN.items() if field.name in own]
            if owners and self.source not in owners and getattr(self, field.name) != field.default:
                own = ", ".join(_long(name, apart) for name in _OWN[self.source])
                raise SettingsError(
                    f"{_long(field.name, apart)} goes with --source {' or '.join(owners)}; of "
                    f"--source {self.source} there are {own}, and what all have."
                )


_CONVERTED = ("kmesh", "memory_limit", "no_soc", "grid_spacing", "unfitted")
"""Options that the engines have under another name, or in another unit."""
_OWN = {
    "dft": ("kmesh", "kspacing", "cutoff", "smearing", "precision", "max_iterations"),
    "superposed": ("grid_spacing", "unfitted"),
    "learned": ("grid_spacing", "weights"),
}
"""Options that not all sources have."""
_NOT_SETTINGS = ("source", "magmom", "primitive", "no_cache", *_CONVERTED)


@dataclass(frozen=True)
class Reading:
    """What the owner of a foreign file knows and the file does not tell; all optional."""

    electrons: Annotated[
        float | None, _option("--electrons", help="Per cell, both spins.", panel=_READING)
    ] = None
    fermi: Annotated[
        float | None,
        _option(
            "--fermi", help="Fermi energy, eV: electrons are counted up to it.", panel=_READING
        ),
    ] = None
    structure: Annotated[
        str | None,
        _option("--structure", metavar="FILE", help="The crystal.", panel=_READING),
    ] = None
    spin_order: Annotated[
        str | None,
        _option("--spin-order", metavar="block|interleaved", help="Of spinors.", panel=_READING),
    ] = None
    index: Annotated[
        int, _option("--index", help="Which crystal of several, from 0.", panel=_READING)
    ] = 0

    def options(self) -> ReadOptions:
        """The same as the formats take it.

        Raises:
            HamexplorerError: a value outside its range, or a structure that cannot be read.
        """
        from hamexplorer.cli.inputs import load_structure_input
        from hamexplorer.formats import ReadOptions

        return ReadOptions(
            n_electrons=self.electrons,
            fermi_energy=self.fermi,
            structure=None if self.structure is None else load_structure_input(self.structure),
            spin_order=cast("SpinOrder | None", self.spin_order),  # checked there
            index=self.index,
        )


_GROUPS = (Calculation, Reading)


def option_groups(
    *, apart: Sequence[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of its groups.

    A parameter of the type :class:`Calculation` or :class:`Reading` is replaced by the fields of
    that class. Fields named in ``apart``, whose names the command needs for itself, are offered as
    ``--scf-NAME``.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters
        groups = {name: p.annotation for name, p in own.items() if p.annotation in _GROUPS}

        @wraps(command)
        def wrapped(**given: Any) -> None:
            for name, group in groups.items():
                values = {f.name: given.pop(_offered(f.name, apart)) for f in fields(group)}
                made = given[name] = group(**values)
                if isinstance(made, Calculation):
                    made.check_source(apart)
            command(**given)

        kept = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in own.items()
            if name not in groups
        ]
        options = [option for group in groups.values() for option in _options(group, apart)]
        signature = inspect.Signature([*kept, *options])
        wrapped.__signature__ = signature  # type: ignore[attr-defined]
        wrapped.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
        del wrapped.__wrapped__  # typer would look behind it
        return wrapped

    return decorate


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` all options of its groups; see :func:`option_groups`."""
    return option_groups()(command)


def _options(group: type, apart: Sequence[str]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            _offered(field.name, apart),
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=_apart(hints[field.name]) if field.name in apart else hints[field.name],
        )
        for field in fields(group)
    ]


def _offered(field: str, apart: Sequence[str]) -> str:
    """Name of the parameter for a field."""
    return f"scf_{field}" if field in apart else field


def _long(field: str, apart: Sequence[str]) -> str:
    """Name of the option for a field."""
    return "--" + _offered(field, apart).replace("_", "-")


def _apart(hint: Any) -> Any:
    """The same option under ``--scf-NAME``."""
    kind, option = get_args(hint)
    renamed = copy(option)
    # typer keeps the first name of an annotated option in the place of its default
    renamed.default = f"--scf-{option.default.removeprefix('--')}"
    return Annotated[kind, renamed]


def numbers(
    text: str, option: str, count: int, kind: Callable[[str], Any], example: str
) -> tuple[Any, ...]:
    """``count`` numbers from ``text``, parted by commas (or ``x``, or blanks).

    Raises:
        SettingsError: naming the option, what was given, and an example.
    """
    parts = text.replace("x", ",").replace(" ", ",").split(",")
    try:
        values = tuple(kind(part) for part in parts)
    except ValueError:
        values = ()
    if len(values) != count:
        what = "whole numbers" if kind is int else "numbers"
        raise SettingsError(f"{option} takes {count} {what} such as {example}, not {text!r}.")
    return values
