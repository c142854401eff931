"""The state that a killed or stopped training continues from.

``state.pt`` holds tensors and plain data and is read as such (``weights_only``). It is replaced
as a whole, so that after a kill at any moment the last whole state is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hamexplorer.errors import FileFormatError, HamexplorerError, SettingsError
from hamexplorer.files import written

__all__ = ["VERSION", "Identity", "load_state", "save_state", "weights_digest"]

VERSION = 1
_KEYS = ("identity", "stage", "network", "average", "optimizer", "sampler", "generator", "best")


@dataclass(frozen=True)
class Identity:
    """What must be the same for a training to continue: digests of configuration and data, number
    of processes, and the weights that it started from (empty: random ones).
    """

    config: str
    data: str
    processes: int
    start: str = ""


def save_state(state: Mapping[str, Any], identity: Identity, path: Path) -> None:
    """Write a state, whole or not at all.

    Raises:
        HamexplorerError: it cannot be written.
    """
    try:
        with written(path) as temporary:
            torch.save({**state, "version": VERSION, "identity": vars(identity)}, temporary)
    except RuntimeError as error:  # torch's word for a full disk
        raise HamexplorerError(
            f"{path} cannot be written: {str(error).splitlines()[0]}."
        ) from error


def load_state(path: Path, identity: Identity) -> dict[str, Any] | None:
    """The state that a training left, on the CPU; None if there is none.

    Raises:
        FileFormatError: damaged, or of another version.
        SettingsError: of another training: says what differs.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on damaged input torch may raise anything
        raise FileFormatError(
            f"{path} is damaged ({type(error).__name__}); remove it, or give --fresh to train anew."
        ) from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise FileFormatError(f"{path} is no state of a training that this release can continue.")
    if missing := [key for key in _KEYS if key not in state]:
        raise FileFormatError(f"{path} has no {missing[0]!r}; give --fresh to train anew.")
    _compare(path, state["identity"], identity)
    return state


_DIFFERENCES = {
    "config": "another configuration (only limits of steps and minutes may differ)",
    "data": "another data set: samples were added, removed or computed anew",
    "processes": "another number of devices",
    "start": "other weights to start from",
}


def _compare(path: Path, stored: Any, identity: Identity) -> None:
    for name, new in vars(identity).items():
        if not isinstance(stored, dict) or stored.get(name) != new:
            raise SettingsError(
                f"{path.parent} holds a training with {_DIFFERENCES[name]}. Give another output, "
                "or --fresh to train anew."
            )


def weights_digest(path: Path) -> str:
    """SHA-256 of a file of weights."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
