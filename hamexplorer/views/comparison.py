"""A comparison of two Hamiltonians as a notebook or a script meets it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hamexplorer.files import checked_output, written
from hamexplorer.properties.comparison import Comparison, Table
from hamexplorer.views.base import PlotView, prepare_notebook

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ComparisonView"]


@dataclass(frozen=True, eq=False)
class ComparisonView(PlotView):
    """Two Hamiltonians compared, to look at, to tabulate and to save; see :class:`BandsView`.

    ``.verdict`` says in a sentence how far the two are apart, ``.warnings`` what has to be known
    to read the numbers.
    """

    result: Comparison

    def plot(self, **options: Any) -> Any:
        """A HoloViews layout of bands and errors; options as
        :func:`hamexplorer.plots.comparison.comparison_plot`'s.
        """
        from hamexplorer.plots.comparison import comparison_plot

        prepare_notebook()
        return comparison_plot(self.result, **options)

    def to_dataframe(self, table: Table = "bands") -> pd.DataFrame:
        """One of the comparison's tables: ``summary``, ``bands``, ``kpoints``, ``elements``,
        ``pairs`` or ``worst``; errors in meV.

        Raises:
            SettingsError: an unknown table, or one of elements where the bases differ.
        """
        return self.result.to_dataframe(table)

    def save(self, path: str | Path, *, table: Table = "bands", component: str = "H") -> None:
        """Write a table (.csv), a picture (.png, .svg) or a page that needs no network (.html).

        ``component`` is drawn by distance and shells.

        Raises:
            SettingsError: another suffix, a directory that does not exist, or no such table or
                component.
            HamexplorerError: the file cannot be written; what stood there is untouched.
        """
        target = checked_output(path, (".csv", ".png", ".svg", ".html"))
        with written(target) as temporary:
            if target.suffix.lower() == ".csv":
                self.to_dataframe(table).to_csv(temporary, index=False)
            else:
                from hamexplorer.plots.static_comparison import save_comparison

                save_comparison(self.result, temporary, component=component)

    def __repr__(self) -> str:
        return f"Comparison of {self.result.formula}, λ = {self.result.state.soc:g}: " + (
            self.result.verdict
        )
