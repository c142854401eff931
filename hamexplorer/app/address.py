"""Keeps the address bar and the state in step."""

from __future__ import annotations

from typing import Any

import panel as pn

from hamexplorer.app.shell import Shell
from hamexplorer.app.url import FIELDS, read_query, write_query

__all__ = ["follow_address", "query_of_request"]

_DELAY_MS = 400


def query_of_request() -> str:
    """The query with which this page was asked for."""
    location = pn.state.location
    return (location.search or "") if location is not None else ""


def follow_address(shell: Shell) -> None:
    """Write the state to the address bar whenever it has come to rest for 0.4 s."""
    location, document = pn.state.location, pn.state.curdoc
    if location is None or document is None:
        return
    pending: list[Any] = []

    def write() -> None:
        pending.clear()
        query = write_query(shell.state)
        if location.search != query:
            location.search = query

    def changed(*_: Any) -> None:
        if pending:
            document.remove_timeout_callback(pending.pop())
        pending.append(document.add_timeout_callback(write, _DELAY_MS))

    shell.state.param.watch(
        changed, ["subject", "second", *(field.name for field in FIELDS.values())]
    )


def read_address() -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """What the address asks for; see :func:`hamexplorer.app.url.read_query`."""
    return read_query(query_of_request())
