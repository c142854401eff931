"""Predictions against the published network's, and the Hamiltonians made of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from hamgnn_files import FOLDERS, PICKLE, SIC, WSE2, fields, save_graph, unpacked, weight_files
from numpy.typing import NDArray

from hamexplorer.errors import (
    CalculationCancelled,
    FileFormatError,
    HamexplorerError,
    SettingsError,
    StructureError,
    UnsupportedElementError,
)
from hamexplorer.formats import read_hamiltonian
from hamexplorer.formats.hamgnn.matrix_file import write_rows
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, load_hamiltonian, save_hamiltonian
from hamexplorer.model.evaluation import Run, evaluate
from hamexplorer.model.importing import open_model
from hamexplorer.model.inputs import Geometry, GraphPair, graph_member, read_pairs
from hamexplorer.model.model import HamiltonianModel, OrbitalLayout
from hamexplorer.model.predict import predict, predict_all, predict_rows
from hamexplorer.progress import Monitor, ProgressEvent
from hamexplorer.sources import HamiltonianCache, compute, make_source
from hamexplorer.sources.protocol import Source
from hamexplorer.units import HARTREE_EV

HARTREE = 27.2113845
KPOINTS = np.array([[0, 0, 0], [0.5, 0, 0], [1 / 3, 1 / 3, 0], [0.11, -0.23, 0.31]])
FieldChange = dict[str, Any]


class Fixture:
    """One folder of the published network's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plain, self.spin = (folder / f"graph_data_{c}.npz" for c in ("nonsoc", "soc"))
        self.model = open_model(weight_files(folder))
        (self.pair,) = read_pairs(graph_member(self.plain), graph_member(self.spin))
        self.stored = np.load(folder / "hamiltonian.npy")

    def io(self, channel: str) -> dict[str, NDArray[Any]]:
        with np.load(self.folder / f"{channel}_io.npz") as file:
            return {key: file[key] for key in file if not key.startswith("mid_")}

    def changed(self, target: Path, channel: str = "nonsoc", **change: Any) -> Path:
        path = self.plain if channel == "nonsoc" else self.spin
        return save_graph(target / f"graph_data_{channel}.npz", {**fields(path), **change})


@pytest.fixture(scope="module")
def fixture(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Fixture]:
    parent = tmp_path_factory.mktemp("hamgnn")
    known: dict[str, Fixture] = {}

    def get(name: str) -> Fixture:
        if name not in known:
            known[name] = Fixture(unpacked(name, parent))
        return known[name]

    return get


def one(model: HamiltonianModel, pair: GraphPair, **run: Any) -> Any:
    (rows,) = predict_rows(model, [pair], run=Run(**run))
    return rows


# --- the published numbers ----------------------------------------------------------------------


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_are_the_published_ones(
    fixture: Callable[[str], Fixture], name: str, dtype: str
) -> None:
    f = fixture(name)
    rows = one(f.model, f.pair, dtype=dtype)
    assert rows.real.dtype == np.dtype(dtype)
    found = np.concatenate([rows.real, rows.imaginary])
    assert found.shape == f.stored.shape
    assert np.abs(found - f.stored).max() < 1e-6


@pytest.mark.parametrize("name", [SIC, WSE2])
def test_each_channel_alone(fixture: Callable[[str], Fixture], name: str) -> None:
    f = fixture(name)
    plain, spin = f.io("nonsoc"), f.io("soc")
    rows = one(f.model, GraphPair(f.pair.scalar))
    assert rows.imaginary is None
    assert np.abs(rows.real - plain["out_hamiltonian"]).max() < 1e-6
    assert np.all(rows.real[plain["out_mask"] == 0] == 0)
    both = one(f.model, f.pair)
    assert np.abs(both.real - spin["out_hamiltonian_real"]).max() < 1e-6
    assert np.abs(both.imaginary - spin["out_hamiltonian_imag"]).max() < 1e-6
    # the network adds what matters
    assert np.abs(plain["out_hamiltonian"] - np.concatenate([plain["in_Hon0"], plain["in_Hoff0"]])
                  ).max() > 0.1  # fmt: skip


def test_precisions_agree(fixture: Callable[[str], Fixture]) -> None:
    f = fixture(WSE2)
    single, double = one(f.model, f.pair), one(f.model, f.pair, dtype="float64")
    assert np.abs(single.real - double.real).max() < 1e-6
    assert np.abs(single.imaginary - double.imaginary).max() < 1e-6
    assert next(f.model.channels["scalar"].parameters()).dtype == torch.float32


def assembled(arrays: dict[str, NDArray[Any]], rows: NDArray[Any], k: NDArray[Any]) -> NDArray[Any]:
    """Σ_R e^{2πik·R} M[R] of padded rows, block by block."""
    n, width = len(arrays["in_z"]), round(rows.shape[1] ** 0.5)
    whole = np.zeros((n, width, n, width), dtype=complex)
    blocks = rows.reshape(-1, width, width)
    for site in range(n):
        whole[site, :, site] += blocks[site]
    for edge, (i, j) in enumerate(arrays["in_edge_index"].T):
        whole[i, :, j] += np.exp(2j * np.pi * arrays["in_cell_shift"][edge] @ k) * blocks[n + edge]
    return whole.reshape(n * width, n * width)


def one_triangle(f: Fixture, k: NDArray[Any]) -> NDArray[np.float64]:
    """Eigenvalues, eV, as HamGNN's band script has them from its file: of the lower triangle."""
    arrays = f.io("soc")
    half = len(f.stored) // 2
    n, width = len(arrays["in_z"]), round(arrays["in_Son"].shape[1] ** 0.5)
    overlap = assembled(arrays, np.concatenate([arrays["in_Son"], arrays["in_Soff"]]), k)
    spinor = (f.stored[:half] + 1j * f.stored[half:]).reshape(-1, 2, width, 2, width)
    parts = [
        [assembled(arrays, spinor[:, s, :, t].reshape(-1, width**2), k) for t in range(2)]
        for s in range(2)
    ]
    there = np.diagonal(arrays["in_Son"].reshape(n, width, width), axis1=1, axis2=2).ravel() != 0
    kept = np.ix_(np.tile(there, 2), np.tile(there, 2))
    h, s = np.block(parts)[kept], np.kron(np.eye(2), overlap)[kept]
    values: NDArray[np.float64] = scipy.linalg.eigh(h, s, lower=True, eigvals_only=True)
    return HARTREE * values


def eigenvalues(h: Hamiltonian, k: NDArray[Any]) -> NDArray[np.float64]:
    matrices = BlochSum(h, "cpu")(k)
    found: NDArray[np.float64] = scipy.linalg.eigvalsh(
        matrices.spinor()[0], matrices.spinor_overlap()[0]
    )
    return found


@pytest.mark.parametrize("name", [SIC, WSE2])
def test_bands_are_those_of_the_published_file(
    fixture: Callable[[str], Fixture], name: str
) -> None:
    f = fixture(name)
    h = predict(f.model, f.pair)
    for k in KPOINTS:
        ours = BlochSum(h, "cpu")(k).spinor()[0].numpy()
        assert np.abs(ours - ours.conj().T).max() < 1e-12
        assert np.abs(eigenvalues(h, k) - one_triangle(f, k)).max() < 1e-5
    # Kramers: E↑(k) = E↓(−k), all levels double where k = −k
    levels = eigenvalues(h, KPOINTS[1])
    assert np.abs(levels[::2] - levels[1::2]).max() < 1e-9


@pytest.mark.parametrize("name", FOLDERS)
def test_hamiltonian_is_what_the_reader_makes_of_the_file(
    fixture: Callable[[str], Fixture], name: str, tmp_path: Path
) -> None:
    f = fixture(name)
    h = predict(f.model, f.pair, run=Run(dtype="float64"))
    stored = read_hamiltonian(f.folder / "hamiltonian.npy")
    assert h.components == stored.components == ("S", "H", "Lx", "Ly", "Lz")
    assert h.basis == stored.basis
    assert h.n_electrons == stored.n_electrons
    assert np.array_equal(h.overlap, stored.overlap)
    for component in h.components:
        difference = np.abs(h.component(component) - stored.component(component)).max()
        assert difference < 1e-6 * HARTREE


def test_provenance_survives_a_file(fixture: Callable[[str], Fixture], tmp_path: Path) -> None:
    f = fixture(SIC)
    files = {"graph.npz": "0" * 64}
    save_hamiltonian(predict(f.model, f.pair, files=files), tmp_path / "h.h5")
    p = load_hamiltonian(tmp_path / "h.h5").provenance
    assert p.source == "model"
    assert p.settings["weights"] == f.model.fingerprint
    assert p.settings["files"] == files
    assert p.settings["card"]["origin"]["kind"] == "Lightning checkpoint"
    assert p.settings["dtype"] == "float32"
    assert "torch" in p.versions
    assert any("npj Comput. Mater." in c for c in p.citations)
    assert any("what they were trained on" in w for w in p.warnings)
    card = replace(f.model.card, training_set="graphs", origin={"notes": ["Only for carbon."]})
    told = predict(replace(f.model, card=card), GraphPair(f.pair.scalar)).provenance.warnings
    assert "Only for carbon." in told
    assert any("the prediction is without" in w for w in told)
    assert not any("trained on" in w for w in told)


# --- several crystals ---------------------------------------------------------------------------


def test_crystals_together_and_one_by_one(
    fixture: Callable[[str], Fixture], tmp_path: Path
) -> None:
    f = fixture(SIC)
    paths = {}
    for channel, path in (("nonsoc", f.plain), ("soc", f.spin)):
        first = fields(path)
        other = {**first, "z": np.array([14, 14]), "Hon0": 2 * first["Hon0"]}
        paths[channel] = save_graph(tmp_path / f"{channel}.npz", first, other, first)
    pairs = read_pairs(*(graph_member(p) for p in paths.values()))
    single = [one(f.model, pair) for pair in pairs]
    for max_edges in (1, 40, 1000):
        together = list(predict_rows(f.model, pairs, run=Run(max_edges=max_edges)))
        for ours, alone in zip(together, single, strict=True):
            assert np.abs(ours.real - alone.real).max() < 1e-6
            assert np.abs(ours.imaginary - alone.imaginary).max() < 1e-6
    assert np.abs(single[0].real - single[1].real).max() > 1e-2
    for number, h in enumerate(predict_all(f.model, pairs, files={"graph": "0f"})):
        alone = predict(f.model, pairs[number])
        assert np.abs(h.scalar - alone.scalar).max() < 1e-6 * HARTREE_EV
        assert h.provenance.settings["files"] == {"graph": "0f"}
        assert h.provenance.settings["crystal"] == str(number)
        assert h.provenance.timings["prediction"] > 0
    n = sum(pair.scalar.n_pairs for pair in pairs)
    write_rows(tmp_path / "hamiltonian.npy", (2 * n, 784), iter(single))
    written = np.load(tmp_path / "hamiltonian.npy")
    assert written.dtype == np.float32
    expected = [part for rows in single for part in (rows.real, rows.imaginary)]
    assert np.array_equal(written, np.concatenate(expected))


# --- what is refused ----------------------------------------------------------------------------


def opened(plain: Path, spin: Path | None = None) -> GraphPair:
    members = [graph_member(path) for path in (plain, spin) if path is not None]
    return read_pairs(*members)[0]


def test_elements_and_shells_outside_the_model(
    fixture: Callable[[str], Fixture], tmp_path: Path
) -> None:
    f = fixture(SIC)
    pair = opened(f.changed(tmp_path, z=np.array([64, 14])))
    with pytest.raises(UnsupportedElementError, match="crystal 0 has Gd, which the model"):
        one(f.model, pair)
    pair = opened(f.changed(tmp_path, z=np.array([6, 13])))
    assert one(f.model, pair).real.shape == (20, 196)  # Al has the same shells
    layout = f.model.layout
    few = {**layout.elements, "Si": layout.elements["Si"][:-1]}
    small = replace(f.model, layout=OrbitalLayout(layout.shells, few))
    with pytest.raises(UnsupportedElementError, match=r"Si has d1, which .* knows s1, s2, p1, p2"):
        one(small, f.pair)
    with pytest.raises(FileFormatError, match=r"has blocks of 26 orbitals .* the model has 14"):
        one(f.model, fixture(WSE2).pair)
    with pytest.raises(SettingsError, match="has no network with spin–orbit"):
        one(replace(f.model, channels={"scalar": f.model.channels["scalar"]}), f.pair)


def test_graphs_that_do_not_fit_each_other(
    fixture: Callable[[str], Fixture], tmp_path: Path
) -> None:
    f = fixture(SIC)
    with pytest.raises(FileFormatError, match="differ in cell, atoms, edges"):
        opened(f.plain, fixture(WSE2).spin)
    with pytest.raises(FileFormatError, match=r"its H0 is spinor.*without spin–orbit is needed"):
        one(f.model, opened(f.spin))
    with pytest.raises(FileFormatError, match=r"its H0 is scalar.*with spin–orbit is needed"):
        one(f.model, opened(f.plain, f.plain))
    twice = save_graph(tmp_path / "two.npz", fields(f.spin), fields(f.spin))
    with pytest.raises(FileFormatError, match=r"holds 1 crystals and two\.npz 2"):
        opened(f.plain, twice)
    with pytest.raises(FileFormatError, match=r"hamiltonian\.npy is no graph_data\.npz"):
        graph_member(f.folder / "hamiltonian.npy")


def shifted(array: NDArray[Any]) -> NDArray[Any]:
    return np.roll(array, 1)


@pytest.mark.parametrize(
    ("channel", "change", "message"),
    [
        ("nonsoc", {"Hon0": None}, "has no 'Hon0'"),
        ("nonsoc", {"Hoff0": None}, "has no 'Hoff0'"),
        ("nonsoc", {"Hon0": np.zeros_like, "Hoff0": np.zeros_like}, "is zero"),
        ("nonsoc", {"Hon0": lambda a: a + np.nan}, "H0 holds values that are not finite"),
        ("nonsoc", {"inv_edge_idx": shifted}, "'inv_edge_idx' does not name the reverse edges"),
        ("nonsoc", {"pos": lambda a: a[[0, 0]]}, "atoms . and . lie at the same place"),
        ("nonsoc", {"nbr_shift": lambda a: a * 1.5}, "'nbr_shift' is not"),
        ("soc", {"Lon": None}, "has no 'Lon'"),
        ("soc", {"Loff": lambda a: a[..., :2]}, "'Loff' has shape"),
        ("soc", {"Loff": lambda a: a + np.inf}, "Lon or Loff holds values that are not finite"),
        ("soc", {"iHon0": None}, "has no 'iHon0'"),
        ("soc", {"iHoff0": lambda a: a[:, :-1]}, "'iHon0' and 'Hon0' differ|iHoff0"),
    ],
)
def test_graphs_that_lack_something(
    fixture: Callable[[str], Fixture],
    tmp_path: Path,
    channel: str,
    change: FieldChange,
    message: str,
) -> None:
    f = fixture(SIC)
    own = fields(f.plain if channel == "nonsoc" else f.spin)
    new = {key: how(own[key]) if callable(how) else how for key, how in change.items()}
    path = f.changed(tmp_path, channel, **new)
    seen: list[str] = []
    with pytest.raises(FileFormatError, match=message):  # noqa: PT012
        pair = opened(f.plain, path) if channel == "soc" else opened(path)
        monitor = Monitor(lambda event: seen.append(event.stage))
        next(predict_rows(f.model, [pair], monitor=monitor))
    assert not seen  # found before the network was run


def test_edges_without_their_reverse(fixture: Callable[[str], Fixture], tmp_path: Path) -> None:
    f = fixture(SIC)
    own = fields(f.plain)
    cut = {
        key: own[key][..., :-1] if key == "edge_index" else own[key][:-1]
        for key in ("edge_index", "cell_shift", "nbr_shift", "Soff", "Hoff", "Hoff0")
    }
    pair = opened(f.changed(tmp_path, **cut, inv_edge_idx=None))
    with pytest.raises(FileFormatError, match=r"crystal 0: Pair .* is missing"):
        one(f.model, pair)


def test_cells_in_angstrom_have_no_h0(fixture: Callable[[str], Fixture], tmp_path: Path) -> None:
    f = fixture(SIC)
    own = fields(f.plain)
    pair = opened(f.changed(tmp_path, cell=own["cell"] * 0.529177249, pos=own["pos"] * 0.529177249))
    with pytest.raises(FileFormatError, match="magnetism tools"):
        one(f.model, pair)


def test_weights_that_give_no_numbers(fixture: Callable[[str], Fixture]) -> None:
    f = fixture(SIC)
    broken = f.model.on("cpu", torch.float64)
    with torch.no_grad():
        broken.channels["scalar"].backbone.species.fill_(float("inf"))
    with pytest.raises(HamexplorerError, match="numbers that are not finite"):
        one(broken, f.pair, dtype="float64")


def test_runs_that_cannot_be() -> None:
    for device in ("cuda:7", "tpu", "cuda:-1", ""):
        with pytest.raises(SettingsError, match="There is no device"):
            Run(device=device)
    with pytest.raises(SettingsError, match="dtype must be"):
        Run(dtype="float16")
    with pytest.raises(SettingsError, match="max_edges"):
        Run(max_edges=0)
    there = torch.cuda.is_available()
    assert Run(device="auto").torch_device.type == ("cuda" if there else "cpu")


# --- progress -----------------------------------------------------------------------------------


def test_progress_and_cancelling(fixture: Callable[[str], Fixture]) -> None:
    f = fixture(WSE2)
    events: list[ProgressEvent] = []
    predict(f.model, f.pair, monitor=Monitor(events.append))
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert list(dict.fromkeys(e.stage for e in events)) == [
        *("Network of H", "Network of spin–orbit", "Matrix"),
    ]
    seen = 0

    def listen(event: ProgressEvent) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            monitor.cancel()

    monitor = Monitor(listen)
    with pytest.raises(CalculationCancelled):
        predict(f.model, f.pair, monitor=monitor)
    assert seen == 3
    for channel in f.model.channels.values():  # nothing is left hanging at the layers
        assert not any(module._forward_pre_hooks for module in channel.modules())


def test_one_model_in_two_threads(fixture: Callable[[str], Fixture]) -> None:
    """A prediction that is cancelled leaves the other alone."""
    f = fixture(SIC)
    expected = one(f.model, f.pair)
    stopped = Monitor()
    stopped.cancel()
    results: dict[str, Any] = {}

    def run() -> None:
        for number in range(3):
            results[str(number)] = one(f.model, f.pair)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        with pytest.raises(CalculationCancelled):
            list(predict_rows(f.model, [f.pair], monitor=stopped))
    thread.join()
    assert len(results) == 3
    assert all(np.array_equal(rows.real, expected.real) for rows in results.values())


# --- odd geometries -----------------------------------------------------------------------------


def test_an_isolated_atom(fixture: Callable[[str], Fixture], tmp_path: Path) -> None:
    """No edges: its block is that of an atom beyond every cutoff."""
    f = fixture(SIC)
    channel = f.model.channels["scalar"]
    empty = np.zeros(0, dtype=np.int64)
    alone = Geometry(np.array([6]), np.zeros((1, 3)), empty, empty, np.zeros((0, 3)))
    on, off = evaluate(channel, alone, Run(), lambda _: None)
    assert on.shape == (1, 14, 14)
    assert off.shape == (0, 14, 14)
    # a neighbour beyond the cutoff sends nothing
    edges = np.array([0, 1]), np.array([1, 0])
    far = Geometry(
        np.array([6, 14]), np.array([[0.0, 0, 0], [0, 0, 30.0]]), *edges, np.zeros((2, 3))
    )
    on_far, _ = evaluate(channel, far, Run(), lambda _: None)
    assert np.abs(on_far[0] - on[0]).max() < 1e-6


# --- as a source --------------------------------------------------------------------------------


def test_a_model_as_a_source(fixture: Callable[[str], Fixture], tmp_path: Path) -> None:
    f = fixture(SIC)
    files = weight_files(f.folder)
    settings: dict[str, Any] = {
        "weights": files.weights,
        "config": files.config,
        "weights_soc": files.weights_soc,
        "config_soc": files.config_soc,
        "graph": f.plain,
        "graph_soc": f.spin,
    }
    for wrong, message in (
        ({"weights": 3}, "weights must be a path"),
        ({"weights": None}, "takes weights and graph"),
        ({"index": "0"}, "index must be a whole number"),
        ({"dtype": ["float32"]}, "dtype must be a name"),
    ):
        with pytest.raises(SettingsError, match=message):
            make_source("model", **(settings | wrong))
    source = make_source("model", **settings)
    assert isinstance(source, Source)
    structure = source.structure  # type: ignore[attr-defined]
    capability = source.capability()
    assert capability.spin_orbit
    assert not capability.magnetism
    assert "W" in capability.elements
    assert source.estimate(structure).seconds > 0
    cache = HamiltonianCache(tmp_path / "cache")
    h = compute(structure, source, cache=cache)
    assert np.array_equal(h.scalar, predict(f.model, f.pair).scalar)
    assert len(cache.entries()) == 1
    again = make_source("model", **settings, dtype="float64")
    assert again.settings_key(structure) != source.settings_key(structure)
    moved = structure.copy()
    moved.translate_sites([0], [0.01, 0, 0])
    with pytest.raises(StructureError, match="S and H0 of that structure are needed"):
        compute(moved, source, cache=False)
    with pytest.raises(SettingsError, match="takes weights and graph"):
        make_source("model", weights="a.ckpt")
    with pytest.raises(SettingsError, match="takes weights and graph"):
        make_source("model", **settings, colour="blue")
    with pytest.raises(SettingsError, match="has no crystal 3"):
        make_source("model", **settings, index=3).check(structure)


def test_the_universal_pickle_is_whole(fixture: Callable[[str], Fixture]) -> None:
    """Imported, saved and loaded, it predicts the same bits."""
    f = fixture(PICKLE)
    from hamexplorer.model.checkpoint import load_model, save_model

    path = f.folder / "own.safetensors"
    save_model(f.model, path)
    ours, again = one(f.model, f.pair), one(load_model(path), f.pair)
    assert np.array_equal(ours.real, again.real)
    assert np.array_equal(ours.imaginary, again.imaginary)
