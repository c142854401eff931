"""What all views share: a result, its attributes, and its plot as a cell of a notebook."""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["PlotView", "View", "prepare_notebook"]


class View:
    """Holds a ``result``, whose attributes are attributes of the view."""

    result: Any

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "result":  # while it is being copied or unpickled
            raise AttributeError(name)
        return getattr(self.result, name)


class PlotView(View):
    """A view that a notebook's cell shows as its plot."""

    def plot(self, **options: Any) -> Any:
        """A HoloViews plot."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return self.plot()._repr_mimebundle_(include, exclude)


@cache
def prepare_notebook() -> None:
    """Load HoloViews' Bokeh renderer, unless it was; inline, so that cells work offline."""
    import holoviews as hv

    if not hv.extension._loaded:
        hv.extension("bokeh", inline=True, logo=False)
