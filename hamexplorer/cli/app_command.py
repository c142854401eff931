"""``hamexplorer app``: the page in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from hamexplorer.cli.inputs import load_input
from hamexplorer.cli.options import GIVEN, Reading, with_groups
from hamexplorer.cli.threads import set_threads
from hamexplorer.errors import SettingsError

__all__ = ["app"]


@with_groups
def app(
    given: Annotated[
        str | None, typer.Argument(metavar=GIVEN, help="What to open; or gallery:NAME.")
    ] = None,
    port: Annotated[int, typer.Option("--port", help="0: any free one.")] = 5006,
    address: Annotated[
        str, typer.Option("--address", help="Interface to listen on; 0.0.0.0: all.")
    ] = "localhost",
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser window.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option("--threads", help="Default: OMP_NUM_THREADS, else all cores."),
    ] = None,
    *,
    reading: Reading,
) -> None:
    """Open the explorer in the browser."""
    if not 0 <= port <= 65535:
        raise SettingsError(f"--port must lie in 0 … 65535, not {port}.")
    set_threads(threads)
    loaded = None if given is None else load_input(given, options=reading.options())
    from hamexplorer.app.serve import serve

    serve(loaded, port=port, address=address, show=not no_browser)
