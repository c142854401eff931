"""What a person or a script is told about a model."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from hamexplorer.model.model import HamiltonianModel

__all__ = ["model_data", "model_table"]

_NAMES = {"scalar": "H without spin-orbit", "spin_orbit": "spin-orbit"}


def model_data(model: HamiltonianModel) -> dict[str, Any]:
    """Networks, orbitals, elements and card."""
    layout = model.layout
    return {
        "card": asdict(model.card),
        "fingerprint": model.fingerprint,
        "n_parameters": model.n_parameters,
        "channels": {
            kind: _hyperparameters(channel.backbone.hyperparameters)
            for kind, channel in model.channels.items()
        },
        "shells": [shell.label for shell in layout.shells],
        "orbitals": layout.width,
        "elements": {s: [shell.label for shell in own] for s, own in layout.elements.items()},
    }


def model_table(model: HamiltonianModel) -> Table:
    """The same for people."""
    card, layout = model.card, model.layout
    rows = [("model", card.title)]
    rows += [
        (name, text or "not told")
        for name, text in (
            ("training set", card.training_set),
            ("accuracy", card.accuracy),
            ("licence", card.licence),
        )
    ]
    for kind, channel in model.channels.items():
        p = channel.backbone.hyperparameters
        late = ", first pair interaction idle" if p.legacy_edge_update else ""
        rows += [
            (_NAMES[kind], f"{p.n_layers} layers, {p.n_radial} Bessel to {p.cutoff:g} bohr{late}"),
            ("features", str(p.features)),
            ("edge harmonics", str(p.harmonics)),
        ]
    labels = " ".join(shell.label for shell in layout.shells)
    rows += [
        ("parameters", f"{model.n_parameters:,}"),
        ("orbitals", f"{layout.width}: {labels}"),
        ("elements", f"{len(layout.elements)}: {' '.join(layout.elements)}"),
        ("fingerprint", model.fingerprint[:16] + "…"),
    ]
    files = card.origin.get("files")
    if isinstance(files, dict):
        rows += [(f"SHA-256 of {name}", f"{str(sha)[:16]}…") for name, sha in files.items()]
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    return table


def _hyperparameters(p: Any) -> dict[str, Any]:
    values = {name: getattr(p, name) for name in p.__dataclass_fields__}
    return {**values, "features": str(p.features), "harmonics": str(p.harmonics)}
