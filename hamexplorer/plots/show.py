"""One call that draws any result."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import holoviews as hv

from hamexplorer.errors import SettingsError
from hamexplorer.plots.anisotropy import anisotropy_curve
from hamexplorer.plots.anisotropy_parts import anisotropy_convergence, site_anisotropy_bars
from hamexplorer.plots.bands import band_plot
from hamexplorer.plots.blocks import BlockImage, block_plot, decay_plot
from hamexplorer.plots.comparison import comparison_plot
from hamexplorer.plots.dos import dos_plot
from hamexplorer.plots.valley import valley_map_plot, valley_splitting_plot
from hamexplorer.properties import BandStructure, BlockDecay, DensityOfStates
from hamexplorer.properties.anisotropy import (
    AnisotropyConvergence,
    AnisotropyEnergy,
    SiteAnisotropy,
)
from hamexplorer.properties.comparison import Comparison
from hamexplorer.properties.valley import ValleyMap, ValleySplitting

__all__ = ["show"]


@singledispatch
def show(result: Any, **_options: Any) -> hv.core.Dimensioned:
    """The HoloViews plot of a result; keyword arguments are those of its plot function.

    Raises:
        SettingsError: there is no plot of this type.
    """
    raise SettingsError(
        f"There is no plot of a {type(result).__name__}; there are plots of BandStructure, "
        "DensityOfStates, BlockDecay, BlockImage, ValleyMap, ValleySplitting, AnisotropyEnergy, "
        "SiteAnisotropy, AnisotropyConvergence and Comparison."
    )


show.register(BandStructure, band_plot)
show.register(DensityOfStates, dos_plot)
show.register(BlockDecay, decay_plot)
show.register(BlockImage, block_plot)
show.register(ValleyMap, valley_map_plot)
show.register(ValleySplitting, valley_splitting_plot)
show.register(AnisotropyEnergy, anisotropy_curve)
show.register(SiteAnisotropy, site_anisotropy_bars)
show.register(AnisotropyConvergence, anisotropy_convergence)
show.register(Comparison, comparison_plot)
