"""The package's own exceptions.

A message says what was wrong, where (file, line or key), and what would be accepted.
The command line prints that message alone and exits with 2; the app shows it as an alert.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "CacheError",
    "CalculationCancelled",
    "ConvergenceError",
    "FileFormatError",
    "HamexplorerError",
    "HamiltonianError",
    "ResourceLimitError",
    "SettingsError",
    "StructureError",
    "UnsupportedElementError",
]


class HamexplorerError(Exception):
    """Base of every error that a user's input or settings can cause."""


class StructureError(HamexplorerError):
    """A crystal structure could not be read, or is not one that can be computed."""


class UnsupportedElementError(StructureError):
    """An element has no basis, pseudopotential or spin-orbit parameters."""


class FileFormatError(HamexplorerError):
    """A file is not of the format it should be, or is damaged."""


class HamiltonianError(HamexplorerError):
    """Matrices that break an invariant: hermiticity, antisymmetry, a positive overlap."""


class SettingsError(HamexplorerError):
    """A parameter lies outside what is accepted."""


class ResourceLimitError(HamexplorerError):
    """A calculation would need more memory, atoms or file size than is allowed."""


class CacheError(HamexplorerError):
    """The disk cache cannot be used."""


class ConvergenceError(HamexplorerError):
    """An iteration did not converge; ``state`` holds what it reached last."""

    def __init__(self, message: str, state: Any = None) -> None:
        super().__init__(message)
        self.state = state


class CalculationCancelled(HamexplorerError):
    """The user asked a running calculation to stop."""
