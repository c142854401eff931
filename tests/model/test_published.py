"""HamGNN's own files of weights: recovered bit by bit, refused where they are hostile or others."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hamgnn_files import PICKLE, SIC, WSE2, unpacked, weight_files

from hamexplorer.errors import FileFormatError, HamexplorerError, SettingsError
from hamexplorer.formats.bundle import Member, bundle_of_path
from hamexplorer.hamiltonian import Shell
from hamexplorer.model.hyperparameters import Hyperparameters
from hamexplorer.model.importing import WeightFiles, open_model
from hamexplorer.model.published import load_published
from hamexplorer.model.published_config import inferred_hyperparameters, inferred_width
from hamexplorer.model.published_files import read_lightning, read_predictor
from hamexplorer.model.spin_channels import Channel

DEFAULT = "64x0e+64x0o+32x1o+16x1e+12x2o+25x2e+18x3o+9x3e+4x4o+9x4e+4x5o+4x5e+2x6e"
SHELLS_26 = (0, 0, 0, 1, 1, 2, 2, 3)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    parent = tmp_path_factory.mktemp("hamgnn")
    return lambda name: unpacked(name, parent)


def member(path: Path) -> Member:
    chosen = bundle_of_path(path).chosen
    assert chosen is not None
    return chosen


# --- weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [SIC, WSE2])
@pytest.mark.parametrize("name", ["nonsoc", "soc"])
def test_lightning_weights_are_those_that_torch_reads(
    files: Callable[[str], Path], folder: str, name: str
) -> None:
    path = files(folder) / f"{name}.ckpt"
    found = read_lightning(member(path))
    expected = torch.load(path, weights_only=True)["state_dict"]
    expected = {k: v for k, v in expected.items() if v.is_floating_point()}
    assert set(found.weights) == set(expected)
    for key, value in expected.items():
        assert found.weights[key].dtype == value.dtype
        assert torch.equal(found.weights[key], value)
    assert found.has_spin_orbit == (name == "soc")
    assert found.facts["pytorch-lightning_version"]


class Absorbing(dict):  # type: ignore[type-arg]
    """Stands in for any class of the one known fixture that the oracle below unpickles."""

    def __new__(cls, *_: Any, **__: Any) -> Absorbing:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __call__(self, *_: Any, **__: Any) -> Absorbing:
        return Absorbing()

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {})


class Oracle(pickle.Unpickler):
    """Python's own unpickler; PyTorch makes the tensors."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] in ("torch", "collections") and not module.startswith("torch.nn"):
            return super().find_class(module, name)
        return type(name, (Absorbing,), {})


def own_tensors(module: Any, prefix: str = "") -> dict[str, torch.Tensor]:
    found = {}
    for group in ("_parameters", "_buffers"):
        for key, value in module.__dict__.get(group, {}).items():
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                found[prefix + key] = value.detach()
    for key, child in module.__dict__.get("_modules", {}).items():
        if child is not None:
            found |= own_tensors(child, f"{prefix}{key}.")
    return found


def test_pickled_weights_are_recovered_bit_by_bit(files: Callable[[str], Path]) -> None:
    path = files(PICKLE) / "predictor_legacy_v2_1.pkl"
    with path.open("rb") as stream:
        predictor = Oracle(stream).load()
    model = open_model(weight_files(files(PICKLE)))
    networks = read_predictor(member(path))
    kinds = zip(("scalar", "spin_orbit"), ("non_soc_model", "soc_model"), networks, strict=True)
    for kind, attribute, network in kinds:
        assert network is not None
        expected = own_tensors(predictor.__dict__[attribute])
        assert len(expected) > 200
        assert set(network.weights) == set(expected)
        for key, value in expected.items():
            assert torch.equal(network.weights[key], value)
        # and all of them that are trained come into the model, each once
        channel = model.channels[kind]
        head = "ksi" if kind == "spin_orbit" else "hamiltonian"
        other = {"ksi": "hamiltonian", "hamiltonian": "ksi"}[head]
        used = [
            value.flatten()
            for key, value in expected.items()
            if key.endswith(".weight")
            and f"_{other}_network." not in key
            # the first pair interaction of this version does nothing
            and not key.startswith("representation.pair_interactions.0.")
        ]
        ours = torch.cat([p.detach().flatten() for p in channel.parameters()])
        assert torch.equal(ours.sort().values, torch.cat(used).sort().values)


def test_sizes_of_the_default_network() -> None:
    """Counts of weights that the published network has with its default configuration."""
    p = Hyperparameters(DEFAULT, "0e+1o+2e+3o+4e+5o")
    with torch.device("meta"):
        channel = Channel("scalar", p, SHELLS_26)
        soc = Channel("spin_orbit", p, SHELLS_26)
    # the published count is of the version whose first pair interaction has no skip connection
    assert sum(q.numel() for q in channel.parameters()) == 5_590_937 + 10_779
    assert channel.backbone.pairs["0"].skip.weight.numel() == 10_779
    message = channel.backbone.convolutions[0].message
    assert message.node.product.numel() == 118_482
    assert message.edge.product.numel() == 59_241
    assert message.edge.paths.n_channels == 3589
    assert sum(m.numel() for m in message.node.mixers) == 100_089
    assert channel.backbone.pair_embedding.filter.product.numel() == 14_592
    assert sum(m.numel() for m in channel.backbone.pair_embedding.filter.mixers) == 6166
    assert channel.backbone.convolutions[0].residual.first.weight.numel() == 19_419
    assert channel.onsite.linear.weight.numel() == 3357
    assert soc.onsite.linear.weight.numel() == 43_264


def test_default_sizes_need_no_configuration() -> None:
    generator = "representation.pair_embedding.conv_tp.weight_generator"
    shapes = {
        "representation.radial_basis_functions.freqs": (64,),
        "representation.pair_embedding.linear_up_src.weight": (9216,),
        f"{generator}.layer0.weight": (64, 64),
        f"{generator}.layer1.weight": (64, 64),
        f"{generator}.layer2.weight": (64, 152),
        **{f"representation.convolutions.{k}.skip_linear.weight": (10779,) for k in range(3)},
        "output_module.onsite_hamiltonian_network.linear_transform.weight": (3357,),
        "output_module.onsitenet_ksi.linear_transform.weight": (43264,),
    }
    state = {name: torch.zeros(shape) for name, shape in shapes.items()}
    state["representation.cutoff_func.cutoff"] = torch.tensor([26.0])
    p = inferred_hyperparameters(state, legacy=False)
    assert p == Hyperparameters(DEFAULT, "0e+1o+2e+3o+4e+5o")
    assert inferred_width(state, p.features, "scalar") == 26
    assert inferred_width(state, p.features, "spin_orbit") == 26
    state["output_module.onsite_hamiltonian_network.linear_transform.weight"] = torch.zeros(3356)
    with pytest.raises(FileFormatError, match="3356 numbers, which fit no nao_max"):
        inferred_width(state, p.features, "scalar")


def test_model_of_two_checkpoints(files: Callable[[str], Path]) -> None:
    model = open_model(weight_files(files(WSE2)))
    assert list(model.channels) == ["scalar", "spin_orbit"]
    assert model.layout.width == 26
    assert model.layout.elements["W"][-1] == Shell("f1", 3)
    assert Shell("f1", 3) not in model.layout.elements["Se"]
    assert not {"Eu", "Gd", "U"} & model.layout.elements.keys()
    for channel in model.channels.values():
        assert channel.backbone.hyperparameters.legacy_edge_update is False
    assert set(model.card.origin["files"]) == {
        *("nonsoc.ckpt", "config_nonsoc.yaml", "soc.ckpt", "config_soc.yaml"),
    }
    old = open_model(weight_files(files(SIC)))
    assert all(c.backbone.hyperparameters.legacy_edge_update for c in old.channels.values())
    assert old.layout.width == 14


def changed(path: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A checkpoint with another content, saved by PyTorch itself."""
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, target)
    return target


OLD_NAMES = {
    "onsite_hamiltonian_network": "onsitenet_h",
    "offsite_hamiltonian_network": "offsitenet_h",
    "onsite_ksi_network": "onsitenet_ksi",
    "offsite_ksi_network": "offsitenet_ksi",
}


def with_old_names(content: dict[str, Any]) -> None:
    renamed = {}
    for name, value in content["state_dict"].items():
        for new, old in OLD_NAMES.items():
            name = name.replace(f"output_module.{new}.", f"output_module.{old}.")
        renamed[name] = value
    content["state_dict"] = renamed


def test_names_of_version_2_0(files: Callable[[str], Path], tmp_path: Path) -> None:
    given = weight_files(files(SIC))
    assert given.weights_soc is not None
    plain = changed(given.weights, tmp_path / "nonsoc.ckpt", with_old_names)
    soc = changed(given.weights_soc, tmp_path / "soc.ckpt", with_old_names)
    old = open_model(WeightFiles(plain, given.config, soc, given.config_soc))
    assert old.fingerprint == open_model(given).fingerprint
    data = (files(PICKLE) / "predictor_legacy_v2_1.pkl").read_bytes()
    assert b"HamGNN_v_2_1" in data
    (tmp_path / "predictor.pkl").write_bytes(data.replace(b"HamGNN_v_2_1", b"HamGNN_v_2_0"))
    older = open_model(WeightFiles(tmp_path / "predictor.pkl"))
    assert older.fingerprint == open_model(weight_files(files(PICKLE))).fingerprint


def test_a_second_network_that_was_trained_alone_is_told(
    files: Callable[[str], Path], tmp_path: Path
) -> None:
    given = weight_files(files(SIC))
    assert given.config_soc is not None
    config = yaml.safe_load(given.config_soc.read_text())
    assert open_model(given).card.listed("notes") == ()
    config["output_nets"]["HamGNN_out"]["add_H_nonsoc"] = False
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    model = open_model(replace(given, config_soc=tmp_path / "c.yaml"))
    (note,) = model.card.listed("notes")
    assert "add_H_nonsoc: false" in note


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("representation.corr_products.0.linear.weight", "many-body correlations"),
        ("representation.convolutions.0.conv_tp.weight_generator_combine.layer0.weight", "light"),
        ("representation.pair_embedding.conv_tp.weight_generator.layers.0.base_weight", "use_kan"),
        ("output_module.onsite_overlap_network.linear_transform.weight", "overlap"),
        ("output_module.offsite_J_network.linear_transform.weight", "spin_constrained"),
    ],
)
def test_variants_told_by_weights_are_named(
    files: Callable[[str], Path], tmp_path: Path, name: str, message: str
) -> None:
    folder = files(SIC)
    path = changed(
        folder / "nonsoc.ckpt",
        tmp_path / "other.ckpt",
        lambda c: c["state_dict"].update({name: torch.zeros(3)}),
    )
    with pytest.raises(FileFormatError, match=f"other.ckpt.*{message}"):
        open_model(WeightFiles(path, folder / "config_nonsoc.yaml"))


PRE, OUT = ("representation_nets", "HamGNN_pre"), ("output_nets", "HamGNN_out")


@pytest.mark.parametrize(
    ("place", "key", "value", "message"),
    [
        (PRE, "lite_mode", True, "lite_mode: True; supported is False"),
        (PRE, "rbf_func", "gaussian", "rbf_func: 'gaussian'; supported is 'bessel'"),
        (PRE, "use_corr_prod", True, "use_corr_prod"),
        (PRE, "irreps_node_features", "9x0e+4x0o+6x1o", "another architecture, or a wrong conf"),
        (PRE, "irreps_node_features", "8x0e+", "HamGNN_pre is damaged"),
        (PRE, "irreps_node_features", "999999999x0e", "HamGNN_pre is damaged: The features"),
        (PRE, "irreps_node_features", [[8, "0e"]], "irreps are no text"),
        (PRE, "irreps_edge_sh", "0e+1o+2e", "has .* numbers, but by the hyper-parameters"),
        (PRE, "irreps_edge_sh", "0e+1e", "Edge harmonics must be"),
        (PRE, "num_layers", 3, "no weight 'representation.convolutions.2"),
        (PRE, "num_layers", 1, "has 2 layers, by the configuration it has 1"),
        (PRE, "num_layers", "many", "HamGNN_pre is damaged"),
        (PRE, "num_radial", 16, "freqs' has 8 numbers"),
        (PRE, "radial_MLP", [8, 8, 8], "weight_generator.layer2"),
        (PRE, "cutoff", 20.0, "cutoff is .26.0. bohr, by the configuration it is 20"),
        (PRE, "cutoff", float("nan"), "cutoff must be a length"),
        (PRE, "num_types", 10, "numbers, but by the hyper-parameters"),
        (PRE, "num_radial", None, "has no 'num_radial'"),
        (OUT, "nao_max", 26, "linear_transform.weight' has"),
        (OUT, "nao_max", 15, "nao_max .* is 15; accepted are 13, 14, 19, 26"),
        (OUT, "nao_max", None, "nao_max .* is None"),
        (OUT, "ham_type", "siesta", "ham_type: 'siesta'; supported is 'openmx'"),
        (OUT, "add_H0", False, "add_H0"),
        (OUT, "soc_switch", True, "soc_switch: True; supported is False"),
        (OUT, "collinear_spin", True, "collinear_spin"),
    ],
)
def test_wrong_configurations_are_told(
    files: Callable[[str], Path],
    tmp_path: Path,
    place: tuple[str, str],
    key: str,
    value: Any,
    message: str,
) -> None:
    folder = files(SIC)
    config = yaml.safe_load((folder / "config_nonsoc.yaml").read_text())
    part = config[place[0]][place[1]]
    if value is None:
        del part[key]
    else:
        part[key] = value
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(FileFormatError, match=message):
        open_model(WeightFiles(folder / "nonsoc.ckpt", path))


LAUGHS = "\n".join(
    [
        "a0: &a0 [lol, lol]",
        *(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 30)),
        "representation_nets: {HamGNN_pre: {rbf_func: *a29}}",
        "output_nets: {HamGNN_out: {nao_max: *a29}}",
    ]
)
"""A short text that would be 10²⁸ words long if it were written out."""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "line 1 is no YAML"),
        ("- 1\n- 2\n", "holds no configuration"),
        ("a: !!python/object/apply:os.system ['echo']", "is no YAML"),
        ("representation_nets: 3\noutput_nets: 4\n", "no part representation_nets → HamGNN_pre"),
        ("[" * 5000, "is no YAML"),
        (LAUGHS, "nao_max .* is .*; accepted are|supported is"),
    ],
)
def test_files_that_are_no_configuration(
    files: Callable[[str], Path], tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        open_model(WeightFiles(files(SIC) / "nonsoc.ckpt", path))


def test_files_that_do_not_go_together(files: Callable[[str], Path], tmp_path: Path) -> None:
    sic, wse2 = files(SIC), files(WSE2)
    plain, config = sic / "nonsoc.ckpt", sic / "config_nonsoc.yaml"
    with pytest.raises(FileFormatError, match="give the configuration"):
        open_model(WeightFiles(plain))
    with pytest.raises(SettingsError, match="is a network with spin–orbit"):
        open_model(WeightFiles(sic / "soc.ckpt", sic / "config_soc.yaml"))
    with pytest.raises(SettingsError, match="has no heads of ξ"):
        open_model(WeightFiles(plain, config, plain, sic / "config_soc.yaml"))
    with pytest.raises(SettingsError, match="needs the weights"):
        open_model(WeightFiles(plain, config, None, sic / "config_soc.yaml"))
    with pytest.raises(FileFormatError, match="nao_max is 14 and 26"):
        open_model(WeightFiles(plain, config, wse2 / "soc.ckpt", wse2 / "config_soc.yaml"))
    predictor = files(PICKLE) / "predictor_legacy_v2_1.pkl"
    with pytest.raises(SettingsError, match=r"config_nonsoc.yaml goes with a \.ckpt"):
        open_model(WeightFiles(predictor, config))
    with pytest.raises(FileFormatError, match=r"is no \.ckpt"):
        open_model(WeightFiles(plain, config, predictor))
    with pytest.raises(FileFormatError, match="holds no weights that are known"):
        open_model(WeightFiles(sic / "graph_data_nonsoc.npz"))
    with pytest.raises(FileFormatError, match="no such file"):
        open_model(WeightFiles(tmp_path / "none.ckpt"))
    with pytest.raises(FileFormatError, match="give the file of weights"):
        open_model(WeightFiles(tmp_path))
    torch.save({"state_dict": {"model.weight": torch.zeros(3)}}, tmp_path / "other.ckpt")
    with pytest.raises(FileFormatError, match="holds no weights of HamGNN"):
        open_model(WeightFiles(tmp_path / "other.ckpt"))
    torch.save({"a": torch.zeros(3)}, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    with pytest.raises(FileFormatError, match="not of HamGNN's HamiltonianPredictor"):
        open_model(WeightFiles(tmp_path / "old.ckpt"))


def test_missing_and_broken_weights(files: Callable[[str], Path], tmp_path: Path) -> None:
    folder = files(SIC)
    name = "representation.convolutions.1.residual.linear2.weight"

    def opened(change: Callable[[dict[str, Any]], None]) -> None:
        path = changed(
            folder / "nonsoc.ckpt", tmp_path / "c.ckpt", lambda c: change(c["state_dict"])
        )
        open_model(WeightFiles(path, folder / "config_nonsoc.yaml"))

    with pytest.raises(FileFormatError, match=f"no weight '{name}'"):
        opened(lambda state: state.pop(name))
    with pytest.raises(FileFormatError, match=f"'{name}' has 7 numbers"):
        opened(lambda state: state.update({name: torch.zeros(7)}))
    with pytest.raises(FileFormatError, match=f"'{name}' holds numbers that are not finite"):
        opened(lambda state: state[name].fill_(float("nan")))
    scaler = "representation.convolutions.0.conv_tp.node_linear_scaler.linear_out.weight"
    with pytest.raises(FileFormatError, match=r"node_linear_scaler.*numbers"):
        opened(lambda state: state.update({scaler: torch.cat([state[scaler], torch.ones(3)])}))
    frequencies = "representation.radial_basis_functions.freqs"
    with pytest.raises(FileFormatError, match="radial functions that are not supported"):
        opened(lambda state: state[frequencies].mul_(1.5))
    opened(lambda state: state.update({"representation.unknown": torch.zeros(2)}))


# --- hostile files ------------------------------------------------------------------------------

CANARY = "canary"
COMMAND = (f"echo ran > {CANARY}",)


class Reducing:
    def __init__(self, function: Any = os.system, arguments: tuple[Any, ...] = COMMAND) -> None:
        self.by = function, arguments

    def __reduce__(self) -> Any:
        return self.by


class Restored:
    """Runs when its state is set."""

    def __reduce__(self) -> Any:
        return copyreg._reconstructor, (object, object, None), {"state": Reducing()}


def in_storage() -> bytes:
    """A tensor's bytes, which are pickles themselves, with a command in place of a size."""
    inner = b"".join(
        pickle.dumps(part, 2)
        for part in (
            0x1950A86A20F9469CFC6C,
            1001,
            {"little_endian": True, "protocol_version": 1001, "type_sizes": {}},
            Reducing(),
        )
    )

    class Storage:
        def __reduce__(self) -> Any:
            return torch.storage._load_from_bytes, (inner,)

    return pickle.dumps({"state_dict": {"representation.weight": Storage()}}, 2)


HOSTILE = {
    "alone": pickle.dumps(Reducing(), 2),
    "protocol 4": pickle.dumps(Reducing(), 4),
    "a weight": pickle.dumps({"state_dict": {"representation.weight": Reducing()}}, 2),
    "deep": pickle.dumps([[{"a": ({"b": [Reducing()]},)}]], 2),
    "a state": pickle.dumps({"callbacks": Restored()}, 2),
    "eval": pickle.dumps(Reducing(eval, (f"open({CANARY!r}, 'w').write('ran')",)), 2),
    "a storage": in_storage(),
    "import": b"\x80\x02cbuiltins\n__import__\nX\x02\x00\x00\x00os\x85R.",
    "getattr of os": b"\x80\x02cbuiltins\ngetattr\ncos\nenviron\nX\x04\x00\x00\x00pop\x86R.",
}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def torch_zip(path: Path, data: bytes, **more: Any) -> Path:
    with zipfile.ZipFile(path, "w", more.pop("packing", zipfile.ZIP_STORED)) as archive:
        archive.writestr("archive/data.pkl", data)
        for name, content in more.items():
            archive.writestr(f"archive/{name}", content)
    return path


def test_the_commands_would_run(elsewhere: Path) -> None:
    """So that the tests below prove something: Python's own unpickler runs them."""
    pickle.loads(HOSTILE["alone"])  # noqa: S301
    assert Path(CANARY).read_text() == "ran\n"


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_pickles_are_refused(elsewhere: Path, data: bytes) -> None:
    Path("predictor.pkl").write_bytes(data)
    with pytest.raises(FileFormatError, match=r"predictor\.pkl"):
        open_model(WeightFiles(Path("predictor.pkl")))
    assert not Path(CANARY).exists()


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_checkpoints_are_refused(elsewhere: Path, data: bytes) -> None:
    path = torch_zip(elsewhere / "net.ckpt", data)
    with pytest.raises(FileFormatError, match=r"net\.ckpt"):
        open_model(WeightFiles(path))
    assert not Path(CANARY).exists()


def test_a_command_in_the_real_file_is_refused(
    files: Callable[[str], Path], elsewhere: Path
) -> None:
    """The published layout throughout, but for one object."""
    data = (files(PICKLE) / "predictor_legacy_v2_1.pkl").read_bytes()
    name = b"easydict\x94\x8c\x08EasyDict"
    assert data.count(name) == 1
    changed = data.replace(name, b"posix\x94\x8c\x06system").replace(
        b"\x8c\x08posix", b"\x8c\x05posix"
    )
    Path("p.pkl").write_bytes(changed)
    with pytest.raises(FileFormatError, match=r"refers to posix\.system"):
        open_model(WeightFiles(Path("p.pkl")))


def test_hostile_archives_are_refused(elsewhere: Path) -> None:
    def refused(message: str, **contents: Any) -> None:
        path = torch_zip(elsewhere / "net.ckpt", **contents)
        with pytest.raises(FileFormatError, match=message):
            open_model(WeightFiles(path))

    content = io.BytesIO()
    torch.save({"representation.a": torch.arange(4.0)}, content)
    with zipfile.ZipFile(content) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("data.pkl"))
        data = archive.read(name)
    four = np.arange(4, dtype="<f4").tobytes()
    refused("no weight", data=data, **{"data/0": four})  # as it should be, but no network
    refused("packed or overlap", data=data, packing=zipfile.ZIP_DEFLATED, **{"data/0": four})
    refused("has not the 4 elements", data=data, **{"data/0": four[:8]})
    refused("damaged", data=data, **{"data/1": four})
    refused("other byte order", data=data, **{"data/0": four, "byteorder": b"big"})


@pytest.mark.parametrize("kind", ["nonsoc.ckpt", "predictor_legacy_v2_1.pkl"])
def test_damage_is_told(files: Callable[[str], Path], tmp_path: Path, kind: str) -> None:
    """Cut, overwritten and swapped files raise our errors, or give what the whole file gives."""
    folder = files(SIC if kind.endswith("ckpt") else PICKLE)
    data = (folder / kind).read_bytes()
    config = folder / "config_nonsoc.yaml" if kind.endswith("ckpt") else None
    random = np.random.default_rng(5)
    messages = []
    for number in range(12 if config else 6):
        at = int(random.integers(4, len(data)))
        noise = random.bytes(64)
        damaged = data[:at] if number % 3 == 0 else data[:at] + noise + data[at + 64 :]
        path = tmp_path / kind
        path.write_bytes(damaged)
        try:
            open_model(WeightFiles(path, config))
        except HamexplorerError as error:
            messages.append(str(error))
    assert len(messages) >= 2
    assert all(kind in message for message in messages)


def test_loading_twice_gives_the_same_and_owns_its_memory(files: Callable[[str], Path]) -> None:
    folder = files(SIC)
    state = torch.load(folder / "nonsoc.ckpt", weights_only=True)["state_dict"]
    p = open_model(weight_files(folder)).channels["scalar"].backbone.hyperparameters
    channel = Channel("scalar", p, (0, 0, 0, 1, 1, 2))
    load_published(channel, state)
    before = [parameter.clone() for parameter in channel.parameters()]
    for value in state.values():
        value.zero_() if value.is_floating_point() else None
    assert all(torch.equal(a, b) for a, b in zip(before, channel.parameters(), strict=True))
