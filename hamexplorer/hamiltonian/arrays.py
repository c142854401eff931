"""Arrays that nobody can change: what the frozen types of this package hold."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["owned", "read_only"]

_Scalar = TypeVar("_Scalar", bound=np.generic)


def read_only(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """The same array, marked as not writeable; for one that was just made."""
    array.setflags(write=False)
    return array


def owned(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """The array as contiguous and not writeable.

    It is copied if its giver could still write to it, and shared if not.
    """
    if array.flags.writeable or not array.flags.c_contiguous:
        return read_only(np.array(array, order="C"))
    return array
