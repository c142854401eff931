"""Bands and densities of states as a notebook or a script meets them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output, written
from hamexplorer.properties.bands import BandStructure, Zero
from hamexplorer.properties.dos import DensityOfStates
from hamexplorer.properties.gap import Gap, Splittings, gap, splittings
from hamexplorer.views.base import PlotView, prepare_notebook

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SUFFIXES", "BandsView", "DosView", "within"]

SUFFIXES = (".csv", ".png", ".svg", ".html")
"""What a view can be saved as."""


def within(
    bands: BandStructure, window: tuple[float, float], zero: Zero = "source"
) -> BandStructure:
    """The bands of which some energy, counted from ``zero``, lies in ``window`` (eV).

    Raises:
        SettingsError: the window is empty, or no band enters it.
    """
    low, high = window
    if not low < high:
        raise SettingsError(f"The window {window!r} is empty; the lower limit comes first.")
    shown = bands.energies - bands.zero_energy(zero)
    entering = np.flatnonzero((shown.max(axis=0) >= low) & (shown.min(axis=0) <= high))
    if not len(entering):
        raise SettingsError(
            f"No band enters the window {low:g} … {high:g} eV; energies (zero: {zero}) run from "
            f"{shown.min():.2f} to {shown.max():.2f} eV."
        )
    kept = slice(int(entering[0]), int(entering[-1]) + 1)
    return replace(
        bands,
        energies=bands.energies[:, kept],
        first_band=bands.first_band + kept.start,
        weights=None if bands.weights is None else bands.weights[:, kept],
        spin=None if bands.spin is None else bands.spin[:, kept],
    )


@dataclass(frozen=True, eq=False)
class BandsView(PlotView):
    """Bands along a path, to look at, to tabulate and to save.

    Attributes of ``result`` (``energies``, ``fermi``, ``path`` …) are attributes of the view.
    """

    result: BandStructure

    def plot(self, **options: Any) -> Any:
        """A HoloViews plot; options as :func:`hamexplorer.plots.bands.band_plot`'s.

        ``soc_off`` may be another view.
        """
        from hamexplorer.plots.bands import band_plot

        prepare_notebook()
        if isinstance(options.get("soc_off"), BandsView):
            options["soc_off"] = options["soc_off"].result
        return band_plot(self.result, **options)

    def to_dataframe(self, zero: Zero = "source") -> pd.DataFrame:
        """One row per k-point and band; energies in eV from ``zero``."""
        return self.result.to_dataframe(zero)

    def gap(self) -> Gap:
        """The gap along this path; :func:`hamexplorer.gap` looks at the whole zone."""
        return gap(self.result)

    def splittings(self) -> Splittings:
        """Spin splittings at the path's named points, meV."""
        return splittings(self.result)

    def save(
        self, path: str | Path, *, zero: Zero = "source", window: tuple[float, float] | None = None
    ) -> None:
        """Write a table (.csv), a picture (.png, .svg) or a page that needs no network (.html).

        ``window``: only bands that enter it, eV from ``zero``; pictures show just that range.

        Raises:
            SettingsError: another suffix, a directory that does not exist, an empty window, or
                the zero ``vbm`` in a metal.
            HamexplorerError: the file cannot be written; what stood there is untouched.
        """
        target = checked_output(path, SUFFIXES)
        result = self.result if window is None else within(self.result, window, zero)
        with written(target) as temporary:
            if target.suffix.lower() == ".csv":
                result.to_dataframe(zero).to_csv(temporary, index=False)
            else:
                from hamexplorer.plots.static import save_bands

                save_bands(result, temporary, zero=zero, energy_window=window)

    def __repr__(self) -> str:
        nk, nb = self.result.energies.shape
        return f"Bands of {self.result.title}: {nb} bands at {nk} k-points, λ = {self.state.soc:g}"


@dataclass(frozen=True, eq=False)
class DosView(PlotView):
    """A density of states, to look at, to tabulate and to save; see :class:`BandsView`."""

    result: DensityOfStates

    def plot(self, **options: Any) -> Any:
        """A HoloViews plot; options as :func:`hamexplorer.plots.dos.dos_plot`'s."""
        from hamexplorer.plots.dos import dos_plot

        prepare_notebook()
        return dos_plot(self.result, **options)

    def to_dataframe(self) -> pd.DataFrame:
        """One row per energy: states per eV and cell, total and by groups."""
        return self.result.to_dataframe()

    def save(self, path: str | Path) -> None:
        """Write a table (.csv).

        Raises:
            SettingsError: another suffix, or a directory that does not exist.
            HamexplorerError: the file cannot be written; what stood there is untouched.
        """
        with written(checked_output(path, (".csv",))) as temporary:
            self.to_dataframe().to_csv(temporary, index=False)

    def __repr__(self) -> str:
        energies = self.result.energies
        return (
            f"Density of states, {energies[0]:.2f} … {energies[-1]:.2f} eV, mesh {self.result.mesh}"
        )
