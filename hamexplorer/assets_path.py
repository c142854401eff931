"""Where the shipped data files lie.

In a wheel ``assets/`` is packed into the package itself; in an editable install it stays at the
repository's top, beside the package.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path, PurePosixPath

__all__ = ["asset"]


def asset(relative: str) -> Path:
    """Path of the shipped file or folder ``relative`` (``"gallery/index.json"``).

    Raises ``ValueError`` for a path that leaves ``assets/`` and ``FileNotFoundError`` if nothing
    of that name was shipped: both are faults of the program or the installation, not of a user.
    """
    parts = PurePosixPath(relative)
    if parts.is_absolute() or ".." in parts.parts:
        raise ValueError(f"asset path {relative!r} must stay inside assets/")
    package = Path(str(files("hamexplorer")))
    candidates = [package / "assets" / parts, package.parent / "assets" / parts]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise FileNotFoundError(
        f"asset {relative!r} is missing from this installation (looked in "
        f"{candidates[0].parent} and {candidates[1].parent})"
    )
