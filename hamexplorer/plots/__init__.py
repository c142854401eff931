"""Plots: results in, HoloViews elements, Bokeh figures and files out."""

from hamexplorer.plots.anisotropy import anisotropy_curve
from hamexplorer.plots.anisotropy_maps import (
    anisotropy_k_map,
    anisotropy_polar,
    anisotropy_sphere,
)
from hamexplorer.plots.anisotropy_parts import anisotropy_convergence, site_anisotropy_bars
from hamexplorer.plots.bands import band_plot
from hamexplorer.plots.blocks import (
    BlockImage,
    LiveBlockPlot,
    LiveDecayPlot,
    block_image,
    block_plot,
    decay_plot,
)
from hamexplorer.plots.comparison import comparison_plot
from hamexplorer.plots.dos import LiveDosPlot, dos_plot
from hamexplorer.plots.live_bands import LiveBandPlot
from hamexplorer.plots.live_comparison import (
    LiveBandComparison,
    LiveDistanceErrors,
    LiveShellErrors,
)
from hamexplorer.plots.live_valley import LiveSplittingPlot, LiveZonePlot
from hamexplorer.plots.show import show
from hamexplorer.plots.static import band_figure, save_bands
from hamexplorer.plots.valley import valley_map_plot, valley_splitting_plot

__all__ = [
    "BlockImage",
    "LiveBandComparison",
    "LiveBandPlot",
    "LiveBlockPlot",
    "LiveDecayPlot",
    "LiveDistanceErrors",
    "LiveDosPlot",
    "LiveShellErrors",
    "LiveSplittingPlot",
    "LiveZonePlot",
    "anisotropy_convergence",
    "anisotropy_curve",
    "anisotropy_k_map",
    "anisotropy_polar",
    "anisotropy_sphere",
    "band_figure",
    "band_plot",
    "block_image",
    "block_plot",
    "comparison_plot",
    "decay_plot",
    "dos_plot",
    "save_bands",
    "show",
    "site_anisotropy_bars",
    "valley_map_plot",
    "valley_splitting_plot",
]
