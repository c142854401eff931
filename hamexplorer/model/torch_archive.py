"""PyTorch's zip files (``torch.save``, Lightning's ``.ckpt``) without PyTorch's own unpickling.

Such a file holds ``NAME/data.pkl``, a pickle whose persistent ids refer to storages, and each
storage's bytes as ``NAME/data/KEY``, stored and not deflated.
"""

from __future__ import annotations

import zipfile
import zlib
from typing import Any

from hamexplorer.errors import FileFormatError
from hamexplorer.formats.bundle import Member
from hamexplorer.formats.restricted_pickle import STORAGE_TYPES, Constant, Storage, load_pickle

__all__ = ["CHECKPOINT_MODULES", "is_torch_archive", "read_torch_archive"]

CHECKPOINT_MODULES = (
    *("HamGNN", "HamGNN_v_1_0", "HamGNN_v_2_0", "HamGNN_v_2_1", "hamgnn", "__main__", "models"),
    *("torch", "torch_geometric", "torch_scatter", "torch_sparse", "torchmetrics"),
    *("pytorch_lightning", "lightning", "lightning_fabric", "lightning_utilities"),
    *("e3nn", "opt_einsum", "opt_einsum_fx", "easydict", "ase", "pymatgen"),
    *("argparse.Namespace", "collections.defaultdict", "collections.Counter", "collections.deque"),
    *("builtins.getattr", "builtins.slice", "builtins.object", "builtins.complex", "builtins.type"),
    *("builtins.int", "builtins.float", "builtins.bool", "builtins.str", "builtins.dict"),
    *("copyreg._reconstructor", "functools.partial", "pathlib.PosixPath", "pathlib.WindowsPath"),
    *("pathlib._local", "datetime.datetime", "datetime.timedelta", "typing", "enum"),
)
"""What a checkpoint may name. Nothing of it is found or run: objects become inert records."""

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,  # a compression that there is not
    RuntimeError,  # encrypted
)


def is_torch_archive(member: Member) -> bool:
    """Whether the file is a zip archive whose first entry lies in one folder, as PyTorch writes."""
    length = int.from_bytes(member.head[26:28], "little")
    return member.head.startswith(b"PK\x03\x04") and b"/" in member.head[30 : 30 + length]


def read_torch_archive(member: Member) -> Any:
    """What ``torch.save`` was given: plain data, tensors as NumPy arrays, objects as records.

    Raises:
        FileFormatError: damaged, of another kind, or it names what no checkpoint needs.
        ResourceLimitError: more pickle operations than any real file has.
    """
    with member.path() as path:
        try:
            with zipfile.ZipFile(path) as archive:
                return _read(archive, path.stat().st_size, member.name)
        except _DAMAGE as error:
            raise FileFormatError(f"{member.name} is a damaged archive: {error}.") from error


def _read(archive: zipfile.ZipFile, size: int, name: str) -> Any:
    entries = archive.infolist()
    pickles = [
        e for e in entries if e.filename.count("/") == 1 and e.filename.endswith("/data.pkl")
    ]
    if len(pickles) != 1:
        raise FileFormatError(f"{name} is no file of PyTorch: it has no data.pkl.")
    # then what is unpacked is no longer than the file
    if any(e.compress_type != zipfile.ZIP_STORED for e in entries) or (
        sum(e.file_size for e in entries) > size
    ):
        raise FileFormatError(f"{name} is no file of PyTorch: its entries are packed or overlap.")
    root = pickles[0].filename.removesuffix("data.pkl")
    known = {e.filename for e in entries}
    if f"{root}byteorder" in known and archive.read(f"{root}byteorder") != b"little":
        raise FileFormatError(f"{name} was written on a machine of other byte order.")
    storages: dict[str, Storage] = {}

    def storage(identity: Any) -> Storage:
        match identity:
            case ("storage", Constant() as kind, str(key), str(), int(count)):
                pass
            case _:
                raise ValueError("the persistent id of a storage is not understood")
        if kind not in STORAGE_TYPES.values():
            raise ValueError("a storage is of an unknown type")
        if key not in storages:
            storages[key] = Storage.of_bytes(archive.read(f"{root}data/{key}"), kind.value)
        if len(storages[key].values) != count:
            raise ValueError(f"storage {key!r} has not the {count} elements that are announced")
        return storages[key]

    with archive.open(pickles[0]) as stream:
        return load_pickle(
            stream, pickles[0].file_size, name, inert=CHECKPOINT_MODULES, persistent=storage
        )
