"""Our checkpoint: one safetensors file whose header holds the hyper-parameters as JSON.

Header entry ``hamexplorer-model`` (JSON):

    version       of this layout
    layout        shells "s1:0 s2:0 p1:1" of the full block and by element
    channels      by kind, the fields of Hyperparameters (irreps as text)
    card          title, training_set, accuracy, licence, origin

Tensors are named ``kind/parameter``. A file holds numbers and this text, nothing that could run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from e3nn import o3
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from hamexplorer.errors import FileFormatError, HamexplorerError
from hamexplorer.formats.bundle import Member
from hamexplorer.hamiltonian import Shell
from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.model import HamiltonianModel, ModelCard, OrbitalLayout
from hamexplorer.model.spin_channels import Channel

__all__ = [
    "ENTRY",
    "VERSION",
    "is_checkpoint",
    "load_model",
    "opened",
    "plain_sizes",
    "read_card",
    "read_header",
    "read_shells",
    "read_sizes",
    "save_model",
    "shells_text",
]

ENTRY = "hamexplorer-model"
VERSION = 1
_UPGRADES: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Steps from version N to N + 1 of the header; none yet."""
_DAMAGE = (KeyError, TypeError, ValueError, RuntimeError, AttributeError, AssertionError)
"""What JSON of another form than ours leads to."""
_MAX_HEADER = 100_000_000


def is_checkpoint(member: Member) -> bool:
    """Whether the file begins as safetensors do: the header's length, then JSON."""
    length = int.from_bytes(member.head[:8], "little")
    return member.head[8:9] == b"{" and length <= min(_MAX_HEADER, member.size)


def save_model(model: HamiltonianModel, path: str | Path) -> None:
    """Write ``model`` to ``path``.

    Raises:
        OSError: it cannot be written.
    """
    header = {
        "version": VERSION,
        "layout": {
            "shells": shells_text(model.layout.shells),
            "elements": {s: shells_text(own) for s, own in model.layout.elements.items()},
        },
        "channels": {
            kind: plain_sizes(channel.backbone.hyperparameters)
            for kind, channel in model.channels.items()
        },
        "card": asdict(model.card),
    }
    tensors = {
        f"{kind}/{name}": tensor.detach().cpu().contiguous()
        for kind, channel in model.channels.items()
        for name, tensor in channel.state_dict().items()
    }
    # not save_file, which lets no one else read the file
    Path(path).write_bytes(save(tensors, {ENTRY: json.dumps(header, ensure_ascii=False)}))


def load_model(path: str | Path) -> HamiltonianModel:
    """Read a model on the CPU; its tensors are mapped from the file, not copied.

    Raises:
        FileFormatError: not such a file, of a newer version, or its tensors do not fit its
            hyper-parameters.
    """
    oldest = min(_UPGRADES, default=VERSION)
    with opened(path) as file:
        header = read_header(file.metadata() or {}, ENTRY, oldest, VERSION)
        for step in range(header["version"], VERSION):
            header = _UPGRADES[step](header)
        return _model(header, file)


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """A safetensors file; whatever goes wrong with what it holds is told with its name.

    Raises:
        FileFormatError: there is no such file, it is no safetensors file, or the body found it
            damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"{path.name}: there is no such file.")
    try:
        with safe_open(str(path), "pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise FileFormatError(
            f"{path.name} is no checkpoint of hamexplorer or is damaged: {error}."
        ) from error
    except HamexplorerError as error:
        raise FileFormatError(f"{path.name}: {error}") from error
    except _DAMAGE as error:
        raise FileFormatError(f"The header of {path.name} is damaged: {error}.") from error


def read_header(
    metadata: Mapping[str, str], entry: str, oldest: int, newest: int
) -> dict[str, Any]:
    """The JSON object ``entry`` of a file's metadata, of a version ``oldest`` … ``newest``.

    Raises:
        FileFormatError: there is none, or it has another version.
        ValueError: it is no JSON.
    """
    if entry not in metadata:
        raise FileFormatError(f"it has no entry {entry!r}: weights of another program or kind.")
    header = json.loads(metadata[entry])
    if not isinstance(header, dict):
        raise FileFormatError(f"its entry {entry!r} is no JSON object.")
    version = header.get("version")
    if type(version) is not int or not oldest <= version <= newest:
        readable = str(newest) if oldest == newest else f"{oldest} to {newest}"
        newer = type(version) is int and version > newest
        raise FileFormatError(
            f"its layout has version {version!r}; this release reads {readable}"
            + (". Install a newer hamexplorer." if newer else ".")
        )
    return header


def _model(header: dict[str, Any], file: Any) -> HamiltonianModel:
    layout = OrbitalLayout(
        read_shells(header["layout"]["shells"]),
        {symbol: read_shells(text) for symbol, text in header["layout"]["elements"].items()},
    )
    channels = {}
    for kind, given in header["channels"].items():
        if kind not in ("scalar", "spin_orbit"):
            raise FileFormatError(f"its channel {kind!r} is not known.")
        with torch.device("meta"):
            channel = Channel(kind, read_sizes(given), layout.momenta)
        wanted = channel.state_dict()
        state = {name: file.get_tensor(f"{kind}/{name}") for name in wanted}
        for name, tensor in state.items():
            if tensor.shape != wanted[name].shape or not tensor.is_floating_point():
                raise FileFormatError(
                    f"its tensor {kind}/{name} holds {tuple(tensor.shape)} numbers of "
                    f"{tensor.dtype}; by the hyper-parameters it has {tuple(wanted[name].shape)} "
                    "real ones."
                )
        channel.load_state_dict(state, assign=True)
        channels[kind] = channel
    model = HamiltonianModel(layout, channels, read_card(header["card"]))
    named = {
        f"{kind}/{name}" for kind, channel in channels.items() for name in channel.state_dict()
    }
    if beyond := sorted(set(file.keys()) - named):
        raise FileFormatError(
            f"its tensor {beyond[0]!r} has no place in the network of its hyper-parameters."
        )
    return model


def read_card(given: Mapping[str, Any]) -> ModelCard:
    """The card of a header.

    Raises:
        TypeError: it is no card.
    """
    card = ModelCard(**given)
    texts = (card.title, card.training_set, card.accuracy, card.licence)
    if not all(isinstance(text, str) for text in texts) or not isinstance(card.origin, dict):
        raise TypeError("its card holds what is no text")
    return card


def plain_sizes(p: Hyperparameters) -> dict[str, Any]:
    """Hyper-parameters as plain data, irreps as text."""
    values = {f.name: getattr(p, f.name) for f in fields(p)}
    return {**values, "features": str(p.features), "harmonics": str(p.harmonics)}


def read_sizes(given: Mapping[str, Any]) -> Hyperparameters:
    """The inverse of :func:`plain_sizes`.

    Raises:
        SettingsError: a value outside its range.
        KeyError, TypeError: the fields are others.
    """
    return Hyperparameters(
        **{
            **given,
            "features": o3.Irreps(given["features"]),
            "harmonics": o3.Irreps(given["harmonics"]),
            "radial_hidden": tuple(given["radial_hidden"]),
        }
    )


def shells_text(shells: tuple[Shell, ...]) -> str:
    """Shells as ``4s:0 4p:1``."""
    return " ".join(f"{s.label}:{s.l}" for s in shells)


def read_shells(text: str) -> tuple[Shell, ...]:
    """The inverse of :func:`shells_text`.

    Raises:
        HamexplorerError, ValueError, AttributeError: it is no such text.
    """
    found = []
    for word in text.split():
        label, _, momentum = word.rpartition(":")
        found.append(Shell(label, int(momentum)))
    return tuple(found)
