"""A channel evaluated on a graph: device, precision, progress, cancelling."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hamexplorer.errors import HamexplorerError, SettingsError
from hamexplorer.model.inputs import Geometry
from hamexplorer.model.spin_channels import Channel

__all__ = ["Run", "evaluate"]

_DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Run:
    """Where and how a network is evaluated.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1``, or ``auto``: the first CUDA device if there is one.
        dtype: ``float32``, as HamGNN computes, or ``float64``.
        max_edges: crystals are computed together as long as they have no more edges.

    Raises:
        SettingsError: a device that is not there, or another value out of its range.
    """

    device: str = "cpu"
    dtype: str = "float32"
    max_edges: int = 20_000

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise SettingsError(f"dtype must be one of {', '.join(_DTYPES)}, not {self.dtype!r}.")
        if self.max_edges < 1:
            raise SettingsError(f"max_edges must be from 1 up, not {self.max_edges}.")
        _ = self.torch_device

    @property
    def torch_device(self) -> torch.device:
        """The device of that name."""
        there = torch.cuda.device_count()
        names = ["cpu", *(f"cuda:{k}" for k in range(there))]
        name = names[min(there, 1)] if self.device == "auto" else self.device
        name = "cuda:0" if name == "cuda" else name
        if name not in names:
            raise SettingsError(
                f"There is no device {self.device!r} here; accepted are auto, {', '.join(names)}."
            )
        return torch.device(name)

    @property
    def torch_dtype(self) -> torch.dtype:
        """The type of that name."""
        return _DTYPES[self.dtype]


def evaluate(
    channel: Channel, whole: Geometry, run: Run, report: Callable[[float], None]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """What the channel, which is on the device of ``run``, gives on sites and on edges.

    Args:
        channel: the network.
        whole: the graph.
        run: device and precision.
        report: told the fraction that is done, before every layer; may raise to stop.

    Returns:
        Blocks (n_sites, width, width) and (n_edges, width, width).

    Raises:
        HamexplorerError: the result is not finite.
    """
    device, dtype = run.torch_device, run.torch_dtype

    def sent(values: NDArray[Any]) -> torch.Tensor:
        kind = dtype if values.dtype.kind == "f" else torch.int64
        return torch.as_tensor(values, dtype=kind, device=device)

    with torch.no_grad(), _watched(channel, report):
        edges = channel.backbone.edges(
            sent(whole.positions), sent(whole.source), sent(whole.target), sent(whole.shift)
        )
        found = channel(sent(whole.numbers), edges)
    parts = found.onsite.cpu().numpy(), found.offsite.cpu().numpy()
    if not all(np.isfinite(part).all() for part in parts):
        raise HamexplorerError(
            "The network gave numbers that are not finite: its weights are damaged, or the crystal "
            "lies far from all that it was trained on."
        )
    return parts


@contextmanager
def _watched(channel: Channel, report: Callable[[float], None]) -> Iterator[None]:
    """Report before every layer, which is where a wish to cancel is heard."""
    backbone = channel.backbone
    layers: list[nn.Module] = [backbone.pair_embedding]
    for number, convolution in enumerate(backbone.convolutions):
        layers.append(convolution)
        if str(number) in backbone.pairs:
            layers.append(backbone.pairs[str(number)])
    thread = threading.get_ident()

    def hook(fraction: float) -> Callable[..., None]:
        def told(*_: Any) -> None:
            if threading.get_ident() == thread:  # others may run the same model
                report(fraction)

        return told

    handles = [
        layer.register_forward_pre_hook(hook(place / len(layers)))
        for place, layer in enumerate(layers)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
