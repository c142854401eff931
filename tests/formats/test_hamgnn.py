"""HamGNN's graphs and matrices: read, repaired, written.

``tests/data/hamgnn`` holds graphs and predictions of the published program with random weights and
synthetic S and H0.
"""

from __future__ import annotations

import io
import pickle
import shutil
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from damage import damaged_variants
from numpy.typing import NDArray

from hamexplorer.errors import FileFormatError, HamexplorerError, SettingsError
from hamexplorer.formats import ReadOptions, bundle_of_bytes, read_bundle, read_hamiltonian
from hamexplorer.formats.bundle import bundle_of_path
from hamexplorer.formats.hamgnn import write_hamgnn
from hamexplorer.formats.hamgnn.elements import LAYOUTS, orbital_set, valence
from hamexplorer.formats.hamgnn.pickle_stream import object_array, tensor, write_pickle
from hamexplorer.formats.openmx.scfout import parse_scfout
from hamexplorer.formats.restricted_pickle import GlobalName, Record, read_object_array
from hamexplorer.formats.writing import WriteOptions
from hamexplorer.hamiltonian import BlochSum, Hamiltonian, SpinState

DATA = Path(__file__).parents[1] / "data"
HAMGNN = DATA / "hamgnn"
SIC, WSE2 = HAMGNN / "micro14_sic", HAMGNN / "micro26_wse2"
HARTREE, BOHR = 27.2113845, 0.529177249
KPOINTS = np.array([[0, 0, 0], [0.5, 0, 0], [1 / 3, 1 / 3, 0], [0.11, -0.23, 0.31]])


@pytest.fixture
def openmx_file() -> Any:
    """Read an OpenMX file of the test data."""

    @lru_cache
    def read(name: str) -> Hamiltonian:
        return read_hamiltonian(DATA / "openmx" / f"{name}.scfout.xz")

    return read


# --- independent ways to the same numbers -------------------------------------------------------


class StandIns(pickle.Unpickler):
    """Python's own unpickler for our own test files, with stand-ins for torch_geometric."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("torch_geometric.data"):
            return type(name, (SimpleNamespace,), {})
        return super().find_class(module, name)


def unpickled(path: Path) -> dict[int, dict[str, Any]]:
    """The graphs' fields as pickle and PyTorch read them."""
    with zipfile.ZipFile(path) as archive:
        stream = io.BytesIO(archive.read("graph.npy"))
    version = np.lib.format.read_magic(stream)
    assert version == (1, 0)
    np.lib.format.read_array_header_1_0(stream)
    graphs = StandIns(stream).load().item()
    fields = {index: data._store._mapping for index, data in graphs.items()}
    for data in graphs.values():
        assert data._store._parent is data
    return fields


@dataclass
class Stored:
    """H(k) and S(k) as HamGNN's band script assembles them: padded, then cut where S is empty."""

    path: Path
    real: NDArray[Any]
    imaginary: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        self.graph = unpickled(self.path)[0]
        self.n = len(self.graph["z"])
        self.width = int(np.sqrt(self.graph["Son"].shape[1]))
        diagonal = self.graph["Son"].numpy().reshape(self.n, self.width, self.width)
        self.filled = np.einsum("iaa->ia", diagonal).ravel() != 0

    def _sum(self, rows: NDArray[Any], k: NDArray[np.float64]) -> NDArray[np.complex128]:
        source, target = self.graph["edge_index"].numpy()
        phase = np.exp(2j * np.pi * self.graph["cell_shift"].numpy() @ k)
        blocks = rows.reshape(-1, self.width, self.width).astype(complex)
        whole = np.zeros((self.n, self.n, self.width, self.width), dtype=complex)
        whole[np.arange(self.n), np.arange(self.n)] += blocks[: self.n]
        np.add.at(whole, (source, target), phase[:, None, None] * blocks[self.n :])
        square = whole.transpose(0, 2, 1, 3).reshape(self.n * self.width, -1)
        return square[np.ix_(self.filled, self.filled)]

    def overlap(self, k: NDArray[np.float64]) -> NDArray[np.complex128]:
        return self._sum(self.graph["overlap"].numpy(), k)

    def scalar(self, k: NDArray[np.float64]) -> NDArray[np.complex128]:
        return self._sum(self.real, k)

    def spinor(self, k: NDArray[np.float64]) -> NDArray[np.complex128]:
        def parts(rows: NDArray[Any]) -> NDArray[Any]:
            return rows.reshape(-1, 2, self.width, 2, self.width)

        real, imaginary = parts(self.real), parts(self.imaginary)
        return np.block(
            [
                [self._sum(real[:, s, :, t] + 1j * imaginary[:, s, :, t], k) for t in range(2)]
                for s in range(2)
            ]
        )


def prediction(folder: Path) -> Stored:
    rows = np.load(folder / "hamiltonian.npy")
    half = len(rows) // 2
    return Stored(folder / "graph_data_soc.npz", rows[:half], rows[half:])


def eigenvalues(h: Hamiltonian, k: NDArray[np.float64]) -> NDArray[np.float64]:
    matrices = BlochSum(h, "cpu")(k)
    return scipy.linalg.eigvalsh(matrices.spinor()[0], matrices.spinor_overlap()[0])


def difference(a: Hamiltonian, b: Hamiltonian) -> float:
    return max(float(np.abs(eigenvalues(a, k) - eigenvalues(b, k)).max()) for k in KPOINTS)


# --- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [SIC, WSE2], ids=lambda f: f.name)
@pytest.mark.parametrize("channel", ["nonsoc", "soc"])
def test_every_field_is_what_pickle_reads(folder: Path, channel: str) -> None:
    path = folder / f"graph_data_{channel}.npz"
    member = bundle_of_path(path).chosen
    assert member is not None
    found = read_object_array(member, "graph")[0].attributes["_store"].attributes["_mapping"]
    expected = unpickled(path)[0]
    assert list(found) == list(expected)
    for key, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert found[key].dtype == value.numpy().dtype
            assert np.array_equal(found[key], value.numpy())
        else:
            assert found[key] == value


@pytest.mark.parametrize("folder", [SIC, WSE2], ids=lambda f: f.name)
def test_eigenvalues_are_those_of_one_triangle(folder: Path) -> None:
    h = read_hamiltonian(folder / "hamiltonian.npy")
    stored = prediction(folder)
    bloch = BlochSum(h, "cpu")
    for k in KPOINTS:
        ours = bloch(k).spinor()[0].numpy()
        assert np.abs(ours - ours.conj().T).max() < 1e-10
        matrix = stored.spinor(k)
        # the stored matrix is not Hermitian: what the repair is for
        assert np.abs(matrix - matrix.conj().T).max() > 0.05
        overlap = np.kron(np.eye(2), stored.overlap(k))
        lower = scipy.linalg.eigh(HARTREE * matrix, overlap, lower=True, eigvals_only=True)
        assert np.abs(eigenvalues(h, k) - lower).max() < 1e-5


def test_upper_triangle_gives_the_matrix_itself() -> None:
    """↑↓ is used as stored: the upper triangle, which holds it, is H(k) element by element."""
    h = read_hamiltonian(WSE2 / "hamiltonian.npy")
    stored = prediction(WSE2)
    order = _openmx_positions(h)
    k = KPOINTS[3]
    ours = BlochSum(h, "cpu")(k).spinor()[0].numpy()
    n = h.basis.n_orbitals
    both = np.concatenate([order, n + order])
    expected = HARTREE * stored.spinor(k)[np.ix_(both, both)]
    for rows, columns in ((slice(0, n), slice(0, n)), (slice(0, n), slice(n, 2 * n))):
        assert np.abs(ours[rows, columns] - expected[rows, columns]).max() < 1e-9


def _openmx_positions(h: Hamiltonian) -> NDArray[np.int64]:
    """Where each of our orbitals stands among a site's in OpenMX's order, written out by hand."""
    in_shell = {0: [0], 1: [1, 2, 0], 2: [2, 4, 0, 3, 1], 3: [6, 4, 2, 0, 1, 3, 5]}
    places, start = [], 0
    for shells in h.basis.shells:
        for shell in shells:
            places += [start + p for p in in_shell[shell.l]]
            start += shell.size
    return np.array(places)


@pytest.mark.parametrize("folder", [SIC, WSE2], ids=lambda f: f.name)
def test_graph_alone_is_its_h0_and_says_so(folder: Path) -> None:
    path = folder / "graph_data_nonsoc.npz"
    h = read_hamiltonian(path)
    assert h.components == ("S", "H")
    assert h.provenance.title == "HamGNN graph, its H0"
    assert any("equals its H0" in warning for warning in h.provenance.warnings)
    assert any("hamiltonian.npy" in warning for warning in h.provenance.warnings)
    fields = unpickled(path)[0]
    stored = Stored(path, torch.cat([fields["Hon0"], fields["Hoff0"]]).numpy())
    for k in KPOINTS:
        expected = scipy.linalg.eigvalsh(HARTREE * stored.scalar(k), stored.overlap(k))
        assert np.abs(eigenvalues(h, k)[::2] - expected).max() < 1e-9
    assert np.allclose(h.structure.lattice.matrix, BOHR * fields["cell"][0].numpy(), atol=1e-12)


def test_graph_of_spinors_alone() -> None:
    path = WSE2 / "graph_data_soc.npz"
    h = read_hamiltonian(path)
    assert h.components == ("S", "H", "Lx", "Ly", "Lz")
    fields = unpickled(path)[0]
    rows = [torch.cat([fields[f"{p}Hon"], fields[f"{p}Hoff"]]).numpy() for p in ("", "i")]
    stored = Stored(path, *rows)
    k = KPOINTS[3]
    overlap = np.kron(np.eye(2), stored.overlap(k))
    lower = scipy.linalg.eigh(HARTREE * stored.spinor(k), overlap, lower=True, eigvals_only=True)
    assert np.abs(eigenvalues(h, k) - lower).max() < 1e-5


def test_shells_and_electrons() -> None:
    h = read_hamiltonian(WSE2 / "hamiltonian.npy")
    labels = [[shell.label for shell in shells] for shells in h.basis.shells]
    selenium = ["s1", "s2", "s3", "p1", "p2", "d1", "d2"]
    assert labels == [[*selenium, "f1"], selenium, selenium]
    assert h.n_electrons == 12 + 2 * 6
    assert "PBE19" in h.provenance.results["n_electrons_from"]
    sic = read_hamiltonian(SIC / "hamiltonian.npy")
    assert [[s.label for s in shells] for shells in sic.basis.shells] == 2 * [
        ["s1", "s2", "p1", "p2", "d1"]
    ]
    assert sic.n_electrons == 8


def test_rows_are_the_orbitals_of_the_edges_source() -> None:
    """W has an f shell and Se none: blocks W → Se have seven empty columns, Se → W rows."""
    fields = unpickled(WSE2 / "graph_data_soc.npz")[0]
    source, target = fields["edge_index"].numpy()
    blocks = np.abs(np.load(WSE2 / "hamiltonian.npy")[3:35]).reshape(-1, 2, 26, 2, 26).max((1, 3))
    z = fields["z"].numpy()
    outward = (z[source] == 74) & (z[target] == 34)
    assert outward.sum() == 6
    assert (blocks[outward].max(1)[:, 19:] == 0).all()
    assert (blocks[outward].max(2)[:, 19:] > 0).all()


def test_random_overlap_is_no_overlap_of_orbitals_and_is_said_so() -> None:
    h = read_hamiltonian(SIC / "hamiltonian.npy")
    assert any("break the rotation law" in warning for warning in h.provenance.warnings)


def test_user_may_give_the_electrons() -> None:
    h = read_hamiltonian(SIC / "hamiltonian.npy", ReadOptions(n_electrons=6.0))
    assert h.n_electrons == 6
    assert h.provenance.results["n_electrons_from"] == "user"


# --- which files ----------------------------------------------------------------------------------


def test_folder_prefers_a_prediction(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(SIC, folder)
    assert read_hamiltonian(folder).provenance.settings["matrix"] == "hamiltonian.npy"
    shutil.copy(SIC / "hamiltonian.npy", folder / "target_hamiltonian.npy")
    shutil.copy(SIC / "hamiltonian.npy", folder / "prediction_hamiltonian.npy")
    h = read_hamiltonian(folder)
    assert h.provenance.settings["matrix"] == "prediction_hamiltonian.npy"
    assert h.provenance.settings["graph"] == "graph_data_soc.npz"
    warning = next(w for w in h.provenance.warnings if "is read; give" in w)
    assert "target_hamiltonian.npy" in warning
    chosen = read_hamiltonian(folder / "target_hamiltonian.npy")
    assert chosen.provenance.settings["matrix"] == "target_hamiltonian.npy"


def test_files_dropped_together_and_packed(tmp_path: Path) -> None:
    names = ("graph_data_soc.npz", "hamiltonian.npy")
    dropped = read_bundle(bundle_of_bytes({name: (SIC / name).read_bytes() for name in names}))
    assert dropped.has_spin_orbit
    with zipfile.ZipFile(tmp_path / "run.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.write(SIC / name, f"run/{name}")
    packed = read_hamiltonian(tmp_path / "run.zip")
    assert difference(dropped, packed) == 0
    alone = read_bundle(bundle_of_bytes({names[0]: (SIC / names[0]).read_bytes()}))
    assert alone.provenance.settings["matrix"] == "the graph's own"


def test_scalar_matrix_beside_both_graphs(tmp_path: Path) -> None:
    for channel in ("nonsoc", "soc"):
        shutil.copy(SIC / f"graph_data_{channel}.npz", tmp_path)
    fields = unpickled(SIC / "graph_data_nonsoc.npz")[0]
    np.save(tmp_path / "prediction_hamiltonian.npy", fields["hamiltonian"].numpy() * 2)
    h = read_hamiltonian(tmp_path)
    assert h.components == ("S", "H")
    assert h.provenance.settings["graph"] == "graph_data_nonsoc.npz"
    alone = read_hamiltonian(SIC / "graph_data_nonsoc.npz")
    assert np.abs(h.scalar - 2 * alone.scalar).max() < 1e-5


def test_matrix_without_its_graph(tmp_path: Path) -> None:
    shutil.copy(SIC / "hamiltonian.npy", tmp_path)
    with pytest.raises(FileFormatError, match=r"hamiltonian\.npy holds matrices alone"):
        read_hamiltonian(tmp_path / "hamiltonian.npy")
    shutil.copy(WSE2 / "graph_data_soc.npz", tmp_path)
    with pytest.raises(FileFormatError, match=r"needs \(35, 676\)"):
        read_hamiltonian(tmp_path / "hamiltonian.npy")


def test_damaged_matrix_is_not_passed_over_for_the_graphs_own() -> None:
    files = {
        "graph_data_soc.npz": (SIC / "graph_data_soc.npz").read_bytes(),
        "hamiltonian.npy": (SIC / "hamiltonian.npy").read_bytes()[:40],
    }
    with pytest.raises(FileFormatError, match=r"^hamiltonian\.npy is damaged"):
        read_bundle(bundle_of_bytes(files))


def test_matrix_between_two_crystals(tmp_path: Path) -> None:
    for name in ("graph_data_soc.npz", "hamiltonian.npy"):
        shutil.copy(SIC / name, tmp_path)
    moved = unpickled(SIC / "graph_data_soc.npz")[0]
    moved["pos"] = moved["pos"] + 1
    save_graph(tmp_path / "other.npz", moved)
    with pytest.raises(FileFormatError, match="could belong to"):
        read_hamiltonian(tmp_path / "hamiltonian.npy")


# --- graphs made here ---------------------------------------------------------------------------


def save_graph(path: Path, *graphs: dict[str, Any]) -> None:
    """A ``graph_data.npz`` of these fields."""
    records = {}
    for index, fields in enumerate(graphs):
        mapping = {
            key: tensor(np.asarray(value))
            if isinstance(value, torch.Tensor | np.ndarray)
            else value
            for key, value in fields.items()
        }
        store = Record(
            GlobalName("torch_geometric.data.storage", "GlobalStorage"),
            state={"_mapping": mapping},
        )
        records[index] = Record(
            GlobalName("torch_geometric.data.data", "Data"), state={"_store": store}
        )
    with zipfile.ZipFile(path, "w") as archive, archive.open("graph.npy", "w") as stream:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(stream, header)
        write_pickle(object_array(records), stream)


def sic_fields(channel: str = "nonsoc") -> dict[str, Any]:
    return unpickled(SIC / f"graph_data_{channel}.npz")[0]


def test_several_crystals_and_their_rows(tmp_path: Path) -> None:
    wide = unpickled(WSE2 / "graph_data_nonsoc.npz")[0]
    twice = {**wide, "Hon": 2 * wide["Hon"], "Hoff": 2 * wide["Hoff"]}
    save_graph(tmp_path / "graph_data.npz", wide, twice)
    first, second = (
        read_hamiltonian(tmp_path / "graph_data.npz", ReadOptions(index=i)) for i in range(2)
    )
    assert np.allclose(second.scalar, 2 * first.scalar, rtol=1e-6)
    assert any("equals its H0" in w for w in first.provenance.warnings)
    assert not any("equals its H0" in w for w in second.provenance.warnings)
    assert second.provenance.title == "HamGNN graph, its target"
    rows = [wide["hamiltonian"].numpy() * factor for factor in (3, 5)]
    np.save(tmp_path / "prediction_hamiltonian.npy", np.concatenate(rows))
    for index, factor in enumerate((3, 5)):
        h = read_hamiltonian(tmp_path, ReadOptions(index=index))
        assert np.allclose(h.scalar, factor * first.scalar, rtol=1e-6)
    with pytest.raises(SettingsError, match="has no crystal 2"):
        read_hamiltonian(tmp_path, ReadOptions(index=2))


def test_several_crystals_of_spinors(tmp_path: Path) -> None:
    fields = unpickled(SIC / "graph_data_soc.npz")[0]
    save_graph(tmp_path / "graph_data.npz", fields, fields)
    rows = np.load(SIC / "hamiltonian.npy")
    np.save(tmp_path / "hamiltonian.npy", np.concatenate([3 * rows, 5 * rows]))
    single = read_hamiltonian(SIC / "hamiltonian.npy")
    h = read_hamiltonian(tmp_path, ReadOptions(index=1))
    assert np.allclose(h.spin_orbit, 5 * single.spin_orbit, rtol=1e-5, atol=1e-9)
    assert any("batch size 1" in warning for warning in h.provenance.warnings)


def test_attributes_of_older_torch_geometric(tmp_path: Path) -> None:
    mapping = {k: tensor(v.numpy()) if torch.is_tensor(v) else v for k, v in sic_fields().items()}
    data = Record(GlobalName("torch_geometric.data.data", "Data"), state=mapping)
    with zipfile.ZipFile(tmp_path / "g.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        stream = io.BytesIO()
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(stream, header)
        write_pickle(object_array({0: data}), stream)
        archive.writestr("graph.npy", stream.getvalue())
    h = read_hamiltonian(tmp_path / "g.npz")
    assert difference(h, read_hamiltonian(SIC / "graph_data_nonsoc.npz")) == 0


def test_cell_in_angstrom_beside_shifts_in_bohr(tmp_path: Path) -> None:
    """As HamGNN's magnetism tools pack it."""
    fields = sic_fields()
    expected = read_hamiltonian(SIC / "graph_data_nonsoc.npz").structure
    fields["cell"], fields["pos"] = BOHR * fields["cell"], BOHR * fields["pos"]
    save_graph(tmp_path / "graph_data.npz", fields)
    found = read_hamiltonian(tmp_path / "graph_data.npz").structure
    assert np.allclose(found.lattice.matrix, expected.lattice.matrix, atol=1e-5)
    assert np.allclose(found.cart_coords, expected.cart_coords, atol=1e-5)
    fields["cell"] = 0.7 * fields["cell"]
    save_graph(tmp_path / "graph_data.npz", fields)
    with pytest.raises(FileFormatError, match="nbr_shift"):
        read_hamiltonian(tmp_path / "graph_data.npz")


def test_doping_charge_takes_electrons(tmp_path: Path) -> None:
    fields = sic_fields()
    fields["doping_charge"] = torch.tensor([0.5])
    save_graph(tmp_path / "graph_data.npz", fields)
    h = read_hamiltonian(tmp_path / "graph_data.npz")
    assert h.n_electrons == 7.5
    assert any("doping charge" in warning for warning in h.provenance.warnings)


def test_layout_of_thirteen(tmp_path: Path) -> None:
    """Without the third s."""
    fields = sic_fields()
    keep = np.delete(np.arange(14), 2)
    for key in ("Son", "Soff", "overlap", "Hon", "Hoff", "Hon0", "Hoff0", "hamiltonian"):
        block = fields[key].numpy().reshape(-1, 14, 14)
        fields[key] = block[:, keep][:, :, keep].reshape(len(block), -1)
    save_graph(tmp_path / "graph_data.npz", fields)
    h = read_hamiltonian(tmp_path / "graph_data.npz")
    assert difference(h, read_hamiltonian(SIC / "graph_data_nonsoc.npz")) == 0


BROKEN = {
    "an element without orbitals": ({"z": torch.tensor([14, 64])}, "no orbitals for Gd"),
    "no atomic number": ({"z": torch.tensor([14, 0])}, "atomic numbers"),
    "an atom beyond": ({"edge_index": torch.full((2, 18), 2)}, "names atoms beyond 0 … 1"),
    "other columns": ({"Son": torch.zeros(2, 195)}, "'Son' has 195 columns"),
    "more rows": ({"Soff": torch.zeros(19, 196)}, r"'Soff' has shape \(19, 196\)"),
    "integers for floats": ({"Hon": torch.zeros(2, 196, dtype=torch.int64)}, "'Hon' is no array"),
    "text": ({"pos": "none"}, "'pos' is no array"),
    "no overlap": ({"Soff": None}, "no 'Soff'"),
    "a cell that is not finite": ({"cell": torch.full((1, 3, 3), torch.nan)}, "not finite"),
    "a total energy that is not finite": ({"total_energy": np.inf}, "total_energy"),
    "no spin–orbit's imaginary part": (
        {"Hon": torch.zeros(2, 784), "Hoff": torch.zeros(18, 784)},
        "no 'iHon'",
    ),
    "rows of another width": (
        {"Hon": torch.zeros(2, 169), "Hoff": torch.zeros(18, 169)},
        r"rows of shape \(169,\)",
    ),
    "different widths": ({"Hoff": torch.zeros(18, 784)}, r"expected is \(18, 196\)"),
    "a shell that is none of the set": (
        {"Son": torch.eye(14).reshape(1, 196).repeat(2, 1)},
        "fills s3",
    ),
    "half a shell": (
        {"Son": torch.diag(torch.arange(14.0) > 3).float().reshape(1, 196).repeat(2, 1)},
        "fills p1",
    ),
    "no Hamiltonian": ({"Hon": None}, "neither a Hamiltonian of its own"),
    "an edge without its reverse": (
        {"cell_shift": torch.zeros(18, 3, dtype=torch.int64), "nbr_shift": torch.zeros(18, 3)},
        "stored twice",
    ),
}


@pytest.mark.parametrize(("changed", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_graphs(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    save_graph(tmp_path / "broken.npz", {**sic_fields(), **changed})
    with pytest.raises(FileFormatError, match=message) as caught:
        read_hamiltonian(tmp_path / "broken.npz")
    assert str(caught.value).startswith("broken.npz")


def test_overlap_that_is_not_positive(tmp_path: Path) -> None:
    fields = sic_fields()
    fields["Soff"] = 100 * fields["Soff"]
    save_graph(tmp_path / "graph_data.npz", fields)
    with pytest.raises(FileFormatError, match=r"graph_data\.npz: The overlap is not positive"):
        read_hamiltonian(tmp_path / "graph_data.npz")


def test_lower_block_that_belongs_to_no_upper_one(tmp_path: Path) -> None:
    shutil.copy(SIC / "graph_data_soc.npz", tmp_path)
    rows = np.load(SIC / "hamiltonian.npy")
    rows[:, 20 * 28] += 0.1  # ↓↑ of p
    np.save(tmp_path / "hamiltonian.npy", rows)
    with pytest.raises(FileFormatError, match="neither the complex conjugates nor the adjoints"):
        read_hamiltonian(tmp_path / "hamiltonian.npy")


def test_lower_block_that_is_the_adjoint_is_read_the_same(tmp_path: Path) -> None:
    """Somebody repaired the file already: here ↓↑ = ↑↓† is minus what HamGNN writes."""
    shutil.copy(SIC / "graph_data_soc.npz", tmp_path)
    rows = np.load(SIC / "hamiltonian.npy").reshape(-1, 2, 14, 2, 14)
    rows[:, 1, :, 0] *= -1
    np.save(tmp_path / "hamiltonian.npy", rows.reshape(-1, 784))
    assert difference(read_hamiltonian(tmp_path), read_hamiltonian(SIC / "hamiltonian.npy")) < 1e-12


# --- against OpenMX -----------------------------------------------------------------------------


def test_openmx_orbitals_stand_where_openmx_has_them(tmp_path: Path) -> None:
    """A graph made of the scfout's own numbers, with the places of s1 p1 d1 written by hand."""
    source = DATA / "openmx" / "fe_nc.scfout.xz"
    member = bundle_of_path(source).chosen
    assert member is not None
    raw = parse_scfout(member.data(), "fe")
    cells = raw.cells[raw.copies]
    on = ~cells.any(axis=1)
    place = np.array([0, 3, 4, 5, 9, 10, 11, 12, 13])

    def rows(flat: NDArray[Any]) -> NDArray[np.float32]:
        padded = np.zeros((len(cells), 14, 14), dtype=np.float32)
        padded[:, place[:, None], place] = flat.reshape(-1, 9, 9)
        return padded.reshape(len(cells), -1)

    def spinor(up: Any, mixed: Any, lower: Any, down: Any) -> NDArray[np.float32]:
        square = [rows(part).reshape(-1, 14, 14) for part in (up, mixed, lower, down)]
        return np.block([[square[0], square[1]], [square[2], square[3]]]).reshape(len(cells), -1)

    h, ih = raw.hamiltonian, raw.imaginary
    assert ih is not None
    mixed = h[3] + ih[2]
    parts = {
        "S": rows(raw.overlap),
        "H": spinor(h[0], h[2], h[2], h[1]),
        "iH": spinor(ih[0], mixed, -mixed, ih[1]),
    }
    edges = np.zeros((2, int((~on).sum())), dtype=np.int64)
    save_graph(
        tmp_path / "graph_data.npz",
        {
            "z": np.array([26]),
            "edge_index": edges,
            "cell": raw.lattice[None].astype(np.float32),
            "pos": raw.positions.astype(np.float32),
            "cell_shift": cells[~on].astype(np.int64),
            "nbr_shift": (cells[~on] @ raw.lattice).astype(np.float32),
            **{f"{name}on": part[on] for name, part in parts.items()},
            **{f"{name}off": part[~on] for name, part in parts.items()},
        },
    )
    options = ReadOptions(n_electrons=14)
    found = read_hamiltonian(tmp_path / "graph_data.npz", options)
    expected = read_hamiltonian(source)
    assert difference(found, expected) < 1e-5
    assert not any("rotation law" in warning for warning in found.provenance.warnings)
    assert any("exchange field along x or y" in warning for warning in found.provenance.warnings)
    for cell in ((0, 0, 0), (1, 0, 0), (0, -1, 1)):
        for name in found.components:
            ours, theirs = (h.block(name, 0, 0, cell) for h in (found, expected))
            assert np.abs(ours - theirs).max() < 1e-5


def test_electrons_are_those_openmx_counts(openmx_file: Any) -> None:
    assert openmx_file("wse2_col").n_electrons == valence("W") + 2 * valence("Se")


# --- writing ------------------------------------------------------------------------------------


def written(h: Hamiltonian, folder: Path, **options: Any) -> tuple[Hamiltonian, tuple[str, ...]]:
    path = folder / "graph_data.npz"
    report = write_hamgnn(h, path, WriteOptions(**options))
    assert report.files == (path,)
    return read_hamiltonian(path), report.notes


@pytest.mark.parametrize("folder", [SIC, WSE2], ids=lambda f: f.name)
def test_a_prediction_is_written_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    h = read_hamiltonian(folder / "hamiltonian.npy")
    back, _ = written(h, tmp_path)
    assert difference(h, back) == 0
    fields, original = (
        unpickled(path)[0] for path in (tmp_path / "graph_data.npz", folder / "graph_data_soc.npz")
    )
    rows = torch.cat([fields[key] for key in ("Hon", "Hoff", "iHon", "iHoff")])
    assert torch.equal(rows, torch.from_numpy(np.load(folder / "hamiltonian.npy")))
    assert set(original) - set(fields) == {"Lon", "Loff"}
    own = {"Hon", "Hoff", "iHon", "iHoff", "Hon0", "Hoff0", "iHon0", "iHoff0"}
    for key in set(fields) - own:
        if torch.is_tensor(fields[key]):
            assert fields[key].dtype == original[key].dtype
            assert torch.equal(fields[key], original[key]), key
        else:
            assert fields[key] == original[key]


@pytest.mark.parametrize("name", ["wse2_col", "wse2_nc", "fe_col", "fe_nc"])
def test_openmx_to_hamgnn_and_back(name: str, tmp_path: Path, openmx_file: Any) -> None:
    """As far as single precision goes: elements of 50 eV keep 3e-6 eV."""
    h = openmx_file(name)
    back, notes = written(h, tmp_path)
    assert back.components == h.components
    assert [len(s) for s in back.basis.shells] == [len(s) for s in h.basis.shells]
    assert difference(h, back) < 2e-5
    assert any("single precision" in note for note in notes)
    assert any("more shells" in note for note in notes)
    assert any("number of electrons is not kept" in note for note in notes) == ("fe" in name)
    fields = unpickled(tmp_path / "graph_data.npz")[0]
    assert all(
        v.dtype in (torch.float32, torch.int64) for v in fields.values() if torch.is_tensor(v)
    )
    assert int(fields["Son"].shape[1]) == (14 if "fe" in name else 26) ** 2
    edges, inverse = fields["edge_index"], fields["inv_edge_idx"]
    assert torch.equal(edges[0][inverse], edges[1])
    assert torch.equal(fields["cell_shift"][inverse], -fields["cell_shift"])
    if name.endswith("_nc"):
        n = fields["Hon"].shape[0]
        width = int(np.sqrt(fields["Son"].shape[1]))
        real, imaginary = (fields[f"{p}Hoff"].reshape(-1, 2, width, 2, width) for p in ("", "i"))
        assert n == h.basis.n_sites
        assert torch.equal(real[:, 1, :, 0], real[:, 0, :, 1])
        assert torch.equal(imaginary[:, 1, :, 0], -imaginary[:, 0, :, 1])


def test_collinear_channel_has_up_and_down(tmp_path: Path, openmx_file: Any) -> None:
    h = openmx_file("fe_col")
    written(h, tmp_path)
    fields = unpickled(tmp_path / "graph_data.npz")[0]
    assert fields["Hon"].shape == (1, 2, 196)
    up, down = fields["Hon"][0].reshape(2, 14, 14).numpy()
    on_site = HARTREE * (up - down)[9:14, 9:14] / 2
    b = h.block("B", 0, 0, rows="d1", columns="d1")
    assert np.allclose(np.sort(np.diag(on_site)), np.sort(np.diag(b)), atol=1e-5)


def test_dial_is_written_in(tmp_path: Path, openmx_file: Any) -> None:
    h = openmx_file("fe_col")
    state = SpinState(theta=90, phi=0)
    back, notes = written(h, tmp_path, state=state, spinor=True)
    assert back.exchange is not None
    assert back.exchange.ndim == 2
    assert np.abs(back.exchange[0] - h.exchange).max() < 1e-5
    assert np.abs(back.exchange[1:]).max() < 1e-5
    assert any("θ = 90°" in note for note in notes)


def test_without_spinors_what_only_they_hold(tmp_path: Path, openmx_file: Any) -> None:
    back, notes = written(openmx_file("wse2_nc"), tmp_path, spinor=False)
    assert back.components == ("S", "H")
    assert "Spin–orbit coupling is left out." in notes
    with pytest.raises(SettingsError, match="exchange field of three components"):
        written(openmx_file("fe_nc"), tmp_path, spinor=False)


def test_what_cannot_be_written(tmp_path: Path, openmx_file: Any) -> None:
    h = openmx_file("fe_col")
    with pytest.raises(SettingsError, match="pseudo-atomic orbitals"):
        written(replace(h, provenance=replace(h.provenance, source="dft", title="PBE")), tmp_path)
    with pytest.raises(SettingsError, match="suffix"):
        write_hamgnn(h, tmp_path / "graph.h5", WriteOptions())
    assert not list(tmp_path.iterdir())


def test_every_set_fits_a_layout() -> None:
    for width, layout in LAYOUTS.items():
        assert sum(shell.size for shell in layout) == width
    widest = set(LAYOUTS[26])
    for symbol in ("H", "Li", "Be", "C", "Fe", "Mo", "Te", "W", "Bi"):
        assert set(orbital_set(symbol)) <= widest
        assert valence(symbol) <= 2 * sum(shell.size for shell in orbital_set(symbol))


# --- damage -------------------------------------------------------------------------------------


def _damaged(
    name: str, variant: bytes, beside: dict[str, bytes], reference: Hamiltonian, what: str
) -> None:
    """Our error within two seconds, or the same blocks: what is not used cannot be missed, and one
    finite number is as good as another.
    """
    started = time.process_time()
    with suppress(HamexplorerError):
        found = read_bundle(bundle_of_bytes({name: variant, **beside}))
        assert found.pairs.same_as(reference.pairs), what
        assert found.basis == reference.basis, what
    assert time.process_time() - started < 2, what


@pytest.mark.parametrize("channel", ["nonsoc", "soc"])
def test_damaged_graphs(channel: str) -> None:
    name = f"graph_data_{channel}.npz"
    data = (SIC / name).read_bytes()
    reference = read_hamiltonian(SIC / name)
    for what, variant in damaged_variants(data, seed=11, count=40):
        _damaged(name, variant, {}, reference, what)


def test_damaged_pickles_behind_a_right_checksum() -> None:
    """The archive's checksum would catch nearly everything: here it is made anew."""
    with zipfile.ZipFile(SIC / "graph_data_nonsoc.npz") as archive:
        data = archive.read("graph.npy")
    reference = read_hamiltonian(SIC / "graph_data_nonsoc.npz")
    for what, variant in damaged_variants(data, seed=12, count=60, header=2000):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("graph.npy", variant)
        _damaged("graph_data.npz", out.getvalue(), {}, reference, what)


def test_damaged_matrices() -> None:
    graph = {"graph_data_soc.npz": (SIC / "graph_data_soc.npz").read_bytes()}
    reference = read_hamiltonian(SIC / "hamiltonian.npy")
    data = (SIC / "hamiltonian.npy").read_bytes()
    for what, variant in damaged_variants(data, seed=13, count=40):
        _damaged("hamiltonian.npy", variant, graph, reference, what)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_wild_numbers_in_a_matrix(value: float, tmp_path: Path) -> None:
    shutil.copy(SIC / "graph_data_soc.npz", tmp_path)
    rows = np.load(SIC / "hamiltonian.npy")
    rows[0, 1] = value
    np.save(tmp_path / "hamiltonian.npy", rows)
    with pytest.raises(FileFormatError, match=r"^hamiltonian\.npy holds values that are not"):
        read_hamiltonian(tmp_path / "hamiltonian.npy")
