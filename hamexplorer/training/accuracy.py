"""Errors by family: the table of a model's card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from hamexplorer.training.evaluation import CrystalErrors, Errors

__all__ = ["FamilyErrors", "accuracy_data", "accuracy_text", "by_family"]

ALL = "all"


@dataclass(frozen=True)
class FamilyErrors:
    """Means and maxima over the crystals of a family, meV; None where no crystal has a quantity.

    A maximum of ``near_gap`` is that of the crystals' means; of ``near_gap_max``, of all states.
    """

    family: str
    count: int
    mean: Errors
    largest: Errors
    zero: Errors
    worst: str


def by_family(found: Sequence[CrystalErrors]) -> list[FamilyErrors]:
    """Families in the order of their first crystals, then all together if there are several.

    ``zero`` is the mean of H0 alone, ``worst`` the crystal with the largest near-gap mean.
    """
    names = list(dict.fromkeys(one.family for one in found))
    groups = {name: [one for one in found if one.family == name] for name in names}
    if len(groups) > 1:
        groups[ALL] = list(found)
    return [
        FamilyErrors(
            name,
            len(own),
            _over([one.model for one in own], "mean"),
            _over([one.model for one in own], "max"),
            _over([one.zero for one in own], "mean"),
            max(own, key=lambda one: one.model.near_gap).name,
        )
        for name, own in groups.items()
    ]


def accuracy_data(found: Sequence[CrystalErrors]) -> dict[str, Any]:
    """Plain data: errors by family and by crystal, meV."""
    return {
        "unit": "meV",
        "families": [asdict(one) for one in by_family(found)],
        "crystals": [asdict(one) for one in found],
    }


def accuracy_text(found: Sequence[CrystalErrors]) -> str:
    """The table as text: mean (max) of the model, and the mean of H0 alone for the bands."""
    header = (
        "family", "n", "ΔH", "near gap", "largest", "gap", "Γ–K", "splitting", "near gap of H0"
    )  # fmt: skip
    rows: list[tuple[str, ...]] = [header]
    for one in by_family(found):
        columns = [
            _pair(getattr(one.mean, name), getattr(one.largest, name))
            for name in ("elements", "near_gap", "near_gap_max", "gap", "valley", "splitting")
        ]
        columns[2] = _number(one.largest.near_gap_max)
        rows.append((one.family, str(one.count), *columns, _number(one.zero.near_gap)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = [
        "  ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(["Errors in meV, mean (max) over crystals:", *lines])


def _over(errors: Sequence[Errors], how: Literal["mean", "max"]) -> Errors:
    values: dict[str, Any] = {}
    for field in fields(Errors):
        own = [v for e in errors if (v := getattr(e, field.name)) is not None]
        if not own:
            values[field.name] = None
        else:
            values[field.name] = sum(own) / len(own) if how == "mean" else max(own)
    return Errors(**values)


def _pair(mean: float | None, largest: float | None) -> str:
    if mean is None or largest is None:
        return "–"
    return f"{_number(mean)} ({_number(largest)})"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
