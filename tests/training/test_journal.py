import json
import time

import pytest

from starktrack.training.journal import Journal, Stopwatch, read_journal


def test_records_are_lines_of_json_and_told_to_the_listener(tmp_path):
    told = []
    journal = Journal(tmp_path, 0, tell=told.append)
    journal.write("train", step=1, loss=0.5)
    journal.write("validation", step=1, success=0.25)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == told
    assert told[0] == {"kind": "train", "step": 1, "loss": 0.5}


def test_records_after_the_checkpoint_are_dropped_when_a_run_goes_on(tmp_path):
    journal = Journal(tmp_path, 0)
    for step in range(1, 6):
        journal.write("train", step=step, loss=1.0 / step)
    with journal.path.open("a") as file:
        file.write('{"kind": "train", "st')
    again = Journal(tmp_path, 3)
    again.write("train", step=4, loss=9.0)
    assert [record["step"] for record in read_journal(again.path)] == [1, 2, 3, 4]
    assert read_journal(again.path)[-1]["loss"] == 9.0


def test_a_journal_that_is_not_there_is_empty(tmp_path):
    assert read_journal(tmp_path / "metrics.jsonl") == []


def test_the_stopwatch_tells_waiting_from_working():
    watch = Stopwatch()
    assert watch.wait_for(lambda: time.sleep(0.05) or "batch") == "batch"
    time.sleep(0.05)
    watch.num_samples = 10
    read = watch.read()
    assert 0.2 < read["waiting"] < 0.8 and 20 < read["samples_per_second"] <= 100
    assert watch.read()["waiting"] == 0


def test_tensorboard_files_are_written_on_request(tmp_path):
    pytest.importorskip("tensorboard")
    journal = Journal(tmp_path, 0, tensorboard=True)
    journal.write("train", step=1, loss=0.5)
    journal.close()
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


def test_tensorboard_that_is_not_installed_is_named_with_its_extra(tmp_path, monkeypatch):
    import sys

    from starktrack.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r'pip install "starktrack\[tensorboard\]"'):
        Journal(tmp_path, 0, tensorboard=True)


def test_numbers_that_json_does_not_know_become_null(tmp_path):
    journal = Journal(tmp_path, 0)
    journal.write("train", step=1, loss=0.5, gradient_norm=float("inf"), overlap=float("nan"))
    (line,) = journal.path.read_text().splitlines()

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    assert json.loads(line, parse_constant=refuse) == {
        "kind": "train",
        "step": 1,
        "loss": 0.5,
        "gradient_norm": None,
        "overlap": None,
    }


def test_an_unfinished_record_of_the_last_step_is_written_anew(tmp_path):
    journal = Journal(tmp_path, 0)
    for step in (1, 2):
        journal.write("train", step=step)
        journal.write("validation", step=step)
    again = Journal(tmp_path, 2, unfinished="validation")
    kept = [(record["kind"], record["step"]) for record in read_journal(again.path)]
    assert kept == [("train", 1), ("validation", 1), ("train", 2)]
