"""The explorer inside a notebook cell: the same panes as the app's page, at a cell's size.

A cell shows them in a frame, served by the kernel to this machine alone. Embedding them in the
output instead would copy the widgets' 1.4 MB script once per widget: 52 MB in every cell, more than
Jupyter passes on, and all of it saved with the notebook.
"""

from __future__ import annotations

import html
import os
import socket
import time
from importlib.util import find_spec
from typing import Any

import panel as pn
from pymatgen.core import Structure

from hamexplorer.app.serve import prepare
from hamexplorer.app.shell import Shell
from hamexplorer.dft.settings import DftSettings
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian

__all__ = ["Explorer", "explore"]

_SMALLEST = 480
_VALUES = ("page", "source", "soc", "theta", "phi", "exchange", "colour", "energies", "dark")


class Explorer:
    """Bands, blocks and crystal with the spin dial, to show in a cell (or to serve).

    Args:
        crystal: a Hamiltonian, or a structure (computed on the way); None: the MoS2 example.
        height: of the cell's output, pixels.
        settings: of the embedded engine, for structures.
        values: the view to begin with: ``page``, ``source`` (``auto``, ``dft``, ``superposed``,
            ``learned``), ``soc``, ``theta``, ``phi``, ``exchange``, ``colour``, ``energies``,
            ``dark``.

    Raises:
        SettingsError: an unknown option, or a height below 480 pixels.
    """

    def __init__(
        self,
        crystal: Structure | Hamiltonian | None = None,
        *,
        height: int = 760,
        settings: DftSettings | None = None,
        **values: Any,
    ) -> None:
        unknown = sorted(set(values) - set(_VALUES))
        if unknown:
            raise SettingsError(
                f"The explorer has no option {unknown[0]!r}; there are {', '.join(_VALUES)}."
            )
        if height < _SMALLEST:
            raise SettingsError(f"height must be at least {_SMALLEST} pixels, not {height}.")
        self.height = height
        self._crystal = crystal
        self._settings = settings
        self._values = values
        self._port: int | None = None

    def shell(self) -> Shell:
        """The panes of one visitor; ``shell().state`` holds all that the widgets turn."""
        values = dict(self._values)
        selections = {"colour": values.pop("colour")} if "colour" in values else None
        shell = Shell(settings=self._settings, selections=selections, **values)
        shell.when_ready(lambda: shell.open(self._crystal))
        return shell

    def __panel__(self) -> pn.viewable.Viewable:
        return self.shell().cell(self.height)

    def url(self) -> str:
        """Where the kernel serves this explorer; the server starts at the first call.

        Behind a JupyterHub the address goes through jupyter-server-proxy, where that is installed.
        """
        if self._port is None:
            prepare()
            self._port = _free_port()
            pn.serve(
                {"/": self.__panel__},
                port=self._port,
                address="localhost",
                show=False,
                threaded=True,  # a thread of its own, so that it answers while cells run
                verbose=False,
                title="hamexplorer",
                websocket_origin="*" if _behind_proxy() else None,
            )
            _wait_for(self._port)
        if _behind_proxy():
            return f"{os.environ['JUPYTERHUB_SERVICE_PREFIX']}proxy/{self._port}/"
        return f"http://localhost:{self._port}/"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        frame = (
            f'<iframe src="{html.escape(self.url())}" title="hamexplorer" width="100%" '
            f'height="{self.height + 10}" style="border: 0"></iframe>'
        )
        return {"text/html": frame, "text/plain": repr(self)}

    def __repr__(self) -> str:
        crystal = self._crystal
        structure = crystal.structure if isinstance(crystal, Hamiltonian) else crystal
        name = "the example" if structure is None else structure.composition.reduced_formula
        return f"Explorer of {name}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    """Until the server listens; a frame that comes earlier would show an error."""
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("localhost", port)) == 0:
                return
        time.sleep(0.05)


def _behind_proxy() -> bool:
    return (
        "JUPYTERHUB_SERVICE_PREFIX" in os.environ and find_spec("jupyter_server_proxy") is not None
    )


def explore(crystal: Structure | Hamiltonian | None = None, **options: Any) -> Explorer:
    """An :class:`Explorer`, as :func:`hamexplorer.explore` returns it."""
    return Explorer(crystal, **options)
