"""What a person or a script is told about a model."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from hamexplorer.model.delta.model import DeltaModel
    from hamexplorer.model.model import HamiltonianModel, ModelCard

__all__ = ["delta_data", "delta_table", "model_data", "model_table"]

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
    rows = _card_rows(card)
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
    return _table(rows)


def delta_data(model: DeltaModel) -> dict[str, Any]:
    """Card, orbitals and elements of a learned ΔH."""
    elements = model.network.layout.elements
    return {
        "card": asdict(model.card),
        "fingerprint": model.fingerprint,
        "n_parameters": model.n_parameters,
        "cutoff_A": model.network.cutoff,
        "elements": {s: [shell.label for shell in own] for s, own in elements.items()},
        "pairs": sorted(f"{a}-{b}" for a, b in model.pairs_known if a <= b),
        "knows_its_domain": model.domain is not None,
    }


def delta_table(model: DeltaModel) -> Table:
    """The same for people."""
    data = delta_data(model)
    return _table(
        [
            *_card_rows(model.card),
            ("what it predicts", "ΔH on top of superposed atoms: --source learned --weights"),
            ("cutoff", f"{model.network.cutoff:g} Å"),
            ("parameters", f"{model.n_parameters:,}"),
            *((f"orbitals of {s}", " ".join(labels)) for s, labels in data["elements"].items()),
            ("pairs of elements", " ".join(data["pairs"])),
            ("tells foreign atoms", "yes" if model.domain is not None else "no"),
            ("fingerprint", model.fingerprint[:16] + "…"),
        ]
    )


def _card_rows(card: ModelCard) -> list[tuple[str, str]]:
    told = {
        "training set": card.training_set,
        "accuracy": card.accuracy,
        "licence": card.licence,
    }
    return [("model", card.title), *((name, text or "not told") for name, text in told.items())]


def _table(rows: list[tuple[str, str]]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    return table


def _hyperparameters(p: Any) -> dict[str, Any]:
    values = {name: getattr(p, name) for name in p.__dataclass_fields__}
    return {**values, "features": str(p.features), "harmonics": str(p.harmonics)}
