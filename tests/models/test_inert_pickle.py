"""The pickle machine makes notes; every way to make it do more is refused."""

from io import BytesIO

import pytest

from starktrack.errors import CheckpointError
from starktrack.models.inert_pickle import Inert, Storage, StoredTensor, read_inert

STORAGE = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\6tQ"


def test_containers_and_numbers_come_out_as_they_are():
    items = b"X\1\0\0\0a](K\1G\x3f\xf8\0\0\0\0\0\0eX\1\0\0\0b(\x88\x89NtK\5ccollections\nOrderedDict\n)R"
    raw = b"\x80\x02}(" + items + b"u."
    assert read_inert(BytesIO(raw)).root == {"a": [1, 1.5], "b": (True, False, None), 5: {}}


def test_tensor_becomes_a_note_of_its_storage():
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\1K\2K\2\x86K\3K\1\x86\x89NtR"
    read = read_inert(BytesIO(b"\x80\x02" + call + b"."))
    storage = Storage("float32", "0", 6)
    assert read.root == StoredTensor(storage, 1, (2, 2), (3, 1))
    assert read.storages == {"0": storage}


def test_object_of_the_authors_becomes_its_class_name_and_loses_its_state():
    raw = b"\x80\x02clib.train.admin.stats\nAverageMeter\n)\x81}X\3\0\0\0avgK\1sb."
    assert read_inert(BytesIO(raw)).root == Inert("AverageMeter")


def test_several_pickles_in_a_row_are_read_one_by_one():
    stream = BytesIO(b"\x80\x02K\1.\x80\x02K\2.rest")
    assert [read_inert(stream).root for _ in range(2)] == [1, 2]
    assert stream.read() == b"rest"


RAW_PICKLES = {
    "GLOBAL with a dotted name": (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2.__globals__\n.", "__globals__"),
    "GLOBAL through a module": (b"\x80\x02ctorch\n_utils._rebuild_tensor_v2\n.", "_utils._rebuild_tensor_v2"),
    "GLOBAL of OrderedDict's reduce": (
        b"\x80\x02ccollections\nOrderedDict.__reduce__\n.",
        "OrderedDict.__reduce__",
    ),
    "GLOBAL with a blank": (b"\x80\x02cos system\n\n.", "os.system"),
    "GLOBAL on Windows": (b"\x80\x02cnt\nsystem\nX\x04\0\0\0echo\x85R.", "nt.system"),
    "STACK_GLOBAL": (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "posix.system"),
    "STACK_GLOBAL with a dotted name": (
        b"\x80\x04\x8c\x05torch\x8c\x0dhub.os.system\x93.",
        "torch.hub.os.system",
    ),
    "STACK_GLOBAL from the memo": (
        b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94h\x00h\x01\x93.",
        "posix.system",
    ),
    "STACK_GLOBAL of no texts": (b"\x80\x04K\x01K\x02\x93.", "not a text"),
    "INST": (b"\x80\x02(S'echo'\nios\nsystem\n.", "STRING"),
    "INST without text": (b"\x80\x02(ios\nsystem\n.", "INST with 'os system'"),
    "OBJ": (b"\x80\x02(clib.train.admin.settings\nSettings\no.", "OBJ"),
    "EXT1": (b"\x80\x02\x82\x01.", "EXT1"),
    "EXT2": (b"\x80\x02\x83\x01\x01.", "EXT2"),
    "EXT4": (b"\x80\x02\x84\x01\x01\x01\x01.", "EXT4"),
    "NEWOBJ_EX": (b"\x80\x04\x92.", "NEWOBJ_EX"),
    "PERSID": (b"\x80\x02Pstorage\n.", "PERSID"),
    "call of a number": (b"\x80\x02K\x01)R.", "call of something"),
    "call of a tensor note": (b"\x80\x02ctorch\nFloatStorage\n)R)R.", "made by a call"),
    "call of a result": (b"\x80\x02ccollections\nOrderedDict\n)R)R.", "call of something"),
    "call with no tuple": (b"\x80\x02ccollections\nOrderedDict\n]R.", "call of something"),
    "OrderedDict of items": (b"\x80\x02ccollections\nOrderedDict\n]\x85R.", "positional argument"),
    "NEWOBJ of a payload": (b"\x80\x02csubprocess\nPopen\n)\x81.", "subprocess.Popen"),
    "persistent text": (b"\x80\x02X\x01\0\0\0xQ.", "not a storage"),
    "persistent module": (b"\x80\x02(X\x06\0\0\0moduleK\x01K\x02tQ.", "not a storage"),
    "persistent storage of a class": (
        b"\x80\x02(X\x07\0\0\0storageclib.train.admin.settings\nSettings\nX\1\0\0\0\x30X\3\0\0\0cpuK\1tQ.",
        "not a storage",
    ),
    "a key that is a list": (b"\x80\x02}]K\x01s.", "key of type list"),
    "items set on a list": (b"\x80\x02]K\x01K\x02s.", "not a dictionary"),
    "items set on a function": (b"\x80\x02ccollections\nOrderedDict\nK\x01K\x02s.", "not a dictionary"),
    "items appended to a dictionary": (b"\x80\x02}K\x01a.", "not a list"),
    "stack underflow": (b"\x80\x02R.", "pop from empty list"),
    "no mark": (b"\x80\x02t.", "pop from empty list"),
    "unknown memo": (b"\x80\x02h\x07.", "damaged one ('7')"),
    "nothing": (b"\x80\x02.", "pop from empty list"),
    "no end": (b"\x80\x02}", "STOP"),
    "a text that claims 4 GB": (b"\x80\x02X\xff\xff\xff\xff.", "expected 4294967295 bytes"),
    "bytes that claim 2**63": (
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        "expected 9223372036854775807",
    ),
    "a global with a line break in its name": (b"\x80\x04\x8c\x04a\nb\x1b\x8c\x01x\x93.", "a\\nb\\x1b.x"),
}


@pytest.mark.parametrize("kind", RAW_PICKLES)
def test_crafted_pickle_is_refused_in_one_line(kind):
    raw, words = RAW_PICKLES[kind]
    with pytest.raises(CheckpointError) as refusal:
        read_inert(BytesIO(raw))
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_tuple_nested_too_deep_to_hash_is_refused_as_a_key():
    with pytest.raises(CheckpointError, match="key of type tuple"):
        read_inert(BytesIO(b"\x80\x02})" + b"\x85" * 10**5 + b"K\1s."))


def test_doubling_through_the_memo_shares_memory():
    doubled = read_inert(BytesIO(b"\x80\x02X\1\0\0\0x" + b"q\0h\0\x86" * 2000 + b".")).root
    assert doubled[0] is doubled[1]
