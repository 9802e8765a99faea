import json
import time

import pytest

from starktrack.training.metrics_log import MetricsLog, Stopwatch, read_metrics


def test_records_are_lines_of_json_and_told_to_the_listener(tmp_path):
    received = []
    metrics_log = MetricsLog(tmp_path, 0, callback=received.append)
    metrics_log.write("train", step=1, loss=0.5)
    metrics_log.write("validation", step=1, success=0.25)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == received
    assert received[0] == {"kind": "train", "step": 1, "loss": 0.5}


def test_records_after_the_checkpoint_are_dropped_when_a_run_goes_on(tmp_path):
    metrics_log = MetricsLog(tmp_path, 0)
    for step in range(1, 6):
        metrics_log.write("train", step=step, loss=1.0 / step)
    with metrics_log.path.open("a") as file:
        file.write('{"kind": "train", "st')
    again = MetricsLog(tmp_path, 3)
    again.write("train", step=4, loss=9.0)
    assert [record["step"] for record in read_metrics(again.path)] == [1, 2, 3, 4]
    assert read_metrics(again.path)[-1]["loss"] == 9.0


def test_a_log_that_is_not_there_is_empty(tmp_path):
    assert read_metrics(tmp_path / "metrics.jsonl") == []


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
    metrics_log = MetricsLog(tmp_path, 0, tensorboard=True)
    metrics_log.write("train", step=1, loss=0.5)
    metrics_log.close()
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


def test_tensorboard_that_is_not_installed_is_named_with_its_extra(tmp_path, monkeypatch):
    import sys

    from starktrack.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r'pip install "starktrack\[tensorboard\]"'):
        MetricsLog(tmp_path, 0, tensorboard=True)


def test_numbers_that_json_does_not_know_become_null(tmp_path):
    metrics_log = MetricsLog(tmp_path, 0)
    metrics_log.write("train", step=1, loss=0.5, gradient_norm=float("inf"), overlap=float("nan"))
    (line,) = metrics_log.path.read_text().splitlines()

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
    metrics_log = MetricsLog(tmp_path, 0)
    for step in (1, 2):
        metrics_log.write("train", step=step)
        metrics_log.write("validation", step=step)
    again = MetricsLog(tmp_path, 2, unfinished="validation")
    kept = [(record["kind"], record["step"]) for record in read_metrics(again.path)]
    assert kept == [("train", 1), ("validation", 1), ("train", 2)]
