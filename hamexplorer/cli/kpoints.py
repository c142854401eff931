"""Lists of k-points from a text file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from hamexplorer.errors import FileFormatError, ResourceLimitError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hamexplorer.structures.kpath import KPath

__all__ = ["kpoint_list", "read_kpoints"]

_MAX_BYTES = 20_000_000
_MAX_POINTS = 200_000


def read_kpoints(path: Path) -> NDArray[np.float64]:
    """Fractional k-points, (nk, 3): three numbers a line (``0.5``, ``1/3``), parted by blanks or
    commas; ``#`` begins a comment, empty lines are skipped.

    Raises:
        FileFormatError: no such file, not text, no k-point, or a line that is not three finite
            numbers, named by its number.
        ResourceLimitError: more than 20 MB or 200 000 points.
    """
    import numpy as np

    points = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        point = _point(words)
        if point is None:
            raise FileFormatError(
                f"{path.name}, line {number}: {line.strip()[:60]!r} is not a k-point; three "
                "fractional numbers such as '0.5 0 1/3' are accepted."
            )
        points.append(point)
        if len(points) > _MAX_POINTS:
            raise ResourceLimitError(f"{path.name} has more than {_MAX_POINTS} k-points.")
    if not points:
        raise FileFormatError(f"{path.name} holds no k-point; one a line is accepted.")
    return np.array(points)


def _text(path: Path) -> str:
    if not path.is_file():
        raise FileFormatError(f"{path}: there is no such file of k-points.")
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise ResourceLimitError(
                f"{path.name} has {size / 1e6:.0f} MB; lists of k-points up to "
                f"{_MAX_BYTES / 1e6:.0f} MB are read."
            )
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path.name} is not a text file.") from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}.") from error


def _point(words: list[str]) -> tuple[float, float, float] | None:
    try:
        x, y, z = (_number(word) for word in words)
    except (ValueError, ZeroDivisionError):
        return None
    return (x, y, z) if math.isfinite(x + y + z) else None


def _number(word: str) -> float:
    numerator, slash, denominator = word.partition("/")
    return float(numerator) / float(denominator) if slash else float(word)


def kpoint_list(structure: Structure, kpoints: NDArray[np.float64]) -> KPath:
    """The points as a path without labels; distances (1/Å) run from each to the next."""
    import numpy as np

    from hamexplorer.structures.kpath import KPath

    steps = np.diff(kpoints, axis=0) @ structure.lattice.reciprocal_lattice.matrix
    distances = np.concatenate([[0.0], np.cumsum(np.linalg.norm(steps, axis=1))])
    return KPath(kpoints, distances, ())
