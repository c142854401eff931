"""Pickles that try to do harm, and pickles that must come out whole."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import struct
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hamexplorer.errors import FileFormatError, HamexplorerError, ResourceLimitError
from hamexplorer.formats import read_hamiltonian
from hamexplorer.formats.restricted_pickle import (
    STORAGE_TYPES,
    GlobalName,
    Record,
    Storage,
    load_pickle,
    machine,
)

NAME = "hostile.npz"
CANARY = "canary"
COMMAND = f"echo ran > {CANARY}"


def load(data: bytes, **options: Any) -> Any:
    return load_pickle(io.BytesIO(data), len(data), NAME, **options)


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of the pickles would leave their canary here."""
    monkeypatch.chdir(tmp_path)


class Reducing:
    """Pickles as a call of ``function(*arguments)``."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> Any:
        return self._reduced


def text(value: str) -> bytes:
    return pickle.BINUNICODE + struct.pack("<I", len(value)) + value.encode()


def named(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def stack_named(module: str, name: str) -> bytes:
    return text(module) + text(name) + pickle.STACK_GLOBAL


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + pickle.MARK + b"".join(arguments) + pickle.TUPLE + pickle.REDUCE


def whole(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + pickle.STOP


def storage_bytes(*replaced: tuple[int, bytes]) -> bytes:
    """Bytes of a storage of two floats, of whose five pickles some are exchanged."""
    pickles = [
        pickle.dumps(0x1950A86A20F9469CFC6C, 2),
        pickle.dumps(1001, 2),
        pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2),
        b"\x80\x02("
        + text("storage")
        + named("torch", "FloatStorage")
        + text("7")
        + text("cpu")
        + b"K\x02Nt"
        + pickle.BINPERSID
        + b".",
        pickle.dumps(["7"], 2),
    ]
    for place, other in replaced:
        pickles[place] = other
    return b"".join(pickles) + struct.pack("<q2f", 2, 1.0, 2.0)


def in_storage(data: bytes) -> bytes:
    """A pickle that has ``data`` read as the bytes of a storage."""
    binary = pickle.BINBYTES8 + struct.pack("<Q", len(data)) + data
    return whole(call(named("torch.storage", "_load_from_bytes"), binary))


SYSTEM = whole(call(named("os", "system"), text(COMMAND)))
DATA = named("torch_geometric.data.data", "Data")
NEW_DATA = DATA + b")" + pickle.NEWOBJ
DTYPE = call(named("numpy", "dtype"), text("f8"))

HOSTILE = {
    **{
        f"os.system, protocol {protocol}": pickle.dumps(Reducing(os.system, COMMAND), protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "posix.system": whole(call(named("posix", "system"), text(COMMAND))),
    "subprocess.Popen": whole(call(named("subprocess", "Popen"), text(COMMAND))),
    "eval": whole(call(named("builtins", "eval"), text(f"open('{CANARY}', 'w')"))),
    "exec": whole(call(named("builtins", "exec"), text(f"open('{CANARY}', 'w')"))),
    "eval of Python 2": whole(call(named("__builtin__", "eval"), text(f"open('{CANARY}', 'w')"))),
    "__import__": whole(call(named("builtins", "__import__"), text("os"))),
    "getattr": whole(
        call(
            call(
                named("builtins", "getattr"),
                call(named("importlib", "import_module"), text("os")),
                text("system"),
            ),
            text(COMMAND),
        )
    ),
    "open": whole(call(named("io", "open"), text(CANARY), text("w"))),
    "stack global": whole(call(stack_named("os", "system"), text(COMMAND))),
    "dotted name in an allowed module": whole(
        call(stack_named("numpy", "f2py.os.system"), text(COMMAND))
    ),
    "dotted name in torch's": whole(call(stack_named("torch._utils", "sys.exit"))),
    "name that is no text": whole(b"K\x01K\x02" + pickle.STACK_GLOBAL),
    "module of allowed names": whole(named("numpy", "core")),
    "numpy.testing": whole(
        call(
            named("numpy.testing._private.utils", "runstring"),
            text(f"open('{CANARY}', 'w')"),
            pickle.EMPTY_DICT,
        )
    ),
    "numpy.load": whole(call(named("numpy", "load"), text(CANARY))),
    "torch.load": whole(call(named("torch", "load"), text(CANARY))),
    "torch.hub": whole(call(named("torch.hub", "load"), text("a/b"), text("c"))),
    "torch's other rebuilders": whole(
        call(named("torch._utils", "_rebuild_device_tensor_from_numpy"), b"N")
    ),
    "functools.partial": whole(
        call(call(named("functools", "partial"), named("os", "system")), text(COMMAND))
    ),
    "operator.methodcaller": whole(call(named("operator", "methodcaller"), text("system"))),
    "instance, INST": b"\x80\x02(" + text(COMMAND) + pickle.INST + b"os\nsystem\n.",
    "instance, OBJ": b"\x80\x02(" + named("os", "system") + text(COMMAND) + pickle.OBJ + b".",
    "instance of an allowed class, INST": whole(b"(" + pickle.INST + b"collections\nOrderedDict\n"),
    "extension 1": whole(call(pickle.EXT1 + b"\xf0", text(COMMAND))),
    "extension 2": whole(call(pickle.EXT2 + b"\xf0\x00", text(COMMAND))),
    "extension 4": whole(call(pickle.EXT4 + b"\xf0\x00\x00\x00", text(COMMAND))),
    "new, of a function": whole(
        named("os", "system") + text(COMMAND) + pickle.TUPLE1 + pickle.NEWOBJ
    ),
    "new, of an allowed function": whole(
        named("torch._utils", "_rebuild_parameter") + b")" + pickle.NEWOBJ
    ),
    "new with keywords": whole(
        named("subprocess", "Popen")
        + text(COMMAND)
        + pickle.TUPLE1
        + pickle.EMPTY_DICT
        + text("shell")
        + pickle.NEWTRUE
        + pickle.SETITEM
        + pickle.NEWOBJ_EX
    ),
    "state of a class": whole(
        named("numpy", "ndarray")
        + pickle.EMPTY_DICT
        + text("__reduce__")
        + text(COMMAND)
        + pickle.SETITEM
        + pickle.BUILD
    ),
    "state of an allowed function": whole(
        named("torch._utils", "_rebuild_tensor_v2")
        + b"N"
        + pickle.EMPTY_DICT
        + text("__defaults__")
        + pickle.EMPTY_TUPLE
        + pickle.SETITEM
        + pickle.TUPLE2
        + pickle.BUILD
    ),
    "state of a list": whole(pickle.EMPTY_LIST + pickle.EMPTY_DICT + pickle.BUILD),
    "call of a record": whole(call(NEW_DATA, text(COMMAND))),
    "call of a text": whole(call(text("system"), text(COMMAND))),
    "call of a number type": whole(call(named("torch", "FloatStorage"), b"K\x08")),
    "array of another class": whole(
        call(
            named("numpy.core.multiarray", "_reconstruct"),
            named("subprocess", "Popen"),
            b"K\x00\x85",
            text("b"),
        )
    ),
    "array of a record's class": whole(
        call(named("numpy.core.multiarray", "_reconstruct"), DATA, b"K\x00\x85", text("b"))
    ),
    "NumPy type of fields": whole(call(named("numpy", "dtype"), text("i4,O"))),
    "NumPy type with another state": whole(
        DTYPE + b"(K\x03" + text("<") + b"N" + text("a") + b"NJ\xff\xff\xff\xffK\x00K\x00t" + b"b"
    ),
    "encode by another codec": whole(
        call(named("_codecs", "encode"), text(COMMAND), text("unicode_escape"))
    ),
    "persistent id": whole(text("0") + pickle.BINPERSID),
    "persistent id of protocol 0": b"P" + COMMAND.encode() + b"\n.",
    "appending to what is no list": whole(NEW_DATA + pickle.EMPTY_TUPLE + b"K\x01" + pickle.APPEND),
    **{
        f"storage whose pickle {place} runs code": in_storage(storage_bytes((place, SYSTEM)))
        for place in range(5)
    },
    "storage in a storage": in_storage(storage_bytes((3, in_storage(storage_bytes())))),
    "storage that is a checkpoint": in_storage(
        (lambda out: (torch.save(Reducing(os.system, COMMAND), out), out.getvalue())[1])(
            io.BytesIO()
        )
    ),
    "code after the storage's end is not read, before it is": in_storage(
        storage_bytes((4, pickle.dumps(Reducing(os.system, COMMAND), 2)))
    ),
}


def test_the_commands_would_run() -> None:
    """So that the tests below prove something: Python's own unpickler runs them."""
    pickle.loads(SYSTEM)  # noqa: S301
    assert Path(CANARY).read_text() == "ran\n"


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_refused_with_the_files_name(data: bytes) -> None:
    with pytest.raises(FileFormatError, match=NAME):
        load(data)
    assert not Path(CANARY).exists()


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_runs_where_unknown_classes_become_records(data: bytes) -> None:
    with suppress(FileFormatError):
        assert isinstance(load(data, unknown="record"), Record | GlobalName)
    assert not Path(CANARY).exists()


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_refused_inside_a_graph(data: bytes) -> None:
    with zipfile.ZipFile(NAME, "w") as archive, archive.open("graph.npy", "w") as stream:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(data)
    with pytest.raises(FileFormatError, match=NAME):
        read_hamiltonian(NAME)
    assert not Path(CANARY).exists()


def test_message_names_file_and_global() -> None:
    with pytest.raises(FileFormatError) as caught:
        load(SYSTEM)
    assert str(caught.value) == (
        f"{NAME} refers to os.system, which no Hamiltonian file needs: it may try to run code and "
        "was not opened."
    )


def test_control_characters_of_a_name_do_not_reach_the_terminal() -> None:
    with pytest.raises(FileFormatError) as caught:
        load(whole(stack_named("os\x1b[2J", "system" * 1000)))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_extension_registry_is_not_asked() -> None:
    copyreg.add_extension("os", "system", 240)
    try:
        with pytest.raises(FileFormatError, match="EXT1"):
            load(HOSTILE["extension 1"])
    finally:
        copyreg.remove_extension("os", "system", 240)
    assert not Path(CANARY).exists()


def test_state_with_methods_stays_data() -> None:
    state = {"__setstate__": GlobalName("os", "system"), "__class__": 1, "__reduce__": 2}
    entries = b"".join(text(k) + text("x") for k in state)
    record = load(whole(NEW_DATA + b"}(" + entries + b"u" + pickle.BUILD + b"N" + pickle.BUILD))
    assert type(record) is Record
    assert record.state is None
    record = load(whole(NEW_DATA + b"}(" + entries + b"u" + pickle.BUILD))
    assert dict(record.attributes) == dict.fromkeys(state, "x")
    assert type(record) is Record


def test_functions_of_ours_are_as_before_after_every_attack() -> None:
    from hamexplorer.formats.restricted_pickle import torch_storage

    tensor = torch_storage._tensor
    before = tensor.__defaults__, dict(tensor.__dict__), tensor.__code__
    for data in HOSTILE.values():
        with pytest.raises(HamexplorerError):
            load(data)
    assert (tensor.__defaults__, dict(tensor.__dict__), tensor.__code__) == before


# --- bombs -------------------------------------------------------------------------------------

N = 100_000
COLLIDING = [(k * (2**61 - 1)).to_bytes(16, "little") for k in range(1, 3000)]
BOMBS = {
    "bytes of 8 EB": b"\x80\x04" + pickle.BINBYTES8 + struct.pack("<Q", 2**63 - 1) + b"abc.",
    "bytes of 4 GB": b"\x80\x04" + pickle.BINBYTES + struct.pack("<I", 2**32 - 1) + b"abc.",
    "bytearray of 1 TB": b"\x80\x05" + pickle.BYTEARRAY8 + struct.pack("<Q", 2**40) + b"abc.",
    "text of 8 EB": b"\x80\x04" + pickle.BINUNICODE8 + struct.pack("<Q", 2**63 - 1) + b"abc.",
    "integer of 2 GB": b"\x80\x04" + pickle.LONG4 + struct.pack("<i", 2**31 - 1) + b"abc.",
    "global without end": b"\x80\x04c" + b"a" * 10_000_000,
    "decimal of protocol 0": b"I" + b"9" * 1_000_000 + b"\n.",
    "lists within lists": whole(b"]" * N + b"a" * (N - 1)),
    "tuples within tuples": whole(b")" + b"\x85" * N),
    "dicts within dicts": whole((b"}" + text("a")) * N + b"}" + b"s" * N),
    "records within records": whole(
        NEW_DATA + b"q\x00" + b"".join([b"N"] + [DATA + b")\x81"] * 20_000) + b"b" * 20_000
    ),
    "marks within marks": whole(b"(" * N),
    "key of tuples within tuples": whole(b"})" + b"\x85" * N + b"Ns"),
    "key of 2^60 parts": whole(b"})" + b"2\x86" * 60 + b"Ns"),
    "set of 2^60 parts": whole(b"\x8f()" + b"2\x86" * 60 + b"\x90"),
    "set made of 2^60 parts": whole(
        call(named("builtins", "set"), b"](" + b")" + b"2\x86" * 60 + b"e")
    ),
    "colliding keys": whole(
        b"}(" + b"".join(pickle.LONG1 + b"\x10" + k + b"N" for k in COLLIDING) + b"u"
    ),
    "memo index of 4 billion": whole(b"N" + pickle.LONG_BINPUT + b"\xff" * 4 + b"0"),
    "memo that is not there": whole(pickle.LONG_BINGET + b"\xff" * 4),
    "array of 2^60 elements": whole(
        call(
            named("numpy.core.multiarray", "_reconstruct"),
            named("numpy", "ndarray"),
            b"K\x00\x85",
            text("b"),
        )
        + b"(K\x01"
        + pickle.LONG1
        + b"\x08"
        + struct.pack("<q", 2**60)
        + b"\x85"
        + DTYPE
        + b"(K\x03"
        + text("<")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89C\x08abcdefghtb"
    ),
    "storage of 2^60 elements": in_storage(
        storage_bytes(
            (
                3,
                b"\x80\x02("
                + text("storage")
                + named("torch", "FloatStorage")
                + text("7")
                + text("cpu")
                + pickle.LONG1
                + b"\x08"
                + struct.pack("<q", 2**60)
                + b"Nt"
                + pickle.BINPERSID
                + b".",
            )
        )
    ),
    "tensor of 2^60 elements, stride 0": whole(
        call(
            named("torch._utils", "_rebuild_tensor_v2"),
            in_storage(storage_bytes())[2:-1],
            b"K\x00",
            pickle.LONG1 + b"\x05" + (2**38).to_bytes(5, "little") + b"\x85",
            b"K\x00\x85",
            b"\x89N",
        )
    ),
    "tensor beyond its storage": whole(
        call(
            named("torch._utils", "_rebuild_tensor_v2"),
            in_storage(storage_bytes())[2:-1],
            b"K\x01",
            b"K\x02\x85",
            b"K\x01\x85",
            b"\x89N",
        )
    ),
    "tensor before its storage": whole(
        call(
            named("torch._utils", "_rebuild_tensor_v2"),
            in_storage(storage_bytes())[2:-1],
            b"J\xff\xff\xff\xff",
            b"K\x02\x85",
            b"K\x01\x85",
            b"\x89N",
        )
    ),
    "empty": b"",
    "only a stop": b".",
    "no stop": b"\x80\x04N",
    "protocol 255": b"\x80\xffN.",
    "text that is no UTF-8": whole(pickle.SHORT_BINUNICODE + b"\x02\xff\xff"),
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_do_not_go_off(data: bytes) -> None:
    started = time.process_time()
    with zipfile.ZipFile(NAME, "w") as archive, archive.open("graph.npy", "w") as stream:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(data)
    with pytest.raises(HamexplorerError, match=NAME):
        read_hamiltonian(NAME)
    assert time.process_time() - started < 2


def test_number_of_operations_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_MAX_OPERATIONS", 1000)
    assert load(whole(b"N0" * 400 + b"N")) is None
    with pytest.raises(ResourceLimitError, match=f"{NAME} has more pickle operations"):
        load(whole(b"N0" * 2000 + b"N"))


def test_packed_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("graph.npy", "w", force_zip64=True) as stream,
    ):
        for _ in range(120):
            stream.write(bytes(1_000_000))
    with pytest.raises(ResourceLimitError, match=f"{NAME} unpacks to 120 MB"):
        read_hamiltonian(path)


# --- what must come out whole ------------------------------------------------------------------

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.int16),
    *(torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_are_bit_exact(dtype: torch.dtype, protocol: int) -> None:
    generator = torch.Generator().manual_seed(1)
    raw = torch.randint(0, 256, (4, 6, 16), dtype=torch.uint8, generator=generator)
    tensor = (raw > 127) if dtype == torch.bool else raw.view(dtype)
    view = tensor.transpose(0, 1)[1:, 2:]
    found = load(pickle.dumps([tensor, view, tensor], protocol))
    for array, expected in zip(found, (tensor, view, tensor), strict=True):
        assert array.shape == tuple(expected.shape)
        assert array.dtype == expected.numpy().dtype
        assert array.tobytes() == expected.contiguous().numpy().tobytes()
        assert not array.flags.writeable


def test_bfloat16_is_widened_exactly() -> None:
    tensor = torch.randn(50, generator=torch.Generator().manual_seed(2)).to(torch.bfloat16)
    found = load(pickle.dumps(tensor))
    assert found.dtype == np.float32
    assert np.array_equal(found, tensor.float().numpy())


def test_expanded_and_empty_tensors() -> None:
    found = load(pickle.dumps([torch.ones(1).expand(3, 4), torch.empty(0, 3)]))
    assert np.array_equal(found[0], np.ones((3, 4)))
    assert found[1].shape == (0, 3)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numpy_and_plain_data(protocol: int) -> None:
    random = np.random.default_rng(3)
    value = {
        "f": random.normal(size=(3, 4)),
        "fortran": np.asfortranarray(random.normal(size=(3, 4))),
        "big endian": random.normal(size=5).astype(">f8"),
        "c": random.normal(size=3) + 1j,
        "bool": np.array([True, False]),
        "text": np.array(["ab", "c"]),
        "scalar": np.float32(1.5),
        "zero": np.array(3),
        "none": np.empty((0, 2)),
        "plain": [1, -(2**70), 2.5, True, None, "α", b"\x00\xff", b"", (), (1, 2, 3, 4), {1}],
        "ordered": OrderedDict(a=1, b=2),
        7: {"nested": [[], {}]},
    }
    found = load(pickle.dumps(value, protocol))
    assert list(found) == list(value)
    for key in list(value)[:9]:
        assert np.array_equal(found[key], value[key])
        assert np.asarray(found[key]).dtype == np.asarray(value[key]).dtype
    for key in ("plain", "ordered", 7):
        assert found[key] == value[key]
        assert type(found[key]) is type(value[key])


def test_object_arrays_hold_what_they_held() -> None:
    value = np.empty(2, dtype=object)
    value[0], value[1] = [1, [2]], {"a": 1}
    found = load(pickle.dumps(value))
    assert found.dtype == object
    assert found.tolist() == value.tolist()


def test_whole_module_becomes_records_with_its_tensors() -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.SiLU(), torch.nn.Linear(4, 1))
    data = pickle.dumps({"model": layers, "device": torch.device("cpu"), "kind": torch.float32})
    with pytest.raises(FileFormatError, match=r"refers to torch\.nn"):
        load(data)
    model = load(data, unknown="record")["model"]
    assert isinstance(model, Record)
    assert str(model.of) == "torch.nn.modules.container.Sequential"
    for name, layer in model.attributes["_modules"].items():
        for key, array in layer.attributes["_parameters"].items():
            assert np.array_equal(array, getattr(layers[int(name)], key).detach().numpy())


def test_checkpoint_by_persistent_ids() -> None:
    """As PyTorch's zip files are read: storages lie outside of the pickle."""
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}
    torch.save({"state_dict": OrderedDict(state)}, "x.ckpt")
    with zipfile.ZipFile("x.ckpt") as archive:

        def storage(identity: Any) -> Storage:
            _, kind, key, _, _ = identity
            return Storage.of_bytes(archive.read(f"x/data/{key}"), kind.value)

        data = archive.read("x/data.pkl")
        found = load(data, persistent=storage)["state_dict"]
    assert len(STORAGE_TYPES) == 12
    for key, tensor in state.items():
        assert np.array_equal(found[key], tensor.numpy())
