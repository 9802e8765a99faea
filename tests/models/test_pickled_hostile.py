"""Files that try to run something, to reach outside themselves or to fill the memory are refused."""

import os
import pickle
import resource
import struct
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.test_pickled import ZIP_AND_LEGACY, assert_one_line, save

from starktrack.errors import CheckpointError, UnsafeCheckpointError
from starktrack.models.pickled import MAX_PICKLE_BYTES, read_pickled


def zip_of(pickle_bytes, path, storages=(), compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickle_bytes)
        for key, raw in storages:
            archive.writestr(f"archive/data/{key}", raw)
    return path


@pytest.fixture
def marker(tmp_path):
    path = tmp_path / "payload_ran"
    yield path
    assert not path.exists()


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


PAYLOADS = {
    "system": lambda m: (Calls(os.system, f"touch {m}"), f"{os.system.__module__}.system"),
    "popen": lambda m: (
        Calls(subprocess.Popen, ["touch", str(m)]),
        "commands.Popen",
    ),  # its name in protocol 2
    "eval": lambda m: (Calls(eval, f"open({str(m)!r}, 'w')"), "__builtin__.eval"),
    "exec": lambda m: (Calls(exec, f"open({str(m)!r}, 'w')"), "__builtin__.exec"),
    "open": lambda m: (Calls(open, str(m), "w"), "io.open"),
    "getattr": lambda m: (Calls(getattr, Path(m), "touch"), "__builtin__.getattr"),
    "import": lambda m: (Calls(__import__, "os"), "__builtin__.__import__"),
    "torch.load": lambda m: (Calls(torch.load, str(m)), "torch.serialization.load"),
    "torch.save": lambda m: (Calls(torch.save, 1, str(m)), "torch.serialization.save"),
    "torch.hub": lambda m: (Calls(torch.hub.load, str(m)), "torch.hub.load"),
    "bytearray": lambda m: (Calls(bytearray, 10**12), "__builtin__.bytearray"),
    "numpy": lambda m: (np.zeros(2), "_reconstruct"),
    "path": lambda m: (Path(m), "pathlib"),
}


@ZIP_AND_LEGACY
@pytest.mark.parametrize("place", ["net", "beside", "root", "inside net"])
@pytest.mark.parametrize("kind", PAYLOADS)
def test_foreign_global_is_refused_by_name_and_does_not_run(tmp_path, marker, kind, place, zip_form):
    payload, name = PAYLOADS[kind](marker)
    net = {"weight": torch.zeros(2)}
    root = {
        "net": {"net": payload},
        "beside": {"net": net, "settings": payload},
        "root": payload,
        "inside net": {"net": {**net, "x": payload}},
    }[place]
    path = save(root, tmp_path / "hostile.pth", zip_form)
    with pytest.raises(UnsafeCheckpointError, match="the global") as refusal:
        read_pickled(path)
    assert name in str(refusal.value)
    assert "nothing was run" in str(refusal.value)
    assert_one_line(refusal)


def test_payload_of_the_hostile_tests_does_run_under_plain_unpickling(tmp_path):
    ran = tmp_path / "ran"
    path = save({"net": PAYLOADS["system"](ran)[0]}, tmp_path / "hostile.pth")
    torch.load(path, weights_only=False)
    assert ran.exists()


def test_plain_pickle_of_a_payload_is_refused(tmp_path, marker):
    for protocol in range(2, 6):
        path = tmp_path / f"plain{protocol}.pkl"
        path.write_bytes(pickle.dumps(PAYLOADS["system"](marker)[0], protocol))
        with pytest.raises(UnsafeCheckpointError, match="system"):
            read_pickled(path)


def tensor_pickle(
    *, offset=b"K\0", shape=b"K\2\x85", stride=b"K\1\x85", count=b"K\2", key=b"0", kind=b"Float"
):
    """A file `{'net': {'w': tensor}}` with the given fields, each as pickle code."""
    storage = (
        b"(X\7\0\0\0storagectorch\n"
        + kind
        + b"Storage\nX"
        + struct.pack("<I", len(key))
        + key
        + b"X\3\0\0\0cpu"
    )
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + count + b"tQ" + offset + shape + stride
    return b"\x80\x02}X\3\0\0\0net}X\1\0\0\0w" + call + b"\x89ccollections\nOrderedDict\n)RtRss."


def number(value):
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


TENSORS = {
    "shape beyond the storage": ({"shape": b"K\3\x85"}, "reaches beyond"),
    "huge shape": ({"shape": number(10**12) + b"\x85"}, "reaches beyond"),
    "huge shape of stride 0": ({"shape": number(10**12) + b"\x85", "stride": b"K\0\x85"}, "reaches beyond"),
    "offset beyond the storage": ({"offset": b"K\1"}, "reaches beyond"),
    "huge offset": ({"offset": number(2**63)}, "reaches beyond"),
    "stride beyond the storage": ({"stride": b"K\2\x85"}, "reaches beyond"),
    "huge stride of one element": (
        {"shape": b"K\1\x85", "stride": number(2**80) + b"\x85"},
        "reaches beyond",
    ),
    "empty": ({"shape": b"K\0\x85"}, "empty"),
    "shape and stride of other lengths": ({"stride": b")"}, "reaches beyond"),
    "a hundred thousand dimensions": (
        {"shape": b"(" + b"K\1" * 10**5 + b"t", "stride": b"(" + b"K\1" * 10**5 + b"t"},
        "beyond",
    ),
    "negative stride": ({"stride": number(-1) + b"\x85"}, "offset, shape or stride"),
    "negative offset": ({"offset": number(-1)}, "offset, shape or stride"),
    "negative shape": ({"shape": number(-1) + b"\x85"}, "offset, shape or stride"),
    "shape of texts": ({"shape": b"X\1\0\0\0a\x85"}, "offset, shape or stride"),
    "shape of None": ({"shape": b"N"}, "NoneType"),
    "storage of more numbers than it has": (
        {"count": b"K\3", "shape": b"K\3\x85"},
        "must have 12 bytes, has 8",
    ),
    "storage of fewer numbers than it has": (
        {"count": b"K\1", "shape": b"K\1\x85"},
        "must have 4 bytes, has 8",
    ),
    "storage of a wider type": ({"kind": b"Double"}, "must have 16 bytes, has 8"),
    "storage of a negative count": ({"count": number(-2)}, "not a storage"),
    "storage of a huge count": (
        {"count": number(10**15), "shape": number(10**15) + b"\x85"},
        "must have 4000000",
    ),
    "storage that is missing": ({"key": b"1"}, "no item named"),
    "storage by a path": ({"key": b"../../../etc/passwd"}, "no item named"),
    "storage by an absolute path": ({"key": b"/etc/passwd"}, "no item named"),
    "storage of no known type": ({"kind": b"Untyped"}, "torch.UntypedStorage"),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensor_outside_its_storage_is_refused_without_using_memory(tmp_path, kind):
    fields, words = TENSORS[kind]
    path = zip_of(tensor_pickle(**fields), tmp_path / "numbers.pth", [("0", struct.pack("<2f", 1, 2))])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError) as refusal:
        read_pickled(path)
    assert words in str(refusal.value)
    assert_one_line(refusal)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024


def test_handwritten_tensor_inside_its_storage_is_read(tmp_path):
    raw = struct.pack("<6f", *range(6))
    fields = {"offset": b"K\1", "shape": b"K\2K\2\x86", "stride": b"K\3K\1\x86", "count": b"K\6"}
    path = zip_of(tensor_pickle(**fields), tmp_path / "good.pth", [("0", raw)])
    assert read_pickled(path).state_dict["w"].tolist() == [[1.0, 2.0], [4.0, 5.0]]


def test_zip_bombs_are_refused(tmp_path):
    zeros = b"\0" * 10**7
    bomb = zip_of(tensor_pickle(), tmp_path / "deflated.pth", [("0", zeros)], zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="compressed"):
        read_pickled(bomb)
    good = zip_of(tensor_pickle(), tmp_path / "good.pth", [("0", b"\0" * 8)]).read_bytes()
    lying = tmp_path / "lying.pth"
    lying.write_bytes(good.replace(struct.pack("<II", 8, 8), struct.pack("<II", 2**31, 2**31)))
    with pytest.raises(CheckpointError, match="claim more bytes"):
        read_pickled(lying)
    long = zip_of(b"\x80\x02N0" * 3 * 2**20 + b"N.", tmp_path / "long.pth")
    with pytest.raises(CheckpointError, match=f"more than {MAX_PICKLE_BYTES}"):
        read_pickled(long)


def test_encrypted_zip_is_refused(tmp_path):
    path = zip_of(tensor_pickle(), tmp_path / "encrypted.pth", [("0", bytes(8))])
    raw = bytearray(path.read_bytes())
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match="encrypted"):
        read_pickled(path)


def test_foreign_byte_order_is_refused(tmp_path):
    path = tmp_path / "order.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", tensor_pickle())
        archive.writestr("a/data/0", bytes(8))
        archive.writestr("a/byteorder", "big")
    with pytest.raises(CheckpointError, match="byte order little, got 'big'"):
        read_pickled(path)
