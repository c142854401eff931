"""hamexplorer: what spin-orbit coupling does to a crystal.

    import hamexplorer as hx
    s = hx.load("MoS2.cif")
    h = hx.compute(s)
    hx.bands(h, soc=1.0).plot()

Names are imported at first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hamexplorer.api import (
        AnisotropyView,
        BandsView,
        Bilayer,
        ComparisonView,
        DosView,
        Explorer,
        Hamiltonian,
        SpinState,
        ValleyMapView,
        ValleyView,
        bands,
        bilayer_cells,
        compare,
        compute,
        dos,
        explore,
        from_sisl,
        gallery,
        gap,
        heterobilayer,
        load,
        mae,
        open,
        save,
        to_pythtb,
        to_sisl,
        twisted_bilayer,
        valley,
        write,
    )

    __version__: str

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
    "__version__",
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


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            found: Any = version("hamexplorer")
        except PackageNotFoundError:
            found = "unknown"
    elif name in __all__:
        from importlib import import_module

        found = getattr(import_module("hamexplorer.api"), name)
    else:
        raise AttributeError(f"module 'hamexplorer' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
