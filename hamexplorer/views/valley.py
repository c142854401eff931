"""The valleys of a layer as a notebook or a script meets them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hamexplorer.files import checked_output, written
from hamexplorer.properties.valley import (
    ValleyChern,
    ValleyMap,
    ValleyPair,
    ValleySplitting,
    valley_chern,
    valley_map,
    valley_splitting,
)
from hamexplorer.views.base import PlotView, View, prepare_notebook

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from hamexplorer.hamiltonian import Hamiltonian
    from hamexplorer.progress import Monitor

__all__ = ["ValleyMapView", "ValleyView"]


@dataclass(frozen=True, eq=False)
class ValleyView(View):
    """The valleys of a layer: numbers at K and K′, and on request splittings, integrals, maps.

    Attributes of ``result`` (``k``, ``k_prime``, ``valence_difference`` …) are attributes of the
    view.
    """

    result: ValleyPair
    hamiltonian: Hamiltonian

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
class ValleyMapView(PlotView):
    """A map of a layer's zone, to look at, to tabulate and to save; see :class:`BandsView`."""

    result: ValleyMap

    def plot(self, **options: Any) -> Any:
        """A HoloViews plot; options as :func:`hamexplorer.plots.valley.valley_map_plot`'s."""
        from hamexplorer.plots.valley import valley_map_plot

        prepare_notebook()
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

    def __repr__(self) -> str:
        return f"Map of {self.result.title}'s zone, {self.result.n} × {self.result.n} points"
