"""``hamexplorer gallery``: the structures that are shipped."""

from __future__ import annotations

from rich.table import Table

from hamexplorer.cli.options import Json
from hamexplorer.cli.output import print_json
from hamexplorer.cli.report import show

__all__ = ["gallery"]


def gallery(json: Json = False) -> None:
    """List the shipped structures; use one as gallery:NAME."""
    from dataclasses import asdict

    from hamexplorer.structures.gallery import entries

    if json:
        print_json({"entries": [asdict(entry) for entry in entries()]})
        return
    table = Table("name", "title", "formula", "family")
    for entry in entries():
        table.add_row(f"gallery:{entry.name}", entry.title, entry.formula, entry.family)
    show(table)
