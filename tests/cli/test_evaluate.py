"""The command as people run it, on a miniature OTB, with a tracker of one's own and a tiny network."""

import json
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from tests.cli.mini_otb import LENGTHS, NAMES, command, environment, results, run
from typer.testing import CliRunner

from starktrack.cli.main import app


def test_one_command_tracks_scores_and_resumes(work):
    first = run(work, "--tracker", "right=mine:Right", "--tracker", "mine:Still", "--per-sequence")
    assert first.returncode == 0, first.stderr
    rows = {line.split()[0]: line.split() for line in first.stdout.splitlines() if line.strip()}
    # The overlap of a perfect box is 1, above 20 of the 21 thresholds.
    assert "95.24" in rows["right"]
    assert "mine.Still" in rows
    assert set(NAMES) <= set(rows)
    assert set(results(work, "right")) == set(NAMES)
    metadata = json.loads((work / "results/otb_test/right/run.json").read_text())
    assert (metadata["tracker"], metadata["dataset"], metadata["split"]) == ("mine:Right", "otb", "test")
    assert metadata["annotation"] == "groundtruth_rect.txt"
    calls = (work / "calls").stat().st_size
    again = run(work, "--tracker", "right=mine:Right", "--tracker", "mine:Still")
    assert again.returncode == 0
    assert (work / "calls").stat().st_size == calls, "a finished sequence was tracked again"
    assert "all 4 sequences were finished before" in again.stderr
    assert rows["right"] in [line.split() for line in again.stdout.splitlines()]


def row_without_speed(text):
    (row,) = [line.split()[:-1] for line in text.splitlines() if "mine.Slow" in line]
    return row


def test_a_killed_run_goes_on_and_ends_with_the_same_files(work):
    whole = run(work, "--tracker", "mine:Slow", "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    process = subprocess.Popen(
        command("--tracker", "mine:Slow"), cwd=work, env=environment(work), stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while len(results(work, "mine.Slow")) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = results(work, "mine.Slow")
    assert 2 <= len(finished) < 4
    (work / "calls").unlink()
    resumed = run(work, "--tracker", "mine:Slow")
    assert resumed.returncode == 0, resumed.stderr
    missing = [length for name, length in zip(NAMES, LENGTHS, strict=True) if name not in finished]
    assert (work / "calls").stat().st_size == sum(length - 1 for length in missing)
    same = {name: (work / "whole/otb_test/mine.Slow" / f"{name}.txt").read_text() for name in NAMES}
    assert results(work, "mine.Slow") == same
    assert row_without_speed(resumed.stdout) == row_without_speed(whole.stdout)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_crash_of_one_sequence_is_reported_and_the_others_are_finished(work, workers):
    ended = run(work, "--tracker", "mine:Crashing", "--workers", workers)
    assert ended.returncode == 1
    assert "failed: mine.Crashing on BlurBody, frame 1: RuntimeError: lost my mind" in ended.stderr
    assert sorted(results(work, "mine.Crashing")) == sorted(NAMES[:3])
    text = (work / "results/otb_test/mine.Crashing/failed/BlurBody.txt").read_text()
    assert 'raise RuntimeError("lost my mind")' in text
    assert "3 of 4 sequences are finished" in ended.stderr
    assert "3 sequences" in ended.stdout


def test_workers_that_die_are_reported(work):
    ended = run(work, "--tracker", "mine:deadly", "--workers", "2")
    assert ended.returncode == 1
    assert "worker 0: the worker process ended with code 9" in ended.stderr
    assert "unfinished: Basketball, Bird1" in ended.stderr


def test_machines_do_their_shares_and_the_first_one_has_the_table(work):
    first = run(work, "--tracker", "mine:Right", RANK="0", WORLD_SIZE="2")
    assert first.returncode == 0, first.stderr
    assert sorted(results(work, "mine.Right")) == ["Basketball", "Bird1"]
    second = run(work, "--tracker", "mine:Right", RANK="1", WORLD_SIZE="2")
    assert sorted(results(work, "mine.Right")) == sorted(NAMES)
    assert second.stdout == ""


def test_a_tracker_whose_source_changed_is_refused(work):
    assert run(work, "--tracker", "mine:Right", "--sequence", "Bird1").returncode == 0
    with (work / "mine.py").open("a") as file:
        file.write("VERSION = 2\n")
    other = run(work, "--tracker", "mine:Right")
    assert other.returncode == 1
    assert "another run (source was " in other.stderr


def test_nanotrack_is_described_by_its_files_and_opencv(tmp_path):
    import hashlib

    from starktrack.workflows.trackers import RunSettings, TrackerSpec, describe_tracker

    for part in ("backbone", "head"):
        (tmp_path / f"nano_{part}.onnx").write_text(part)
    metadata = describe_tracker(TrackerSpec("n", plugin="nanotrack"), "otb", RunSettings(nanotrack=tmp_path))
    assert metadata["nano_head.onnx"] == hashlib.sha256(b"head").hexdigest()
    assert metadata["nano_backbone.onnx"] == hashlib.sha256(b"backbone").hexdigest()
    assert metadata["opencv"] == cv2.__version__


def test_refined_results_have_a_name_of_their_own(work):
    plain = run(work, "--tracker", "right=mine:Right")
    assert plain.returncode == 0, plain.stderr
    refined = run(work, "--tracker", "right=mine:Right", "--refine", "refine_mobile", "--device", "cpu")
    assert refined.returncode == 0, refined.stderr
    assert "right+refine_mobile" in refined.stdout
    before, after = results(work, "right"), results(work, "right+refine_mobile")
    assert set(before) == set(after) == set(NAMES)
    for name in NAMES:
        first, later = (text.splitlines() for text in (before[name], after[name]))
        assert len(first) == len(later) and first[0] == later[0] and first[1:] != later[1:]
    metadata = json.loads((work / "results/otb_test/right+refine_mobile/run.json").read_text())
    assert metadata["refine"] == "refine_mobile.onnx" and len(metadata["refine_weights"]) == 64
    mixed = run(work, "--tracker", "right+refine_mobile=mine:Right")
    assert mixed.returncode == 1 and "another run (refine was 'refine_mobile.onnx' there" in mixed.stderr
    absent = run(work, "--tracker", "right=mine:Right", "--refine", "none.safetensors")
    assert absent.returncode == 1
    assert "--refine must be a refiner's weights or the name of one" in absent.stderr
    assert not (work / "results/otb_test/right+none").exists()


def test_a_refiner_is_described_by_its_file(tmp_path):
    from starktrack.workflows.trackers import RunSettings, TrackerSpec, describe_tracker

    (tmp_path / "r.safetensors").write_bytes(b"one")
    spec = TrackerSpec("k", plugin="mil", refine=str(tmp_path / "r.safetensors"))
    before = describe_tracker(spec, "vot", RunSettings())
    (tmp_path / "r.safetensors").write_bytes(b"two")
    assert describe_tracker(spec, "vot", RunSettings())["refine_weights"] != before["refine_weights"]


def test_whole_pixels_are_written_on_request(work):
    assert run(work, "--tracker", "mine:Right", "--integer").returncode == 0
    assert (
        results(work, "mine.Right")["Bird1"]
        == "10\t10\t14\t12\n12\t10\t14\t12\n14\t10\t14\t12\n16\t10\t14\t12\n"
    )
    other = run(work, "--tracker", "mine:Right")
    assert other.returncode == 1
    assert "another run (integer was True there, and is False now)" in other.stderr


@pytest.fixture(scope="module")
def tiny_weights(tmp_path_factory):
    import torch
    from tests.training.tiny import tiny_config

    from starktrack.models.build import build_network
    from starktrack.models.weights import save_weights

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, build_network(tiny_config().model).state_dict(), tiny_config())
    return path


def test_a_network_gives_the_same_results_batched_one_by_one_and_with_workers(
    work, tiny_weights, monkeypatch
):
    monkeypatch.chdir(work)

    def here(name, batch):
        arguments = ["--weights", f"{name}={tiny_weights}", "--device", "cpu", "--batch", str(batch)]
        assert CliRunner().invoke(app, command(*arguments)[3:]).exit_code == 0

    def boxes(name):
        folder = work / "results" / "otb_test" / name
        return np.concatenate([np.loadtxt(folder / f"{each}.txt", delimiter=",") for each in NAMES])

    here("alone", 1)
    here("batched", 3)
    ended = run(work, "--weights", f"shared={tiny_weights}", "--device", "cpu", "--workers", "2")
    assert ended.returncode == 0, ended.stderr
    assert boxes("alone").shape == (26, 4)
    np.testing.assert_allclose(boxes("batched"), boxes("alone"), atol=1e-3)
    np.testing.assert_allclose(boxes("shared"), boxes("alone"), atol=1e-3)
    metadata = json.loads((work / "results/otb_test/alone/run.json").read_text())
    assert len(metadata["weights"]) == 64
    assert metadata["config"]["tracking"]["update_interval"] == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tracker", "kfc"], "must be module:factory or one of ours, got 'kfc'; did you mean 'kcf'?"),
        (["--tracker", "mine:Missing"], "mine has no Missing() to call"),
        (["--tracker", "nowhere:Tracker"], "a tracker's module must be importable, nowhere is not"),
        (["--tracker", "nanotrack"], "nanotrack needs the folder of its two ONNX files"),
        (
            ["--tracker", "nanotrack", "--nanotrack", "data"],
            "NanoTrack needs one file *backbone*.onnx in data",
        ),
        (["--tracker", "mine:Still", "--tracker", "mine:Still"], "trackers must differ in name"),
        (
            ["--tracker", "mine:Still", "--sequence", "Bird"],
            "has no sequence 'Bird' here; did you mean 'Bird1'?",
        ),
        ([], "an evaluation needs a tracker, got none"),
        (
            ["--tracker", "mine:Still", "--set", "tracking.update_interval=5"],
            "--set changes networks of ours, got --set tracking.update_interval=5 and only mine.Still",
        ),
        (
            ["--weights", "gone.safetensors"],
            "weights must be a file written by starktrack, gone.safetensors is no such file",
        ),
    ],
)
def test_a_wrong_request_is_one_line(starktrack, work, monkeypatch, arguments, message):
    monkeypatch.chdir(work)
    monkeypatch.setattr(sys, "path", list(sys.path))
    ended = starktrack(*command(*arguments)[3:])
    assert ended.code == 1
    assert message in ended.err
    assert ended.err.count("\n") == 1


def test_an_unknown_data_set_and_a_missing_sequence_are_one_line(starktrack, work, monkeypatch):
    monkeypatch.chdir(work)
    for arguments, message in (
        (["otb1", "--root", "data"], "unknown data set 'otb1'; did you mean 'otb'?"),
        (["otb", "--root", "data"], "must hold all 100 sequences of otb test, 96 are missing"),
        (["otb", "--root", "nowhere"], "nowhere is neither"),
    ):
        ended = starktrack("evaluate", *arguments, "--tracker", "mil")
        assert ended.code == 1
        assert message in ended.err
        assert ended.err.count("\n") == 1


def test_a_preset_among_the_trackers_stands_for_its_weights_of_the_package(work):
    setting = ("--set", "tracking.update_interval=7")
    ended = run(work, "--tracker", "stark_mobile", "--tracker", "mine:Right", *setting)
    assert ended.returncode == 0, ended.stderr
    metadata = json.loads((work / "results/otb_test/stark_mobile/run.json").read_text())
    assert metadata["config"]["tracking"]["update_interval"] == 7
    assert "stark_mobile" in ended.stdout and sorted(results(work, "stark_mobile")) == sorted(NAMES)
    refused = run(work, "--tracker", "stark_s50")
    assert refused.returncode == 1 and "stark_s50 needs weights" in refused.stderr


def test_a_damaged_result_file_is_named(work):
    assert run(work, "--tracker", "mine:Right").returncode == 0
    (work / "results/otb_test/mine.Right/Biker.txt").write_text("1,2,3\n")
    ended = run(work, "--tracker", "mine:Right")
    assert ended.returncode == 1
    assert "Biker.txt line 1 must hold 4 numbers x,y,w,h" in ended.stderr
