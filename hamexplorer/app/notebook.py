"""The explorer inside a notebook cell: the same panes as the app's page, at a cell's size."""

from __future__ import annotations

from typing import Any

import panel as pn
import param
from pymatgen.core import Structure

from hamexplorer.app.shell import Shell
from hamexplorer.dft.settings import DftSettings
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian

__all__ = ["Explorer", "explore"]

_SMALLEST = 480
_VALUES = ("page", "soc", "theta", "phi", "exchange", "colour", "energies", "dark")


class Explorer(pn.viewable.Viewer):
    """Bands, blocks and crystal with the spin dial, to show in a cell (or to serve).

    Args:
        crystal: a Hamiltonian, or a structure (computed on the way); None: the MoS2 example.
        height: of the cell's output, pixels.
        settings: of the embedded engine, for structures.
        values: the view to begin with: ``page``, ``soc``, ``theta``, ``phi``, ``exchange``,
            ``colour``, ``energies``, ``dark``.

    ``state`` holds all that the widgets turn: ``explorer.state.soc = 0.5`` moves the plot, and
    ``explorer.hamiltonian`` is what is shown.

    Raises:
        SettingsError: an unknown option, or a height below 480 pixels.
    """

    height = param.Integer(default=760, bounds=(_SMALLEST, None))

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
        super().__init__(height=height)
        _prepare()
        selections = {"colour": values.pop("colour")} if "colour" in values else None
        self._shell = Shell(settings=settings, selections=selections, **values)
        self.state = self._shell.state
        self._shell.when_ready(lambda: self._shell.open(crystal))

    @property
    def hamiltonian(self) -> Hamiltonian | None:
        """The Hamiltonian that is shown; None until it is there."""
        return self.state.hamiltonian

    def __panel__(self) -> pn.viewable.Viewable:
        return self._shell.cell(self.height)


def explore(crystal: Structure | Hamiltonian | None = None, **options: Any) -> Explorer:
    """An :class:`Explorer`, as :func:`hamexplorer.explore` returns it."""
    return Explorer(crystal, **options)


def _prepare() -> None:
    """Load Panel into the notebook with its scripts inside, so that cells work offline."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    if get_ipython() is not None and not pn.extension._loaded:
        pn.extension("tabulator", inline=True)
