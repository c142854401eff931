"""What a person or a script is told about formats of files."""

from __future__ import annotations

from rich.table import Table

__all__ = ["formats_data", "formats_table"]


def formats_data() -> list[dict[str, str | None]]:
    """Name, title, the files that are read and those that are written, of every format."""
    from hamexplorer.formats import FORMATS
    from hamexplorer.formats.writers import WRITERS

    rows: dict[str, dict[str, str | None]] = {}
    for found in FORMATS:
        rows[found.name] = {"title": found.title, "read": found.files, "written": None}
    for writer in WRITERS:
        row = rows.setdefault(writer.name, {"title": writer.title, "read": None})
        row["written"] = writer.target
    return [{"name": name, **row} for name, row in rows.items()]


def formats_table() -> Table:
    """The same for people."""
    table = Table("--to", "format", "read", "written")
    for row in formats_data():
        table.add_row(
            row["name"] if row["written"] else "", row["title"], row["read"], row["written"]
        )
    return table
