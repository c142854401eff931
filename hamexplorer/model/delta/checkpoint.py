"""Checkpoints of networks that predict ΔH: one safetensors file with a JSON header.

Header entry ``hamexplorer-delta`` (JSON):

    version       of this layout
    network       "edge-frame" or "compatible"
    sizes         the fields of its hyper-parameters
    layout        shells "4s:0 4p:1" of the full block and by element
    seen          pairs of elements of the training set
    domain        elements whose statistics are stored
    card          title, training_set, accuracy, licence, origin

Tensors are named ``network/parameter``, ``domain/atoms/Mo`` and ``domain/whitening/Mo``. A file
holds numbers and this text, nothing that could run.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from hamexplorer.errors import FileFormatError
from hamexplorer.files import written
from hamexplorer.model.checkpoint import (
    opened,
    plain_sizes,
    read_card,
    read_header,
    read_shells,
    read_sizes,
    shells_text,
)
from hamexplorer.model.delta.base import BlockNetwork
from hamexplorer.model.delta.compatible import CompatibleNetwork
from hamexplorer.model.delta.domain import Domain
from hamexplorer.model.delta.hyperparameters import DeltaHyperparameters
from hamexplorer.model.delta.model import DeltaModel
from hamexplorer.model.delta.network import DeltaNetwork
from hamexplorer.model.model import OrbitalLayout

__all__ = ["ENTRY", "VERSION", "is_delta", "load_delta", "save_delta"]

ENTRY = "hamexplorer-delta"
VERSION = 1


def save_delta(model: DeltaModel, path: str | Path) -> None:
    """Write ``model`` to ``path``, which is whole or untouched.

    Raises:
        HamexplorerError: it cannot be written.
    """
    network, domain = model.network, model.domain
    kind, sizes = _described(network)
    header = {
        "version": VERSION,
        "network": kind,
        "sizes": sizes,
        "layout": {
            "shells": shells_text(network.layout.shells),
            "elements": {s: shells_text(own) for s, own in network.layout.elements.items()},
        },
        "seen": sorted(list(pair) for pair in model.seen),
        "domain": sorted(domain.atoms) if domain is not None else [],
        "card": asdict(model.card),
    }
    tensors = {
        f"network/{name}": tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    if domain is not None:
        for part in ("atoms", "whitening"):
            for symbol, values in getattr(domain, part).items():
                tensors[f"domain/{part}/{symbol}"] = torch.tensor(values).contiguous()
    with written(path) as temporary:
        # not save_file, which lets no one else read the file
        temporary.write_bytes(save(tensors, {ENTRY: json.dumps(header, ensure_ascii=False)}))


def is_delta(path: str | Path) -> bool:
    """Whether the file says that it is such a checkpoint."""
    try:
        with safe_open(str(path), "pt") as file:
            return ENTRY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def load_delta(path: str | Path) -> DeltaModel:
    """Read a model on the CPU.

    Raises:
        FileFormatError: not such a file, of a newer version, damaged, or its tensors do not fit
            its sizes.
    """
    with opened(path) as file:
        return _model(read_header(file.metadata() or {}, ENTRY, VERSION, VERSION), file)


def _described(network: BlockNetwork) -> tuple[str, dict[str, Any]]:
    if isinstance(network, DeltaNetwork):
        return "edge-frame", network.hyperparameters.to_json()
    assert isinstance(network, CompatibleNetwork)
    return "compatible", plain_sizes(network.hyperparameters)


def _model(header: dict[str, Any], file: Any) -> DeltaModel:
    given = header["layout"]["elements"]
    names = set(file.keys())
    # a network has tensors for every pair of elements: what a header asks for is bounded by the
    # file before anything is built
    if len(given) * (len(given) + 1) // 2 > len(names):
        raise FileFormatError(f"it names {len(given)} elements, but has {len(names)} tensors only.")
    layout = OrbitalLayout(
        read_shells(header["layout"]["shells"]),
        {symbol: read_shells(text) for symbol, text in given.items()},
    )
    with torch.device("meta"):
        network = _network(header["network"], header["sizes"], layout)
    wanted = network.state_dict()
    state = {
        name: _tensor(file, f"network/{name}", tensor.shape) for name, tensor in wanted.items()
    }
    if len({tensor.dtype for tensor in state.values()}) != 1:
        raise FileFormatError("its tensors are not all of one precision.")
    network.load_state_dict(state, assign=True)
    domain = _domain(header["domain"], network, file)
    known = {f"network/{name}" for name in wanted}
    known |= {f"domain/{part}/{s}" for part in ("atoms", "whitening") for s in header["domain"]}
    if beyond := sorted(names - known):
        raise FileFormatError(f"its tensor {beyond[0]!r} has no place in a network of its sizes.")
    seen = frozenset((_symbol(a, layout), _symbol(b, layout)) for a, b in header["seen"])
    return DeltaModel(network, read_card(header["card"]), seen, domain)


def _network(kind: str, sizes: Any, layout: OrbitalLayout) -> BlockNetwork:
    if not isinstance(sizes, dict):
        raise FileFormatError("its sizes are no JSON object.")
    if kind == "edge-frame":
        return DeltaNetwork(DeltaHyperparameters.from_json(sizes), layout)
    if kind == "compatible":
        return CompatibleNetwork(read_sizes(sizes), layout)
    raise FileFormatError(f"its network {kind!r} is not known; known are edge-frame, compatible.")


def _tensor(file: Any, name: str, shape: torch.Size) -> torch.Tensor:
    found = file.get_slice(name)
    if list(found.get_shape()) != list(shape):
        raise FileFormatError(
            f"its tensor {name} holds {tuple(found.get_shape())} numbers; by the sizes it has "
            f"{tuple(shape)}."
        )
    tensor: torch.Tensor = file.get_tensor(name)
    if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
        raise FileFormatError(f"its tensor {name} does not hold finite real numbers.")
    return tensor


def _domain(symbols: Any, network: BlockNetwork, file: Any) -> Domain | None:
    if not symbols:
        return None
    whitening, atoms = {}, {}
    for symbol in symbols:
        name = f"domain/atoms/{_symbol(symbol, network.layout)}"
        count, size = file.get_slice(name).get_shape()[0], network.n_features
        if not count:
            raise FileFormatError(f"its tensor {name} holds no atom.")
        atoms[symbol] = _tensor(file, name, torch.Size([count, size])).double().numpy()
        square = torch.Size([size, size])
        whitening[symbol] = _tensor(file, f"domain/whitening/{symbol}", square).double().numpy()
    return Domain(whitening, atoms)


def _symbol(given: Any, layout: OrbitalLayout) -> str:
    if given not in layout.elements:
        raise FileFormatError(f"it speaks of {given!r}, which is no element of its layout.")
    return str(given)
