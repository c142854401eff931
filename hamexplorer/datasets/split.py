"""Which samples train, which validate and which test: a rule of each sample alone.

So a sample's part never changes, whatever is added to the set or taken from it:

    held out → test;  the parent itself → train;
    u = SHA-256 of (parent, strain to 1e-4, n_cells, name) as a number in [0, 1):
    u < 0.8 → train,  u < 0.9 → validation,  else test.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from hamexplorer.datasets.sample import SampleInfo

__all__ = ["PARTS", "Part", "part_of"]

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
_TRAIN, _VALIDATION = 0.8, 0.9


def part_of(info: SampleInfo) -> Part:
    """The part of the set that the sample belongs to."""
    if info.held_out:
        return "test"
    if info.pristine:
        return "train"
    key = f"{info.parent}\n{info.strain:.4f}\n{info.n_cells}\n{info.name}"
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    if number < _TRAIN:
        return "train"
    return "validation" if number < _VALIDATION else "test"
