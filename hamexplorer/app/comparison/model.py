"""What the Compare page asks of two Hamiltonians again and again, prepared once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hamexplorer.app.state import Subject
from hamexplorer.errors import SettingsError
from hamexplorer.hamiltonian import Hamiltonian, SpinState
from hamexplorer.properties.comparison import Comparer, Comparison, Shift
from hamexplorer.properties.large_cells import check_not_large
from hamexplorer.structures import standard_path

__all__ = ["ComparisonModel", "ComparisonRequest"]

_SPACING = 0.04  # 1/Å, as on the Bands page


@dataclass(frozen=True)
class ComparisonRequest:
    """What is shown: the dial, the constant (None: chosen), and the window near the gap, eV."""

    state: SpinState
    shift: Shift | None
    window: tuple[float, float]

    @classmethod
    def of(
        cls,
        hamiltonians: tuple[Hamiltonian, Hamiltonian],
        state: SpinState,
        shift: Shift | None,
        window: tuple[float, float],
    ) -> ComparisonRequest:
        """The request with everything dropped that changes nothing in the two."""
        if not any(h.is_magnetic for h in hamiltonians):
            state = SpinState(state.soc)
        if not any(h.has_spin_orbit for h in hamiltonians):
            state = replace(state, soc=1.0)
        return cls(state, shift, window)


class ComparisonModel:
    """Two Hamiltonians of one structure.

    Raises:
        StructureError: they are not of one structure.
        HamexplorerError: their bands cannot be computed.
    """

    def __init__(self, first: Subject, second: Subject) -> None:
        assert first.hamiltonian is not None
        assert second.hamiltonian is not None
        self.hamiltonians = first.hamiltonian, second.hamiltonian
        check_not_large(first.hamiltonian, "A comparison")
        path = standard_path(first.structure, _SPACING)
        self._comparer = Comparer(*self.hamiltonians, path, (first.title, second.title))

    @property
    def same_basis(self) -> bool:
        """Whether elements are compared."""
        return self._comparer.same_basis

    def compare(self, request: ComparisonRequest) -> Comparison:
        """The comparison; a constant that these two do not have is replaced, and that is said."""
        state, window = request.state, request.window
        try:
            return self._comparer.compare(state, shift=request.shift, window=window)
        except SettingsError as error:
            if request.shift is None:
                raise
            found = self._comparer.compare(state, window=window)
            said = f"{error} Here it is '{found.shift.method}'."
            return replace(found, warnings=(said, *found.warnings))
