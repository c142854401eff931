"""Two Hamiltonians of one structure: differences of elements and of bands."""

from hamexplorer.properties.comparison.bands import BandErrors, SolvedBands, SplittingDifference
from hamexplorer.properties.comparison.compare import SHIFTS, Comparer, compare
from hamexplorer.properties.comparison.elements import (
    ElementErrors,
    UnmatchedPairs,
    WorstElement,
)
from hamexplorer.properties.comparison.matching import site_translations
from hamexplorer.properties.comparison.result import (
    TABLES,
    Comparison,
    EnergyShift,
    Shift,
    Table,
    shown_meV,
)
from hamexplorer.properties.comparison.tables import ErrorTable

__all__ = [
    "SHIFTS",
    "TABLES",
    "BandErrors",
    "Comparer",
    "Comparison",
    "ElementErrors",
    "EnergyShift",
    "ErrorTable",
    "Shift",
    "SolvedBands",
    "SplittingDifference",
    "Table",
    "UnmatchedPairs",
    "WorstElement",
    "compare",
    "shown_meV",
    "site_translations",
]
