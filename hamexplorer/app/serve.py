"""The server: ``panel serve hamexplorer/app/serve.py``, or :func:`serve` from Python."""

from __future__ import annotations

import os
import threading
from typing import Any

import panel as pn

# The table's script must be known before a page is made. pn.extension("tabulator") would see to
# that too, but in a notebook it also writes scripts into the cell, which ask a CDN.
import panel.models.tabulator
from pymatgen.core import Structure

from hamexplorer.app.address import follow_address, read_address
from hamexplorer.app.choosing import Engines
from hamexplorer.app.shell import Shell
from hamexplorer.app.viewer import warm_up
from hamexplorer.dft.settings import DftSettings
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian
from hamexplorer.sources import HamiltonianCache

__all__ = ["MAX_MESSAGE_BYTES", "make_page", "prepare", "serve"]

MAX_MESSAGE_BYTES = 32_000_000
"""Far above a piece of an upload, of which the browser sends one after the other."""
_OF_A_CRYSTAL = ("atoms", "pair", "point", "camera", "colour", "component", "field_atoms")


def make_page(
    crystal: Structure | Hamiltonian | None = None,
    *,
    settings: DftSettings | None = None,
    cache: HamiltonianCache | None = None,
    engines: Engines | None = None,
) -> Any:
    """The page of one visitor, in the view that the address asks for."""
    values, wanted, notes = read_address()
    selections = {name: values.pop(name) for name in _OF_A_CRYSTAL if name in values}
    shell = Shell(settings=settings, cache=cache, engines=engines, selections=selections, **values)
    for note in notes:
        shell.state.tell("warning", note)

    def begin() -> None:
        if "stored" in wanted:
            shell.opener.stored(wanted["stored"], wanted.get("gallery", ""))
        elif "gallery" in wanted:
            shell.opener.gallery(wanted["gallery"])
        else:
            shell.open(crystal)
        if "second" in wanted:
            shell.second.stored(wanted["second"])

    shell.when_ready(begin)
    pn.state.on_session_destroyed(lambda _: shell.cancel())
    follow_address(shell)
    return shell.page()


def prepare() -> None:
    """What is done once a process: threads, and slow imports in the background."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    threading.Thread(target=_warm, name="hamexplorer-warm-up", daemon=True).start()


def _warm() -> None:
    import torch

    # Band solvers spread k-points over cores with one thread each; more only get in the way.
    torch.set_num_threads(1)
    from hamexplorer.dft import engine  # noqa: F401

    warm_up()


def serve(
    structure: Structure | Hamiltonian | None = None,
    *,
    port: int = 5006,
    address: str = "localhost",
    show: bool = True,
    threaded: bool = False,
    **page: Any,
) -> Any:
    """Serve the app until it is interrupted (``threaded``: return the server's thread).

    ``port`` 0 takes a free one; ``address`` other than localhost opens the app to the network;
    ``page`` goes to :func:`make_page`.

    Raises:
        SettingsError: the port is taken, or the address is not this machine's.
    """
    prepare()
    origins = None if address in ("localhost", "127.0.0.1") else ["*"]
    options: dict[str, Any] = {
        "title": "hamexplorer",
        "port": port,
        "address": address,
        "show": show,
        "threaded": threaded,
        "websocket_max_message_size": MAX_MESSAGE_BYTES,
        "websocket_origin": origins,
    }
    try:
        return pn.serve(lambda: make_page(structure, **page), **options)
    except OSError as error:
        raise SettingsError(
            f"The app cannot listen on {address}:{port} ({error.strerror or error}); choose "
            "another --port."
        ) from error


if pn.state.served:
    prepare()
    make_page().servable(title="hamexplorer")
