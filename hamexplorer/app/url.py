"""The view in the address bar: short, complete, and forgiving when read.

``?s=mos2-1h&p=bands&soc=1.2&theta=90`` ... Only what differs from the default is written. A value
that is damaged or unknown gives the default and a note; it never breaks the page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from hamexplorer.app.state import MAE_VIEWS, PAGES, SHIFT_CHOICES, SOURCES, AppState
from hamexplorer.properties.valley import MAP_FIELDS

__all__ = ["FIELDS", "read_query", "write_query"]

_MAX_QUERY = 2000
_COMPONENT = re.compile(r"S|H|A|B[xyz]?|L[xyz]|re|im|abs")
_COLOUR = re.compile(r"none|spin_[xyzn]|(element|site|shell|l):[\w −\-+²=()]{1,24}")
_SITE = r"\d{1,5}"
_PAIR = re.compile(rf"({_SITE})\.({_SITE})\.(-?\d{{1,3}})\.(-?\d{{1,3}})\.(-?\d{{1,3}})")
_FIELD_ATOMS = re.compile(r"all|(element|site):[A-Za-z]{1,3}\d{0,5}")
_GALLERY = re.compile(r"[a-z0-9-]{1,40}")
_LONG_UNITS = {
    "cell": "meV_per_cell",
    "atom": "meV_per_atom",
    "uev": "ueV_per_atom",
    "mj": "MJ_per_m3",
}
_SHORT_UNITS = {long: short for short, long in _LONG_UNITS.items()}
_METHODS = {"second": "second variation", "exact": "exact"}
_COMPARED = re.compile(r"[HAB]|B[xyz]|L[xyz]")
_STORED = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class _Field:
    """How one parameter is written: ``read`` raises ValueError for what it does not accept."""

    name: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError(text)
        return value

    return read


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError(text)
        return text

    return read


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(text)
    return text == "1"


def _page(text: str) -> str:
    if text not in PAGES:
        raise ValueError(text)
    return text


def _one_of(names: dict[str, str]) -> Callable[[str], str]:
    """Reads the short names that an address uses."""

    def read(text: str) -> str:
        if text not in names:
            raise ValueError(text)
        return names[text]

    return read


def _window(text: str) -> tuple[float, float]:
    low, high = (_number(-500, 500)(part) for part in text.split(","))
    if not low < high:
        raise ValueError(text)
    return low, high


def _integers(text: str, count: int, low: int, high: int, mark: str) -> tuple[int, ...]:
    values = tuple(int(part) for part in text.split(mark))
    if len(values) != count or not all(low <= v <= high for v in values):
        raise ValueError(text)
    return values


def _atoms(text: str) -> list[int]:
    values = [int(part) for part in text.split(".")]
    if len(values) > 2 or not all(0 <= v < 20_000 for v in values):
        raise ValueError(text)
    return values


def _pair(text: str) -> tuple[int, int, tuple[int, int, int]]:
    match = _PAIR.fullmatch(text)
    if match is None:
        raise ValueError(text)
    i, j, a, b, c = (int(part) for part in match.groups())
    return i, j, (a, b, c)


def _write_camera(camera: dict[str, Any]) -> str:
    return ",".join(f"{x:.4g}" for key in ("position", "target") for x in camera[key])


def _camera(text: str) -> dict[str, Any]:
    values = [_number(-1e5, 1e5)(part) for part in text.split(",")]
    if len(values) != 6:
        raise ValueError(text)
    return {"position": values[:3], "target": values[3:]}


def _plain(value: float) -> str:
    return f"{value:.6g}"


FIELDS: dict[str, _Field] = {
    "p": _Field("page", str, _page),
    "source": _Field("source", str, _one_of({name: name for name in SOURCES})),
    "soc": _Field("soc", _plain, _number(0, 2)),
    "theta": _Field("theta", _plain, _number(0, 180)),
    "phi": _Field("phi", _plain, _number(0, 360)),
    "x": _Field("exchange", _plain, _number(0, 2)),
    "colour": _Field("colour", str, _matching(_COLOUR)),
    "e": _Field("energies", lambda w: ",".join(_plain(x) for x in w), _window),
    "off": _Field("show_off", lambda b: str(int(b)), _flag),
    "at": _Field(
        "point",
        lambda p: f"{p[0]}.{p[1]}",
        lambda t: _integers(t, 2, 0, 100_000, "."),
    ),
    "atoms": _Field("atoms", lambda a: ".".join(map(str, a)), _atoms),
    "pair": _Field("pair", lambda p: ".".join(map(str, (p[0], p[1], *p[2]))), _pair),
    "m": _Field("component", str, _matching(_COMPONENT)),
    "cells": _Field(
        "supercell",
        lambda c: "x".join(map(str, c)),
        lambda t: _integers(t, 3, 1, 20, "x"),
    ),
    "cam": _Field("camera", _write_camera, _camera),
    "v": _Field("map_field", str, _one_of({name: name for name in MAP_FIELDS})),
    "b": _Field("field", _plain, _number(-100, 100)),
    "on": _Field("field_atoms", str, _matching(_FIELD_ATOMS)),
    "view": _Field("mae_view", str, _one_of({name: name for name in MAE_VIEWS})),
    "unit": _Field("mae_unit", lambda u: _SHORT_UNITS[u], _one_of(_LONG_UNITS)),
    "mesh": _Field(
        "mae_mesh",
        lambda m: "x".join(map(str, m)),
        lambda t: _integers(t, 3, 1, 99, "x"),
    ),
    "kt": _Field("mae_smearing", _plain, _number(0.001, 2)),
    "dipoles": _Field("mae_dipoles", lambda b: str(int(b)), _flag),
    "method": _Field("mae_method", lambda m: m.split()[0], _one_of(_METHODS)),
    "shift": _Field("shift", str, _one_of({name: name for name in SHIFT_CHOICES})),
    "d": _Field("compared", str, _matching(_COMPARED)),
    "w": _Field("near_gap", lambda w: ",".join(_plain(x) for x in w), _window),
    "dark": _Field("dark", lambda b: str(int(b)), _flag),
}
"""Query key → parameter of :class:`AppState` and its spelling; ``s`` and ``h`` name the crystal
(with both, ``s`` is opened where the cache does not hold ``h``), ``c`` what it is compared with."""


def write_query(state: AppState) -> str:
    """The query (``?...`` or empty) that :func:`read_query` turns into the same view."""
    parts: dict[str, str] = {}
    subject = state.subject
    if subject is not None and subject.gallery:
        parts["s"] = subject.gallery
    if subject is not None and subject.stored and not (subject.gallery and _is_plain(state)):
        parts["h"] = subject.stored
    if state.second is not None and state.second.stored:
        parts["c"] = state.second.stored
    for key, field in FIELDS.items():
        value = getattr(state, field.name)
        if value is not None and value != state.param[field.name].default:
            parts[key] = field.write(value)
    return "?" + urlencode(parts, quote_via=quote, safe=":,.") if parts else ""


def _is_plain(state: AppState) -> bool:
    """Whether the example on the page, opened anew, would be answered by the same engine."""
    h = state.hamiltonian
    if h is None:
        return True
    named = [source for source in SOURCES if source not in ("auto", "dft")]
    answered, asked = h.provenance.source, state.source
    return answered == asked if answered in named else asked not in named


def read_query(query: str) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """What a query asks for: parameters of :class:`AppState`, the crystal's name, and notes.

    The second is ``{"gallery": name}``, ``{"stored": key}``, both or empty; with
    ``{"second": key}`` for what it is compared with.
    """
    values: dict[str, Any] = {}
    crystal: dict[str, str] = {}
    notes: list[str] = []
    if len(query) > _MAX_QUERY:
        return {}, {}, [f"The address is longer than {_MAX_QUERY} characters; it was not read."]
    try:
        items = parse_qsl(query.removeprefix("?"), keep_blank_values=True)
    except ValueError:
        return {}, {}, ["The address could not be read; this is the default view."]
    for key, text in items:
        try:
            if key == "s":
                crystal["gallery"] = _matching(_GALLERY)(text)
            elif key == "h":
                crystal["stored"] = _matching(_STORED)(text)
            elif key == "c":
                crystal["second"] = _matching(_STORED)(text)
            elif key in FIELDS:
                values[FIELDS[key].name] = FIELDS[key].read(text)
            else:
                notes.append(f"The address asks for {key[:20]!r}, which is not known here.")
        except (ValueError, OverflowError):
            notes.append(
                f"The address asks for {key} = {text[:40]!r}, which cannot be read; "
                "the default is shown."
            )
    return values, crystal, notes
