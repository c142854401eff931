"""An anisotropy energy as a notebook or a script meets it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hamexplorer.errors import SettingsError
from hamexplorer.files import checked_output, written
from hamexplorer.properties.anisotropy import (
    AnisotropyConstants,
    AnisotropyEnergy,
    fit_constants,
)
from hamexplorer.views.base import PlotView, prepare_notebook

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core import Structure

__all__ = ["AnisotropyView"]


@dataclass(frozen=True, eq=False)
class AnisotropyView(PlotView):
    """An anisotropy energy, to look at, to tabulate and to save; see :class:`BandsView`."""

    result: AnisotropyEnergy
    structure: Structure

    def plot(self, **options: Any) -> Any:
        """A HoloViews plot with the fitted curve; options as
        :func:`hamexplorer.plots.anisotropy.anisotropy_curve`'s.
        """
        from hamexplorer.plots.anisotropy import anisotropy_curve

        prepare_notebook()
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

    def __repr__(self) -> str:
        spread = float(self.result.relative_meV.max())
        return (
            f"Anisotropy of {self.result.title}: {len(self.result.directions)} directions, "
            f"energies over {spread:.4g} meV, λ = {self.state.soc:g}"
        )
