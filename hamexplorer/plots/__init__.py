"""Plots: results in, HoloViews elements, Bokeh figures and files out."""

from hamexplorer.plots.bands import band_plot
from hamexplorer.plots.blocks import (
    BlockImage,
    LiveBlockPlot,
    LiveDecayPlot,
    block_image,
    block_plot,
    decay_plot,
)
from hamexplorer.plots.dos import LiveDosPlot, dos_plot
from hamexplorer.plots.live_bands import LiveBandPlot
from hamexplorer.plots.show import show
from hamexplorer.plots.static import band_figure, save_bands

__all__ = [
    "BlockImage",
    "LiveBandPlot",
    "LiveBlockPlot",
    "LiveDecayPlot",
    "LiveDosPlot",
    "band_figure",
    "band_plot",
    "block_image",
    "block_plot",
    "decay_plot",
    "dos_plot",
    "save_bands",
    "show",
]
