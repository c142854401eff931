"""Results as a notebook or a script meets them: numbers, plot and files in one object.

The results of :mod:`hamexplorer.properties` know no plots; these thin objects hold a result,
pass its attributes through, and add what a person does with it next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output, written
from hamexplorer.properties.anisotropy import (
    AnisotropyConstants,
    AnisotropyEnergy,
    fit_constants,
)
from hamexplorer.properties.bands import BandStructure, Zero
from hamexplorer.properties.dos import DensityOfStates
from hamexplorer.properties.gap import Gap, Splittings, gap, splittings
from hamexplorer.properties.valley import (
    ValleyChern,
    ValleyMap,
    ValleyPair,
    ValleySplitting,
    valley_chern,
    valley_map,
    valley_splitting,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike
    from pymatgen.core import Structure

    from hamexplorer.hamiltonian import Hamiltonian
    from hamexplorer.progress import Monitor

__all__ = [
    "SUFFIXES",
    "AnisotropyView",
    "BandsView",
    "DosView",
    "ValleyMapView",
    "ValleyView",
    "within",
]

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
class BandsView:
    """Bands along a path, to look at, to tabulate and to save.

    Attributes of ``result`` (``energies``, ``fermi``, ``path`` …) are attributes of the view.
    """

    result: BandStructure

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "result":  # while it is being copied or unpickled
            raise AttributeError(name)
        return getattr(self.result, name)

    def plot(self, **options: Any) -> Any:
        """A HoloViews plot; options as :func:`hamexplorer.plots.bands.band_plot`'s.

        ``soc_off`` may be another view.
        """
        from hamexplorer.plots.bands import band_plot

        _prepare_notebook()
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

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return _shown(self.plot(), include, exclude)

    def __repr__(self) -> str:
        nk, nb = self.result.energies.shape
        return f"Bands of {self.result.title}: {nb} bands at {nk} k-points, λ = {self.state.soc:g}"


@dataclass(frozen=True, eq=False)
class DosView:
    """A density of states, to look at, to tabulate and to save; see :class:`BandsView`."""

    result: DensityOfStates

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "result":
            raise AttributeError(name)
        return getattr(self.result, name)

    def plot(self, **options: Any) -> Any:
        """A HoloViews plot; options as :func:`hamexplorer.plots.dos.dos_plot`'s."""
        from hamexplorer.plots.dos import dos_plot

        _prepare_notebook()
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

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return _shown(self.plot(), include, exclude)

    def __repr__(self) -> str:
        energies = self.result.energies
        return (
            f"Density of states, {energies[0]:.2f} … {energies[-1]:.2f} eV, mesh {self.result.mesh}"
        )


@dataclass(frozen=True, eq=False)
class AnisotropyView:
    """An anisotropy energy, to look at, to tabulate and to save; see :class:`BandsView`."""

    result: AnisotropyEnergy
    structure: Structure

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "result":
            raise AttributeError(name)
        return getattr(self.result, name)

    def plot(self, **options: Any) -> Any:
        """A HoloViews plot with the fitted curve; options as
        :func:`hamexplorer.plots.anisotropy.anisotropy_curve`'s.
        """
        from hamexplorer.plots.anisotropy import anisotropy_curve

        _prepare_notebook()
        options.setdefault("constants", self._fit())
        return anisotropy_curve(self.result, **options)

    def to_dataframe(self) -> pd.DataFrame:
        """One row per direction: energies in eV, meV per cell and atom, µeV/atom and MJ/m³."""
        return self.result.to_dataframe()

    def constants(self) -> AnisotropyConstants:
        """The fitted anisotropy constants of the crystal's system.

        Raises:
            SettingsError: fewer than two directions that the symmetry does not connect.
        """
        return fit_constants(self.result, self.structure)

    def save(self, path: str | Path) -> None:
        """Write a table (.csv) or a picture (.png, .svg).

        Raises:
            SettingsError: another suffix, a directory that does not exist, or a picture of
                directions that are no arc or ring.
            HamexplorerError: the file cannot be written; what stood there is untouched.
        """
        target = checked_output(path, (".csv", ".png", ".svg"))
        with written(target) as temporary:
            if target.suffix.lower() == ".csv":
                self.to_dataframe().to_csv(temporary, index=False)
            else:
                from hamexplorer.plots.anisotropy import save_anisotropy

                save_anisotropy(self.result, temporary, self._fit())

    def _fit(self) -> AnisotropyConstants | None:
        """A curve through the points, where they determine one."""
        try:
            return self.constants()
        except SettingsError:
            return None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return _shown(self.plot(), include, exclude)

    def __repr__(self) -> str:
        spread = float(self.result.relative_meV.max())
        return (
            f"Anisotropy of {self.result.title}: {len(self.result.directions)} directions, "
            f"energies over {spread:.4g} meV, λ = {self.state.soc:g}"
        )


@dataclass(frozen=True, eq=False)
class ValleyView:
    """The valleys of a layer: numbers at K and K′, and on request splittings, integrals, maps.

    Attributes of ``result`` (``k``, ``k_prime``, ``valence_difference`` …) are attributes of the
    view.
    """

    result: ValleyPair
    hamiltonian: Hamiltonian

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "result":
            raise AttributeError(name)
        return getattr(self.result, name)

    def map(self, n: int = 60, monitor: Monitor | None = None) -> ValleyMapView:
        """The whole zone on n × n points; errors as
        :func:`hamexplorer.properties.valley.valley_map`'s.
        """
        return ValleyMapView(valley_map(self.hamiltonian, n, self.result.state, monitor=monitor))

    def splitting(self, fields: ArrayLike, sites: Iterable[int] | None = None) -> ValleySplitting:
        """Band edges against a field (meV) on ``sites``; see
        :func:`hamexplorer.properties.valley.valley_splitting`.
        """
        found = (self.result.k.valley, self.result.k_prime.valley)
        return valley_splitting(
            self.hamiltonian, fields, self.result.state, sites=sites, valleys=found
        )

    def chern(self, tolerance: float = 2e-3, monitor: Monitor | None = None) -> ValleyChern:
        """Berry curvature of the filled bands integrated around K and around K′."""
        return valley_chern(
            self.hamiltonian, self.result.state, tolerance=tolerance, monitor=monitor
        )

    def to_dataframe(self) -> pd.DataFrame:
        """One row per valley and band: energies in eV, Ω in Å², moments in µB."""
        return self.result.to_dataframe()

    def save(self, path: str | Path) -> None:
        """Write the table (.csv); errors as :meth:`DosView.save`'s."""
        with written(checked_output(path, (".csv",))) as temporary:
            self.to_dataframe().to_csv(temporary, index=False)

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(index=False, float_format="{:.5g}".format)

    def __repr__(self) -> str:
        return (
            f"Valleys of {self.hamiltonian.structure.composition.reduced_formula}: gaps "
            f"{self.result.k.gap:.4f} eV at K, {self.result.k_prime.gap:.4f} eV at K′, "
            f"E_v(K) − E_v(K′) = {self.result.valence_difference:.3f} meV"
        )


@dataclass(frozen=True, eq=False)
class ValleyMapView:
    """A map of a layer's zone, to look at, to tabulate and to save; see :class:`BandsView`."""

    result: ValleyMap

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "result":
            raise AttributeError(name)
        return getattr(self.result, name)

    def plot(self, **options: Any) -> Any:
        """A HoloViews plot; options as :func:`hamexplorer.plots.valley.valley_map_plot`'s."""
        from hamexplorer.plots.valley import valley_map_plot

        _prepare_notebook()
        return valley_map_plot(self.result, **options)

    def to_dataframe(self) -> pd.DataFrame:
        """One row per k-point, all quantities."""
        return self.result.to_dataframe()

    def save(self, path: str | Path, *, field: str = "curvature") -> None:
        """Write the table (.csv) or a picture of one quantity (.png, .svg).

        Raises:
            SettingsError: another suffix, a directory that does not exist, or no such quantity.
            HamexplorerError: the file cannot be written; what stood there is untouched.
        """
        target = checked_output(path, (".csv", ".png", ".svg"))
        with written(target) as temporary:
            if target.suffix.lower() == ".csv":
                self.to_dataframe().to_csv(temporary, index=False)
            else:
                from hamexplorer.plots.static_valley import save_map

                save_map(self.result, temporary, field=field)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return _shown(self.plot(), include, exclude)

    def __repr__(self) -> str:
        return f"Map of {self.result.title}'s zone, {self.result.n} × {self.result.n} points"


@cache
def _prepare_notebook() -> None:
    """Load HoloViews' Bokeh renderer, unless it was; inline, so that cells work offline."""
    import holoviews as hv

    if not hv.extension._loaded:
        hv.extension("bokeh", inline=True, logo=False)


def _shown(plot: Any, include: Any, exclude: Any) -> Any:
    return plot._repr_mimebundle_(include, exclude)
