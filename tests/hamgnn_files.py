"""The published network's files of ``tests/data``, unpacked, and changed ones."""

from __future__ import annotations

import io
import lzma
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from hamexplorer.formats.hamgnn.pickle_stream import object_array, tensor, write_pickle
from hamexplorer.formats.restricted_pickle import GlobalName, Record
from hamexplorer.model.importing import WeightFiles

__all__ = ["FOLDERS", "PICKLE", "SIC", "WSE2", "fields", "save_graph", "unpacked", "weight_files"]

DATA = Path(__file__).parent / "data"
SIC, WSE2, PICKLE = "micro14_sic", "micro26_wse2", "tiny26_pickle"
FOLDERS = (SIC, WSE2, PICKLE)


def unpacked(name: str, parent: Path) -> Path:
    """A folder with one fixture's files, under the names that HamGNN gives them."""
    target = parent / name
    if not target.exists():
        target.mkdir()
        for source in (DATA / "hamgnn" / name, DATA / "model" / name):
            for file in source.iterdir() if source.exists() else ():
                if file.suffix == ".xz":
                    (target / file.stem).write_bytes(lzma.decompress(file.read_bytes()))
                else:
                    shutil.copy(file, target / file.name)
    return target


def weight_files(folder: Path) -> WeightFiles:
    """All weights of a fixture."""
    predictor = folder / "predictor_legacy_v2_1.pkl"
    if predictor.exists():
        return WeightFiles(predictor)
    return WeightFiles(
        folder / "nonsoc.ckpt",
        folder / "config_nonsoc.yaml",
        folder / "soc.ckpt",
        folder / "config_soc.yaml",
    )


class _StandIns(pickle.Unpickler):
    """Python's own unpickler for our own test files, with stand-ins for torch_geometric."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("torch_geometric.data"):
            return type(name, (SimpleNamespace,), {})
        return super().find_class(module, name)


def fields(path: Path) -> dict[str, Any]:
    """The first graph's fields as pickle and PyTorch read them, arrays as NumPy's."""
    with zipfile.ZipFile(path) as archive:
        stream = io.BytesIO(archive.read("graph.npy"))
    np.lib.format.read_magic(stream)
    np.lib.format.read_array_header_1_0(stream)
    found = _StandIns(stream).load().item()[0]._store._mapping
    return {k: v.numpy() if torch.is_tensor(v) else v for k, v in found.items()}


def save_graph(path: Path, *graphs: Mapping[str, Any]) -> Path:
    """Graphs of these fields in one file of HamGNN's form; fields that are None are left out."""
    data = {}
    for index, graph in enumerate(graphs):
        mapping = {
            k: tensor(v) if isinstance(v, np.ndarray) else v
            for k, v in graph.items()
            if v is not None
        }
        store = Record(
            GlobalName("torch_geometric.data.storage", "GlobalStorage"),
            state={"_mapping": mapping},
        )
        data[index] = Record(
            GlobalName("torch_geometric.data.data", "Data"), state={"_store": store}
        )
    with zipfile.ZipFile(path, "w") as archive, archive.open("graph.npy", "w") as stream:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(stream, header)
        write_pickle(object_array(data), stream)
    return path
