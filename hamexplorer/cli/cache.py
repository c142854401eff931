"""``hamexplorer cache``: look at the disk cache, and clear it."""

from __future__ import annotations

import typer
from rich.table import Table

from hamexplorer.cli.options import Json
from hamexplorer.cli.output import print_json
from hamexplorer.cli.report import show

__all__ = ["application"]

application = typer.Typer(
    help="Look at the cache of computed Hamiltonians, and clear it.", invoke_without_command=True
)


@application.callback()
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        info()


@application.command("info")
def info(json: Json = False) -> None:
    """Show the entries, their size and last use (UTC)."""
    from hamexplorer.sources import HamiltonianCache

    cache = HamiltonianCache()
    entries = cache.entries()
    total = sum(entry.size for entry in entries)
    if json:
        listed = [
            {"key": e.key, "bytes": e.size, "used": e.used.isoformat(timespec="seconds")}
            for e in entries
        ]
        print_json(
            {
                "path": cache.root,
                "bytes": total,
                "max_bytes": cache.max_bytes,
                "entries": listed,
            }
        )
        return
    print(
        f"{cache.root}: {len(entries)} entries, {total / 1e6:.1f} of {cache.max_bytes / 1e6:.0f} MB"
    )
    if entries:
        table = Table("key", "MB", "last used (UTC)")
        for entry in entries:
            table.add_row(entry.key[:12], f"{entry.size / 1e6:.2f}", f"{entry.used:%Y-%m-%d %H:%M}")
        show(table)


@application.command("clear")
def clear(json: Json = False) -> None:
    """Remove every entry."""
    from hamexplorer.sources import HamiltonianCache

    cache = HamiltonianCache()
    size = cache.size
    count = cache.clear()
    if json:
        print_json({"path": cache.root, "removed": count, "bytes": size})
        return
    print(f"{count} entries removed, {size / 1e6:.1f} MB freed")


@application.command("path")
def path() -> None:
    """Print where the cache lies (set HAMEXPLORER_CACHE_DIR to move it)."""
    from hamexplorer.sources import default_cache_root

    print(default_cache_root())
