"""Weights and configurations out of HamGNN's own files; nothing of the files is run.

Two kinds: Lightning's ``.ckpt`` with the weights of one network, whose configuration is a YAML file
beside it; and the published universal model's ``.pkl``, one pickled object with two whole networks
and their configurations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.bundle import Member
from hamexplorer.formats.restricted_pickle import Record, load_pickle
from hamexplorer.model.torch_archive import CHECKPOINT_MODULES, read_torch_archive

__all__ = ["PublishedNetwork", "Weights", "read_config", "read_lightning", "read_predictor"]

_MAX_CONFIG_BYTES = 1e6
_MAX_PARTS = 100_000
_FACTS = ("epoch", "global_step", "pytorch-lightning_version")


class Weights(Mapping[str, torch.Tensor]):
    """Tensors by their names, each copied out of the file when it is asked for."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays

    def __getitem__(self, name: str) -> torch.Tensor:
        return torch.tensor(self._arrays[name])

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def has(self, *parts: str) -> bool:
        """Whether the name of any weight contains one of ``parts``."""
        return any(part in name for name in self._arrays for part in parts)


@dataclass(frozen=True, eq=False)
class PublishedNetwork:
    """One network: its weights, its configuration where the file has it, and what else it tells."""

    name: str
    weights: Weights
    config: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_spin_orbit(self) -> bool:
        """Whether it has the heads of spin–orbit strengths."""
        return self.weights.has("_ksi_network.", "tenet_ksi.")


def read_lightning(member: Member) -> PublishedNetwork:
    """The network of a Lightning checkpoint, or of a state dictionary that was saved alone.

    Raises:
        FileFormatError: damaged, another file of PyTorch, or it names what no checkpoint needs.
        ResourceLimitError: more pickle operations than any real file has.
    """
    found = read_torch_archive(member)
    state = found.get("state_dict", found) if isinstance(found, Mapping) else None
    arrays = _arrays(state.items()) if isinstance(state, Mapping) else {}
    if not any(name.startswith("representation.") for name in arrays):
        raise FileFormatError(
            f"{member.name} holds no weights of HamGNN: none is called representation.… ."
        )
    facts = {k: found[k] for k in _FACTS if isinstance(found.get(k), int | str)}
    return PublishedNetwork(member.name, Weights(arrays), facts=facts)


def read_predictor(member: Member) -> tuple[PublishedNetwork, PublishedNetwork | None]:
    """Both networks of a pickled HamiltonianPredictor, without and (else None) with spin–orbit.

    Raises:
        FileFormatError: damaged, another pickle, or it names what no checkpoint needs.
        ResourceLimitError: more pickle operations than any real file has.
    """
    data = member.data()
    with member.path() as path, path.open("rb") as stream:
        found = load_pickle(stream, data.size, member.name, inert=CHECKPOINT_MODULES)
    if not isinstance(found, Record) or "non_soc_model" not in found.attributes:
        raise FileFormatError(
            f"{member.name} is a pickle, but not of HamGNN's HamiltonianPredictor, the form in "
            "which the universal model is published."
        )
    first = _pickled(found, "non_soc_model", "config_nonsoc", member.name)
    if found.attributes.get("soc_model") is None:
        return first, None
    return first, _pickled(found, "soc_model", "config_soc", member.name)


def read_config(member: Member) -> Mapping[str, Any]:
    """A configuration in YAML.

    Raises:
        FileFormatError: it is none.
        ResourceLimitError: it is absurdly long.
    """
    text = member.text(_MAX_CONFIG_BYTES)
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place is not None else ""
        raise FileFormatError(f"{member.name}{where} is no YAML.") from error
    if not isinstance(found, Mapping):
        raise FileFormatError(f"{member.name} holds no configuration (a YAML mapping).")
    return found


def _pickled(predictor: Record, model: str, config: str, name: str) -> PublishedNetwork:
    arrays = _arrays(_tensors(predictor.attributes[model], name))
    settings = _config(predictor.attributes.get(config), name)
    if not isinstance(settings, Mapping):
        raise FileFormatError(f"{name} has no configuration {config}.")
    return PublishedNetwork(f"{name}, {model}", Weights(arrays), settings)


def _arrays(entries: Any) -> dict[str, NDArray[Any]]:
    """Those entries that can be weights."""
    return {
        name: value
        for name, value in entries
        if isinstance(name, str) and isinstance(value, np.ndarray) and value.dtype.kind == "f"
    }


def _tensors(module: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Parameters and buffers of a pickled torch module, named as its state dictionary would."""
    waiting = [(module, "")]
    left = _MAX_PARTS  # modules may lie in each other
    while waiting and left > 0:
        record, prefix = waiting.pop()
        left -= 1
        if not isinstance(record, Record):
            continue
        for group in ("_parameters", "_buffers"):
            for key, value in _entries(record, group):
                left -= 1
                yield prefix + key, value
        waiting.extend((value, f"{prefix}{key}.") for key, value in _entries(record, "_modules"))
    if waiting:
        raise FileFormatError(f"{name} is damaged: its modules lie in each other endlessly.")


def _entries(record: Record, group: str) -> Iterator[tuple[str, Any]]:
    found = record.attributes.get(group)
    if isinstance(found, Mapping):
        yield from ((key, value) for key, value in found.items() if isinstance(key, str))


def _config(value: Any, name: str) -> Any:
    try:
        return _plain(value, {})
    except RecursionError as error:
        raise FileFormatError(f"{name} is damaged: its configuration lies too deep.") from error


def _plain(value: Any, known: dict[int, Any]) -> Any:
    """Nested EasyDict records as dictionaries; what is neither number nor text is None, and so is
    what lies in itself.
    """
    if isinstance(value, bool | int | float | str):
        return value
    if id(value) not in known:
        known[id(value)] = None
        entries = {**value.attributes, **value.items} if isinstance(value, Record) else value
        if isinstance(entries, Mapping):
            plain: Any = {k: _plain(v, known) for k, v in entries.items() if isinstance(k, str)}
        elif isinstance(entries, list | tuple):
            plain = [_plain(v, known) for v in entries]
        else:
            plain = None
        known[id(value)] = plain
    return known[id(value)]
