"""What defines a network besides its weights."""

from __future__ import annotations

from dataclasses import dataclass

from e3nn import o3

from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian.basis import MAX_L

__all__ = ["Hyperparameters"]

_MAX_DIM, _MAX_HIDDEN = 20_000, 10
"""Far beyond any network of this kind: what a damaged file asks for is refused before it is made.
"""


@dataclass(frozen=True)
class Hyperparameters:
    """Sizes of the network (published names in brackets).

    Attributes:
        features: irreps of atoms' and edges' features (irreps_node_features).
        harmonics: irreps of edge harmonics (irreps_edge_sh).
        n_layers: interaction layers (num_layers).
        cutoff: of the radial functions, bohr (cutoff).
        n_radial: number of radial functions (num_radial).
        radial_hidden: hidden widths of the radial networks (radial_MLP).
        n_types: length of the species' one-hot, by atomic number (num_types).
        legacy_edge_update: the first pair interaction does nothing.

    Raises:
        SettingsError: a value outside its range.
    """

    features: o3.Irreps
    harmonics: o3.Irreps
    n_layers: int = 3
    cutoff: float = 26.0
    n_radial: int = 64
    radial_hidden: tuple[int, ...] = (64, 64)
    n_types: int = 96
    legacy_edge_update: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", _irreps("features", self.features))
        object.__setattr__(self, "harmonics", _irreps("harmonics", self.harmonics))
        if not self.features.count("0e"):
            raise SettingsError(f"Features need even scalars (0e), not {self.features} alone.")
        if not 0 < self.cutoff < 1e3:
            raise SettingsError(f"The cutoff must be a length in bohr, not {self.cutoff}.")
        if any(mul != 1 or ir.p != (-1) ** ir.l for mul, ir in self.harmonics):
            raise SettingsError(f"Edge harmonics must be such as 0e+1o+2e, not {self.harmonics}.")
        hidden = self.radial_hidden
        if len(hidden) > _MAX_HIDDEN or not all(0 < n <= 1000 for n in hidden):
            raise SettingsError(
                f"radial_hidden must be up to {_MAX_HIDDEN} widths of 1 … 1000, not {hidden}."
            )
        for name in ("n_layers", "n_radial", "n_types"):
            if not 0 < getattr(self, name) <= 1000:
                raise SettingsError(f"{name} must be 1 … 1000, not {getattr(self, name)}.")

    @property
    def radial_widths(self) -> tuple[int, ...]:
        """Widths of a radial network but for its output."""
        return (self.n_radial, *self.radial_hidden)


def _irreps(name: str, given: o3.Irreps | str) -> o3.Irreps:
    try:
        irreps = o3.Irreps(given)
    except (TypeError, ValueError, AssertionError) as error:
        raise SettingsError(f"The {name} must be such as 8x0e+4x1o, not {given!r}.") from error
    if not 0 < irreps.dim <= _MAX_DIM or irreps.lmax > MAX_L:
        raise SettingsError(
            f"The {name} must have 1 … {_MAX_DIM} components of l up to {MAX_L}, not {irreps}."
        )
    if len({ir for _, ir in irreps}) != len(irreps) or any(mul < 1 for mul, _ in irreps):
        raise SettingsError(f"The {name} must name each irrep once, with its number, not {irreps}.")
    return irreps
