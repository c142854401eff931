"""Options that several commands share, said once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import MISSING, asdict, dataclass, fields
from functools import wraps
from typing import Annotated, Any, get_args, get_type_hints

import typer

from hamexplorer.errors import SettingsError

__all__ = [
    "Calculation",
    "Json",
    "Quiet",
    "calculation_options",
    "numbers",
    "with_calculation",
]

Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout, no progress: for scripts.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]

_PANEL = "Calculation"


def _option(*names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=_PANEL)


@dataclass(frozen=True)
class Calculation:
    """How the Hamiltonian of a structure is computed; what is None the engine chooses.

    The fields are the command line's options; :meth:`settings` are the engine's.
    """

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
        """Fields of :class:`~hamexplorer.dft.settings.DftSettings` that were given."""
        given = asdict(self)
        for name in ("magmom", "primitive", "no_cache", "no_soc", "kmesh", "memory_limit"):
            del given[name]
        if self.kmesh is not None:
            given["kmesh"] = numbers(self.kmesh, "--kmesh", 3, int, "6,6,1")
        if self.memory_limit is not None:
            given["memory_limit"] = self.memory_limit * 1e9
        if self.no_soc:
            given["spin_orbit"] = False
        return {name: value for name, value in given.items() if value is not None}


def calculation_options(
    *, apart: Sequence[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of :class:`Calculation` in place of its last parameter.

    The command takes keyword arguments and one named ``calculation``. Fields named in ``apart``,
    whose names the command needs for itself, are offered as ``--scf-NAME``.
    """
    hints = get_type_hints(Calculation, include_extras=True)
    # the parameter's name by the field's
    names = {f.name: f"scf_{f.name}" if f.name in apart else f.name for f in fields(Calculation)}
    options = [
        inspect.Parameter(
            names[field.name],
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=_apart(hints[field.name]) if field.name in apart else hints[field.name],
        )
        for field in fields(Calculation)
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters

        @wraps(command)
        def wrapped(**given: Any) -> None:
            calculation = Calculation(**{field: given.pop(name) for field, name in names.items()})
            command(**given, calculation=calculation)

        kept = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in own.items()
            if name != "calculation"
        ]
        signature = inspect.Signature([*kept, *options])
        wrapped.__signature__ = signature  # type: ignore[attr-defined]
        wrapped.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
        del wrapped.__wrapped__  # typer would look behind it
        return wrapped

    return decorate


def with_calculation(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` all options of :class:`Calculation`; see :func:`calculation_options`."""
    return calculation_options()(command)


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
