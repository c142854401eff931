"""Hyper-parameters from a published configuration, or as far as possible from the weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from e3nn import o3

from hamexplorer.errors import FileFormatError
from hamexplorer.model.hyperparameters import Hyperparameters

__all__ = ["config_hyperparameters", "inferred_hyperparameters", "orbital_width"]

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
    "soc_basis": ("so3",),
}
_FEATURES = "64x0e+64x0o+32x1o+16x1e+12x2o+25x2e+18x3o+9x3e+4x4o+9x4e+4x5o+4x5e+2x6e"
_HARMONICS = "0e+1o+2e+3o+4e+5o"


def config_hyperparameters(config: Mapping[str, Any], *, legacy: bool) -> Hyperparameters:
    """From a configuration's ``representation_nets.HamGNN_pre``.

    ``legacy`` is what its weights tell of the first pair interaction.

    Raises:
        FileFormatError: a part is missing, or names a variant that this network is not.
    """
    part = _part(config, "representation_nets", "HamGNN_pre")
    _check(part, _ONLY)
    _check(_part(config, "output_nets", "HamGNN_out"), _OUT_ONLY)
    try:
        return Hyperparameters(
            features=o3.Irreps(part["irreps_node_features"]),
            harmonics=o3.Irreps(part["irreps_edge_sh"]),
            n_layers=int(part["num_layers"]),
            cutoff=float(part["cutoff"]),
            n_radial=int(part["num_radial"]),
            radial_hidden=tuple(int(n) for n in part["radial_MLP"]),
            n_types=int(part["num_types"]),
            legacy_edge_update=legacy,
        )
    except KeyError as error:
        raise FileFormatError(f"The configuration has no {error} of HamGNN_pre.") from error
    except (TypeError, ValueError, AssertionError) as error:
        raise FileFormatError(f"The configuration of HamGNN_pre is damaged: {error}.") from error


def orbital_width(config: Mapping[str, Any]) -> int:
    """``nao_max`` of a configuration.

    Raises:
        FileFormatError: it is missing.
    """
    width = _part(config, "output_nets", "HamGNN_out").get("nao_max")
    if not isinstance(width, int):
        raise FileFormatError("The configuration has no nao_max of HamGNN_out.")
    return width


def inferred_hyperparameters(state: Mapping[str, torch.Tensor], *, legacy: bool) -> Hyperparameters:
    """From the weights alone, where their features are the published default's.

    Raises:
        FileFormatError: they are not; the irreps cannot be told from sizes, so that the
            configuration is needed.
    """
    try:
        root = "representation"
        layers = {
            int(m[1]) for name in state if (m := re.match(rf"{root}\.convolutions\.(\d+)\.", name))
        }
        radial = state[f"{root}.radial_basis_functions.freqs"]
        generator = f"{root}.pair_embedding.conv_tp.weight_generator"
        depth = {
            int(m[1])
            for name in state
            if (m := re.match(re.escape(generator) + r"\.layer(\d+)\.", name))
        }
        hidden = tuple(state[f"{generator}.layer{k}.weight"].shape[1] for k in sorted(depth)[:-1])
        n_types = round(state[f"{root}.pair_embedding.linear_up_src.weight"].numel() ** 0.5)
        features = o3.Irreps(_FEATURES)
        if state[f"{root}.convolutions.0.skip_linear.weight"].numel() != sum(
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
            cutoff=float(state[f"{root}.cutoff_func.cutoff"].reshape(-1)[0]),
            n_radial=radial.numel(),
            radial_hidden=hidden,
            n_types=n_types,
            legacy_edge_update=legacy,
        )
    except KeyError as error:
        raise FileFormatError(
            f"The checkpoint has no weight {error}: not such a network."
        ) from error


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
                f"The configuration has {key}: {part[key]!r}; supported is "
                + " or ".join(repr(a) for a in accepted)
                + "."
            )
