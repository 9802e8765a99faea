"""The fuzzing of every reader: a short run of fixed seeds, and proof that each kind of fault is seen."""

import os
import pickle
import random
import tempfile
import time
import warnings
from pathlib import Path

import pytest
from scripts.fuzz import seeds
from scripts.fuzz.kinds import KINDS, read_checkpoint
from scripts.fuzz.mutation import mutate
from scripts.fuzz.runner import ALLOWED, Kind, run_cases

from starktrack.errors import InputError

COUNTS = {name: 40 for name in KINDS if name not in ("checkpoints", "studio")}
"""Checkpoints need an exported network, which takes long to make; their pickles are fuzzed below. The studio answers
messages from a thread of its own and is fuzzed by hand (`python scripts/fuzz studio`)."""


@pytest.mark.parametrize("name", COUNTS)
def test_a_short_run_finds_no_fault(name):
    outcomes = list(run_cases(name, KINDS[name], 0, range(COUNTS[name])))
    assert [each.number for each in outcomes] == list(range(COUNTS[name]))
    assert [each for each in outcomes if each.what not in ALLOWED] == []
    assert {each.what for each in outcomes} <= set(ALLOWED)


def pickled_checkpoints():
    import io

    import torch

    made = {}
    for form in (True, False):
        for name, more in (("good", {}), ("hostile", {"payload": seeds.Payload()})):
            buffer = io.BytesIO()
            net = {"layer.weight": torch.ones(4, 4)}
            torch.save({"net": net, **more}, buffer, _use_new_zipfile_serialization=form)
            made[f"{name}_{form}.pth.tar"] = {f"{name}_{form}.pth.tar": buffer.getvalue()}
    return made


def test_a_short_run_of_pickled_checkpoints_finds_no_fault():
    kind = Kind(pickled_checkpoints, read_checkpoint, KINDS["checkpoints"].prepare)
    outcomes = list(run_cases("checkpoints", kind, 0, range(60)))
    assert [each for each in outcomes if each.what not in ALLOWED] == []


def kind_that(read):
    return Kind(lambda: {"a": {"a": b"content"}}, read)


def outcome_of(read, **limits):
    (outcome,) = run_cases("faults", kind_that(read), 0, [0], **limits)
    return outcome


def unpickle(folder, name, dice):
    pickle.loads(pickle.dumps(seeds.Payload()))


def write_outside(folder, name, dice):
    (folder / "more").write_text("x")


def leave_a_partial_file(folder, name, dice):
    (folder.parent / "out" / ".a.12.partial.csv").write_text("x")


def take_memory(folder, name, dice):
    bytearray(5 << 29)[:: 1 << 12]


def refuse(folder, name, dice):
    raise InputError("no")


FAULTS = {
    "executed": unpickle,
    "half-written": leave_a_partial_file,
    "memory": take_memory,
    "refused": refuse,
    "traceback": lambda folder, name, dice: 1 / 0,
    "died": lambda folder, name, dice: os.abort(),
    "fine": lambda folder, name, dice: None,
}


@pytest.mark.parametrize("what", FAULTS)
def test_each_kind_of_fault_is_seen(what):
    assert outcome_of(FAULTS[what]).what == what


def test_a_file_outside_the_output_is_seen():
    assert outcome_of(write_outside).what == "executed"


def test_a_hang_is_seen_and_the_run_goes_on():
    def read(folder, name, dice):
        if folder.parent.name == "1":
            time.sleep(60)

    outcomes = list(run_cases("faults", kind_that(read), 0, range(3), hang_seconds=0.5))
    assert [each.what for each in outcomes] == ["fine", "hang", "fine"]
    assert "test_runner.py" in outcomes[1].detail


def test_a_case_is_the_same_wherever_it_is_run():
    contents = [b"frame,target,x\n0,0,1\n", seeds.pack({"a.txt": b"1,2,3,4\n"})]
    for name in ("a.csv", "a.zip", "a.mp4"):
        content = contents[name == "a.zip"]
        found = {mutate(content, name, random.Random(7), contents) for _ in range(3)}
        assert len(found) == 1
    different = {mutate(contents[0], "a.csv", random.Random(i), contents) for i in range(50)}
    assert len(different) > 20


def test_the_videos_to_be_damaged_are_the_same_bytes_every_time():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = seeds.videos(), seeds.videos()
    # libx265 shares its work among threads, and its bytes differ from run to run.
    assert {name: first[name] for name in first if name != "hevc.mp4"} == {
        name: second[name] for name in second if name != "hevc.mp4"
    }


def test_no_input_is_left_behind():
    place = Path(tempfile.gettempdir())
    before = set(place.glob("fuzz_*"))
    list(run_cases("faults", kind_that(refuse), 0, range(3)))
    assert set(place.glob("fuzz_*")) - before == set()
