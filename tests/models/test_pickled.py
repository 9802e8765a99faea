"""The authors' pickled files are read as torch reads them; broken ones and other files are refused."""

import pickle
import random
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from starktrack.errors import CheckpointError, UnsafeCheckpointError
from starktrack.models.pickled import read_pickled

ZIP_AND_LEGACY = pytest.mark.parametrize("zip_form", [True, False], ids=["zip", "legacy"])


def save(value, path, zip_form=True, **options):
    torch.save(value, path, _use_new_zipfile_serialization=zip_form, **options)
    return path


def assert_one_line(refusal):
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 600


@pytest.fixture
def authors(monkeypatch):
    """Classes by the authors' names, importable only while a file is written."""
    classes = {}
    for module, name in [
        ("lib.train.admin.settings", "Settings"),
        ("lib.train.admin.local", "EnvironmentSettings"),
        ("lib.train.admin.stats", "AverageMeter"),
        ("lib.train.admin.stats", "StatValue"),
    ]:
        classes[name] = type(name, (), {"__module__": module})
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            full = ".".join(parts[:end])
            monkeypatch.setitem(sys.modules, full, sys.modules.get(full) or types.ModuleType(full))
        setattr(sys.modules[module], name, classes[name])
    yield classes


def make(cls, **attributes):
    instance = cls()
    vars(instance).update(attributes)
    return instance


@pytest.fixture
def official(authors):
    """A checkpoint with everything that the authors' save routine puts beside the network."""
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    network(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    settings = make(
        authors["Settings"],
        env=make(authors["EnvironmentSettings"], workspace_dir="/home/somebody", lmdb=None),
        device=torch.device("cuda:0"),
        batchsize=16,
        grad_clip_norm=0.1,
        use_gpu=True,
        shape=torch.Size([3, 2]),
    )
    meters = OrderedDict(
        {
            "Loss/total": make(authors["AverageMeter"], val=1.5, avg=1.25, history=[2.0, 1.25], count=7),
            "LearningRate/group0": make(authors["StatValue"], val=1e-4, history=[1e-4]),
        }
    )
    return {
        "epoch": 50,
        "actor_type": "STARKSTActor",
        "net_type": "STARKST",
        "net": network.state_dict(),
        "net_info": None,
        "constructor": None,
        "optimizer": optimizer.state_dict(),
        "stats": OrderedDict(train=meters, val=None),
        "settings": settings,
    }


def assert_same(ours, theirs):
    assert list(ours) == list(theirs)
    assert len(ours) > 0
    for key, tensor in theirs.items():
        assert ours[key].dtype == tensor.dtype, key
        assert ours[key].shape == tensor.shape, key
        assert torch.equal(ours[key], tensor.detach()), key


@ZIP_AND_LEGACY
def test_official_file_gives_its_network_and_what_it_says_of_it(tmp_path, official, zip_form, monkeypatch):
    path = save(official, tmp_path / "STARKST_ep0050.pth.tar", zip_form)
    for name in [name for name in sys.modules if name == "lib" or name.startswith("lib.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError):
        torch.load(path, weights_only=False)

    checkpoint = read_pickled(path)

    assert (checkpoint.net_type, checkpoint.epoch) == ("STARKST", 50)
    assert_same(checkpoint.state_dict, official["net"])
    assert not any(name.startswith("lib.") for name in sys.modules)


@ZIP_AND_LEGACY
def test_bare_state_dict_gives_its_tensors_and_no_net_type(tmp_path, zip_form):
    path = save(OrderedDict(weight=torch.tensor([[1.0, 2.0], [3.0, 4.0]])), tmp_path / "bare.pth", zip_form)
    checkpoint = read_pickled(path)
    assert (checkpoint.net_type, checkpoint.epoch) == (None, None)
    assert checkpoint.state_dict["weight"].tolist() == [[1.0, 2.0], [3.0, 4.0]]


@ZIP_AND_LEGACY
def test_every_layout_and_dtype_is_read_as_torch_reads_it(tmp_path, zip_form):
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "transposed": base.t(),
        "strided": base[1:3, ::2],
        "shared": base,
        "scalar": torch.tensor(3),
        "expanded": base[0, :1].expand(4, 1),
        "parameter": torch.nn.Parameter(torch.randn(2, 3)),
        **{
            str(dtype): torch.arange(5).to(dtype)
            for dtype in (
                torch.bfloat16,
                torch.bool,
                torch.uint8,
                torch.int8,
                torch.float64,
                torch.float32,
                torch.float16,
                torch.int32,
                torch.int64,
                torch.int16,
            )
        },
    }
    path = save({"net": tensors}, tmp_path / "layouts.pth", zip_form)
    ours = read_pickled(path).state_dict
    assert len(ours) == 16
    assert_same(ours, torch.load(path, weights_only=True)["net"])
    assert ours["transposed"].untyped_storage().data_ptr() == ours["shared"].untyped_storage().data_ptr()


def test_pickle_protocol_4_is_read_too(tmp_path):
    tensors = OrderedDict(weight=torch.arange(3.0))
    path = save({"net": tensors}, tmp_path / "protocol4.pth", pickle_protocol=4)
    assert_same(read_pickled(path).state_dict, tensors)


class SetsState:
    def __init__(self, call, state):
        self.parts = (*call, state)

    def __reduce__(self):
        return self.parts


def test_state_given_to_an_allowed_class_changes_nothing(tmp_path, authors):
    poison = dict.fromkeys(["__class__", "__setstate__", "__dict__", "__reduce__"], "x")
    ordered = SetsState((OrderedDict, ()), (poison, poison))
    meter = SetsState((authors["AverageMeter"], ()), (poison, poison))
    shape = SetsState((torch.Size, ([1],)), poison)
    net = {"weight": torch.ones(1)}
    path = save({"net": net, "stats": [ordered, meter, shape]}, tmp_path / "state.pth")
    assert_same(read_pickled(path).state_dict, net)
    assert OrderedDict(a=1) == {"a": 1}


@ZIP_AND_LEGACY
def test_truncated_file_is_refused_at_every_length(tmp_path, official, zip_form):
    whole = save(official, tmp_path / "whole.pth", zip_form).read_bytes()
    path = tmp_path / "cut.pth"
    lengths = sorted({*range(0, len(whole), max(1, len(whole) // 60)), len(whole) - 1})
    for length in lengths:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError) as refusal:
            read_pickled(path)
        assert_one_line(refusal)
    assert len(lengths) > 50


@ZIP_AND_LEGACY
def test_flipped_bytes_never_escape_the_error_tree(tmp_path, official, zip_form):
    whole = save(official, tmp_path / "whole.pth", zip_form).read_bytes()
    path, generator, refused = tmp_path / "flipped.pth", random.Random(7), 0
    for _ in range(300):
        broken = bytearray(whole)
        for _ in range(generator.randint(1, 4)):
            broken[generator.randrange(len(broken))] = generator.randrange(256)
        path.write_bytes(broken)
        try:
            read_pickled(path)
        except CheckpointError:
            refused += 1
    assert refused > 100


NOT_CHECKPOINTS = {
    "empty": (b"", "an empty one"),
    "text": (b"config = 1\nyes\n", "starts with b'conf'"),
    "random": (bytes(random.Random(3).randbytes(4096)), "written by torch.save"),
    "random after a pickle's first byte": (b"\x80\x02" + random.Random(4).randbytes(999), "must"),
    "plain pickle": (pickle.dumps({"net": 1}, 2), "another pickle"),
    "two plain pickles": (pickle.dumps({"net": 1}, 2) * 2, "another pickle"),
    "magic and another version": (
        pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(9, 2),
        "another pickle",
    ),
    "head of a zip": (b"PK\x03\x04" + bytes(50), "not a zip file"),
}


@pytest.mark.parametrize("kind", NOT_CHECKPOINTS)
def test_file_that_is_no_checkpoint_is_refused(tmp_path, kind):
    raw, words = NOT_CHECKPOINTS[kind]
    path = tmp_path / "something.pth"
    path.write_bytes(raw)
    with pytest.raises(CheckpointError) as refusal:
        read_pickled(path)
    assert words in str(refusal.value)
    assert_one_line(refusal)


def test_zip_of_something_else_is_refused(tmp_path):
    path = tmp_path / "documents.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/b/data.pkl", "x")
        archive.writestr("/data.pkl", "x")
        archive.writestr("a/readme.txt", "x")
    with pytest.raises(CheckpointError, match=r"with 0 entries \*/data.pkl"):
        read_pickled(path)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.pth: .*No such file or directory; check the path"):
        read_pickled(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="Is a directory"):
        read_pickled(tmp_path)


def test_legacy_file_with_a_wrong_storage_length_is_refused(tmp_path):
    path = save({"net": {"w": torch.ones(2)}}, tmp_path / "legacy.pth", zip_form=False)
    good, eight = path.read_bytes(), struct.pack("<q", 2) + struct.pack("<2f", 1, 1)
    assert good.endswith(eight)
    path.write_bytes(good[: -len(eight)] + struct.pack("<q", 3) + struct.pack("<2f", 1, 1))
    with pytest.raises(CheckpointError, match="does not begin with its length"):
        read_pickled(path)


@ZIP_AND_LEGACY
@pytest.mark.parametrize("key", ["net", "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_what_tools_wrap_around_a_network_is_taken_off(tmp_path, key, prefix, zip_form):
    root = {key: {f"{prefix}w": torch.ones(2), f"{prefix}module.b": torch.ones(1)}, "epoch": 7}
    checkpoint = read_pickled(save(root, tmp_path / "wrapped.pth", zip_form))
    assert list(checkpoint.state_dict) == ["w", "module.b"] and checkpoint.epoch == 7


@ZIP_AND_LEGACY
def test_numbers_of_numpy_beside_the_network_are_passed_over(tmp_path, zip_form):
    root = {"net": {"w": torch.ones(2)}, "best": np.float64(0.7), "step": np.int64(3), "ok": np.bool_(True)}
    assert list(read_pickled(save(root, tmp_path / "scalars.pth", zip_form)).state_dict) == ["w"]


@ZIP_AND_LEGACY
@pytest.mark.parametrize(
    ("root", "words"),
    [
        ({"weights": {"w": torch.ones(1)}, "epoch": 3}, "got the keys 'weights', 'epoch'; give"),
        ({"net": {}}, "under net, state_dict, model"),
        ({"net": None}, "under net, state_dict, model"),
        ({"net": {"a": 1.5}}, "under net, state_dict, model"),
        ({"net": {"a": torch.ones(1), "b": 1.5}}, "got float at 'b'"),
        ({"net": {"a": torch.ones(1), 5: torch.ones(1)}}, "got StoredTensor at 5"),
        ({"net": {"a": torch.ones(1), "d": torch.device("cpu")}}, "got torch.device at 'd'"),
        ({"a": torch.ones(1), "meta": "x"}, "got str at 'meta'"),
        ([torch.ones(1)], "a pickled list"),
    ],
)
def test_file_without_a_network_is_refused_by_what_it_holds(tmp_path, root, words, zip_form):
    path = save(root, tmp_path / "other.pth", zip_form)
    with pytest.raises(CheckpointError) as refusal:
        read_pickled(path)
    assert words in str(refusal.value)
    assert not isinstance(refusal.value, UnsafeCheckpointError)
    assert_one_line(refusal)
