"""Hyper-parameters from a published configuration, or as far as possible from the weights."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Mapping
from typing import Any

import torch
from e3nn import o3

from hamexplorer.errors import FileFormatError, SettingsError
from hamexplorer.formats.hamgnn.elements import LAYOUTS
from hamexplorer.model.heads import coupled_irreps
from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.published import HEADS
from hamexplorer.model.spin_channels import Kind

__all__ = [
    "check_variant",
    "config_hyperparameters",
    "first_update_idle",
    "inferred_hyperparameters",
    "inferred_width",
    "orbital_width",
]

_ONLY = {
    "rbf_func": ("bessel",),
    "cutoff_func": ("cos",),
    "edge_sh_normalization": ("component",),
    "edge_sh_normalize": (True,),
    "lite_mode": (False,),
    "use_corr_prod": (False,),
    "use_kan": (False,),
    "build_internal_graph": (False,),
}
"""Choices of the published backbone that this network has."""
_OUT_ONLY = {
    "ham_type": ("openmx",),
    "ham_only": (True,),
    "nonlinearity_type": ("gate",),
    "symmetrize": (True,),
    "add_H0": (True,),
    "collinear_spin": (False,),
    "spin_constrained": (False,),
}
_KIND_ONLY: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "scalar": {"soc_switch": (False,)},
    "spin_orbit": {"soc_switch": (True,), "soc_basis": ("so3",)},
}
_VARIANTS = {
    "corr_products.": "a product block of many-body correlations (use_corr_prod)",
    "weight_generator_combine": "its light form (lite_mode)",
    "combine_messages": "its light form (lite_mode)",
    "base_weight": "Kolmogorov–Arnold networks (use_kan)",
    "_overlap_network.": "a head for the overlap (ham_only: false)",
    "tenet_s.": "a head for the overlap (ham_only: false)",
    "_J_network.": "exchange couplings (spin_constrained)",
    "tenet_J.": "exchange couplings (spin_constrained)",
}
"""Parts of the weights' names that tell of an architecture which this network has not."""
_FEATURES = "64x0e+64x0o+32x1o+16x1e+12x2o+25x2e+18x3o+9x3e+4x4o+9x4e+4x5o+4x5e+2x6e"
_HARMONICS = "0e+1o+2e+3o+4e+5o"
_ROOT = "representation"

State = Mapping[str, torch.Tensor]


def check_variant(state: State) -> None:
    """Refuse weights of an architecture that this network has not.

    Raises:
        FileFormatError: such weights; names the variant.
    """
    for part, variant in _VARIANTS.items():
        if any(part in name for name in state):
            raise FileFormatError(
                f"The checkpoint has weights of {variant}, a variant of HamGNN that is not "
                "supported."
            )


def first_update_idle(state: State) -> bool:
    """Whether the first pair interaction does nothing (``legacy_edge_update``), as before
    2026-03-02: it then has no skip connection.
    """
    return f"{_ROOT}.pair_interactions.0.skip_linear.weight" not in state


def config_hyperparameters(
    config: Mapping[str, Any], kind: Kind, *, legacy: bool
) -> Hyperparameters:
    """From a configuration's ``representation_nets.HamGNN_pre``.

    ``legacy`` is what its weights tell of the first pair interaction.

    Raises:
        FileFormatError: a part is missing or damaged, is that of the other ``kind`` of network, or
            names a variant that this network is not.
    """
    part = _part(config, "representation_nets", "HamGNN_pre")
    _check(part, _ONLY)
    _check(_part(config, "output_nets", "HamGNN_out"), {**_OUT_ONLY, **_KIND_ONLY[kind]})
    try:
        return Hyperparameters(
            features=_irreps(part["irreps_node_features"]),
            harmonics=_irreps(part["irreps_edge_sh"]),
            n_layers=int(part["num_layers"]),
            cutoff=float(part["cutoff"]),
            n_radial=int(part["num_radial"]),
            radial_hidden=tuple(int(n) for n in part["radial_MLP"]),
            n_types=int(part["num_types"]),
            legacy_edge_update=legacy,
        )
    except KeyError as error:
        raise FileFormatError(f"The configuration has no {error} of HamGNN_pre.") from error
    except (TypeError, ValueError, AssertionError, OverflowError, SettingsError) as error:
        text = str(error).removesuffix(".")
        raise FileFormatError(f"The configuration of HamGNN_pre is damaged: {text}.") from error


def orbital_width(config: Mapping[str, Any]) -> int:
    """``nao_max`` of a configuration.

    Raises:
        FileFormatError: it is missing or not one of HamGNN's.
    """
    width = _part(config, "output_nets", "HamGNN_out").get("nao_max")
    if not isinstance(width, int) or width not in LAYOUTS:
        raise FileFormatError(
            f"nao_max of the configuration's HamGNN_out is {reprlib.repr(width)}; accepted are "
            f"{', '.join(map(str, LAYOUTS))}."
        )
    return width


def inferred_hyperparameters(state: State, *, legacy: bool) -> Hyperparameters:
    """From the weights alone, where their features are the published default's.

    Raises:
        FileFormatError: they are not; the irreps cannot be told from sizes, so that the
            configuration is needed.
    """
    try:
        layers = {
            int(m[1]) for name in state if (m := re.match(rf"{_ROOT}\.convolutions\.(\d+)\.", name))
        }
        radial = state[f"{_ROOT}.radial_basis_functions.freqs"]
        generator = f"{_ROOT}.pair_embedding.conv_tp.weight_generator"
        depth = {
            int(m[1])
            for name in state
            if (m := re.match(re.escape(generator) + r"\.layer(\d+)\.", name))
        }
        hidden = tuple(state[f"{generator}.layer{k}.weight"].shape[1] for k in sorted(depth)[:-1])
        n_types = math.isqrt(state[f"{_ROOT}.pair_embedding.linear_up_src.weight"].numel())
        features = o3.Irreps(_FEATURES)
        if state[f"{_ROOT}.convolutions.0.skip_linear.weight"].numel() != sum(
            mul**2 for mul, _ in features
        ):
            raise FileFormatError(
                "The features are not the published default's, and their irreps cannot be told "
                "from the weights: give the configuration (YAML), too."
            )
        return Hyperparameters(
            features=features,
            harmonics=o3.Irreps(_HARMONICS),
            n_layers=len(layers),
            cutoff=float(state[f"{_ROOT}.cutoff_func.cutoff"].reshape(-1)[0]),
            n_radial=radial.numel(),
            radial_hidden=hidden,
            n_types=n_types,
            legacy_edge_update=legacy,
        )
    except KeyError as error:
        raise FileFormatError(
            f"The checkpoint has no weight {error}: not such a network."
        ) from error
    except (IndexError, SettingsError) as error:
        raise FileFormatError(f"The checkpoint's weights are damaged: {error}") from error


def inferred_width(state: State, features: o3.Irreps, kind: Kind) -> int:
    """``nao_max`` by the size of the head on sites.

    Raises:
        FileFormatError: no layout of HamGNN has such a head.
    """
    names = [f"output_module.{name}.linear_transform.weight" for name in HEADS[kind][0]]
    found = next((state[name].numel() for name in names if name in state), None)
    if found is None:
        raise FileFormatError(f"The checkpoint has no weight {names[0]!r}.")
    for width, shells in LAYOUTS.items():
        if kind == "scalar":
            channels = coupled_irreps([shell.l for shell in shells])
            size = sum(features.count(o3.Irrep(big, p)) for _, _, big, p in channels)
        else:
            size = features.count("0e") * width**2
        if size == found:
            return width
    raise FileFormatError(
        f"Weight {names[0]!r} has {found} numbers, which fit no nao_max of HamGNN "
        f"({', '.join(map(str, LAYOUTS))}): give the configuration (YAML), too."
    )


def _irreps(text: Any) -> o3.Irreps:
    if not isinstance(text, str):
        raise TypeError("irreps are no text such as 64x0e+32x1o")
    return o3.Irreps(text)


def _part(config: Mapping[str, Any], group: str, name: str) -> Mapping[str, Any]:
    outer = config.get(group)
    part = outer.get(name) if isinstance(outer, Mapping) else None
    if not isinstance(part, Mapping):
        raise FileFormatError(f"The configuration has no part {group} → {name}.")
    return part


def _check(part: Mapping[str, Any], only: Mapping[str, tuple[Any, ...]]) -> None:
    for key, accepted in only.items():
        if key in part and part[key] not in accepted:
            raise FileFormatError(
                f"The configuration has {key}: {reprlib.repr(part[key])}; supported is "
                + " or ".join(repr(a) for a in accepted)
                + "."
            )
