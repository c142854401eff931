"""The Python interface for notebooks and scripts, as ``import hamexplorer as hx``.

s = hx.load("MoS2.cif")            # or hx.gallery("mos2-1h")
h = hx.compute(s)
hx.bands(h, soc=1.0).plot()
hx.save(h, "MoS2.h5"); h = hx.open("MoS2.h5")
h = hx.open("WSe2.scfout")         # or another program's; hx.write(h, "WSe2_tb.dat")
m = hx.to_sisl(h)                  # hx.from_sisl(m), hx.to_pythtb(h): objects of other packages
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hamexplorer.api.hamiltonians import compute, open, save, write
from hamexplorer.api.properties import bands, compare, dos, gap, mae, valley
from hamexplorer.api.structures import (
    Crystal,
    bilayer_cells,
    gallery,
    heterobilayer,
    load,
    twisted_bilayer,
)
from hamexplorer.formats.pythtb import to_pythtb
from hamexplorer.formats.sisl_bridge import from_sisl, to_sisl
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.structures.bilayer import Bilayer
from hamexplorer.structures.load import load_structure
from hamexplorer.views import (
    AnisotropyView,
    BandsView,
    ComparisonView,
    DosView,
    ValleyMapView,
    ValleyView,
)

if TYPE_CHECKING:
    from hamexplorer.app.notebook import Explorer

__all__ = [
    "AnisotropyView",
    "BandsView",
    "Bilayer",
    "ComparisonView",
    "DosView",
    "Explorer",
    "Hamiltonian",
    "SpinState",
    "ValleyMapView",
    "ValleyView",
    "bands",
    "bilayer_cells",
    "compare",
    "compute",
    "dos",
    "explore",
    "from_sisl",
    "gallery",
    "gap",
    "heterobilayer",
    "load",
    "mae",
    "open",
    "save",
    "to_pythtb",
    "to_sisl",
    "twisted_bilayer",
    "valley",
    "write",
]


def explore(crystal: Hamiltonian | Crystal | None = None, **options: Any) -> Explorer:
    """The explorer inside a notebook cell; options as
    :class:`hamexplorer.app.notebook.Explorer`'s.
    """
    from hamexplorer.app.notebook import explore as show

    given = crystal
    if given is not None and not isinstance(given, Hamiltonian):
        given = load_structure(given)
    return show(given, **options)


def __getattr__(name: str) -> Any:
    if name == "Explorer":
        from hamexplorer.app.notebook import Explorer

        return Explorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
