"""From what the user named to a Hamiltonian, with progress: what several commands begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hamexplorer.cli.inputs import apply_moments, load_input
from hamexplorer.cli.options import Calculation, Reading
from hamexplorer.cli.progress import monitored
from hamexplorer.cli.threads import set_threads
from hamexplorer.errors import ResourceLimitError, SettingsError

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from hamexplorer.hamiltonian import Hamiltonian
    from hamexplorer.sources import Source

__all__ = ["Request", "prepare"]


@dataclass(frozen=True)
class Request:
    """What a command works on: a structure, and its Hamiltonian or who computes it."""

    structure: Structure
    stored: Hamiltonian | None
    source: Source | None
    cached: bool

    def hamiltonian(self, *, show_progress: bool) -> Hamiltonian:
        """The stored one, or the source's, under a progress display that Ctrl-C cancels."""
        if self.stored is not None:
            return self.stored
        from hamexplorer.sources import compute

        try:
            with monitored(show=show_progress) as monitor:
                return compute(self.structure, self.source, cache=self.cached, monitor=monitor)
        except ResourceLimitError as error:
            raise ResourceLimitError(f"{error}{self._advice()}") from None

    def _advice(self) -> str:
        """What computes a crystal that is too large for DFT."""
        from hamexplorer.dft.superposed.settings import SuperposedSettings

        too_many = len(self.structure) > SuperposedSettings().max_atoms
        if too_many or self.source is None or self.source.name != "dft":
            return ""
        return " Superposed atoms, an approximation, take larger cells: --source superposed"


def prepare(given: str, calculation: Calculation, reading: Reading | None = None) -> Request:
    """Load ``given`` and make the source that ``calculation`` describes.

    ``reading`` are facts that a Hamiltonian's file does not tell.

    Raises:
        HamexplorerError: the input or a setting is wrong.
    """
    threads = set_threads(calculation.threads)
    from hamexplorer.hamiltonian import Hamiltonian
    from hamexplorer.sources import make_source

    settings = {**calculation.settings(), "threads": threads}
    source = make_source(calculation.source, **settings)
    options = None if reading is None else reading.options()
    loaded = load_input(given, primitive=calculation.primitive, options=options)
    if isinstance(loaded, Hamiltonian):
        if calculation.source != "dft":
            raise SettingsError(
                f"--source says who computes a structure; {given} holds a Hamiltonian."
            )
        return Request(loaded.structure, loaded, None, cached=False)
    if calculation.magmom is not None:
        loaded = apply_moments(loaded, calculation.magmom)
    return Request(loaded, None, source, cached=not calculation.no_cache)
