import zipfile

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from starktrack.cli.submit import submit
from starktrack.errors import ConfigError, InputError, ResultFileError
from starktrack.evaluation.result_files import TrackerResults, read_results
from starktrack.evaluation.submission import (
    SERVERS,
    FirstFrame,
    Server,
    server,
    submission_problems,
    write_submission,
)

NAMES = ["GOT-10k_Test_000001", "GOT-10k_Test_000002"]
FIRST = np.array([[10.0, 20, 30, 40]])


def small(benchmark):
    whole = server(benchmark)
    return Server(2, whole.boxes_name, whole.times_name)


def published(num_frames=None):
    return [FirstFrame(name, FIRST[0], num_frames) for name in NAMES]


def results(**changes):
    boxes = np.concatenate([FIRST, FIRST + 1.5, FIRST + 2])
    submitted = {name: boxes for name in NAMES} | changes
    return TrackerResults(submitted, {name: np.full(len(boxes), 0.04) for name, boxes in submitted.items()})


@pytest.mark.parametrize(
    ("benchmark", "members"),
    [
        ("got10k", [f"{name}/{name}_{end}.txt" for name in NAMES for end in ("001", "time")]),
        ("trackingnet", [f"{name}.txt" for name in NAMES]),
    ],
)
def test_a_written_zip_has_the_servers_layout_and_no_problems(tmp_path, benchmark, members):
    path = tmp_path / "out.zip"
    write_submission(small(benchmark), results(), path)
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == members
    assert submission_problems(small(benchmark), path, published(3)) == []
    assert read_results(path, NAMES).boxes_xywh[NAMES[1]][1].tolist() == [11.5, 21.5, 31.5, 41.5]


def test_times_are_needed_where_the_server_wants_them(tmp_path):
    with pytest.raises(ResultFileError, match=f"got none for {NAMES[0]}"):
        write_submission(small("got10k"), TrackerResults({NAMES[0]: FIRST}, {}), tmp_path / "out.zip")


@pytest.mark.parametrize(
    ("member", "text", "message"),
    [
        ("{name}.txt", None, "is missing"),
        ("{name}.txt", "10\t20\t30\t40\n", "commas only"),
        ("{name}.txt", "10, 20, 30, 40\n", "commas only"),
        ("{name}.txt", "10,20,30\n", "must hold 4 numbers x,y,w,h"),
        ("{name}.txt", "", "empty file"),
        ("{name}.txt", "10,20,30,40\nnan,1,1,1\n1,1,1,1\n", "finite numbers"),
        ("{name}.txt", "10,20,30,40\n1,1,-1,1\n1,1,1,1\n", "no negative size"),
        ("{name}.txt", "10,20,30,40\n1,1,1,1\n", "each of 3 frames, got 2"),
        ("{name}.txt", "12,20,30,40\n1,1,1,1\n1,1,1,1\n", "must start with the box"),
        ("other.txt", "10,20,30,40\n", "other.txt is not part of the test set"),
        ("readme.md", "hello", "readme.md is not part of the test set"),
        ("folder/{name}.txt", "10,20,30,40\n", "not part of the test set"),
    ],
)
def test_what_a_server_would_reject_is_said(tmp_path, member, text, message):
    path = tmp_path / "out.zip"
    good = "10,20,30,40\n1,1,1,1\n1,1,1,1\n"
    files = {f"{name}.txt": good for name in NAMES}
    files.pop(member.format(name=NAMES[0]), None)
    if text is not None:
        files[member.format(name=NAMES[0])] = text
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    problems = submission_problems(small("trackingnet"), path, published(3))
    assert len(problems) == 1
    assert message in problems[0]


def test_one_folder_around_a_got10k_submission_is_allowed(tmp_path):
    path = tmp_path / "out.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in NAMES:
            archive.writestr(f"ours/{name}/{name}_001.txt", "10,20,30,40\n")
            archive.writestr(f"ours/{name}/{name}_time.txt", "0.1\n0.1\n")
    problems = submission_problems(small("got10k"), path, published())
    assert problems == [f"{name}/{name}_time.txt must hold 1 times, got 2" for name in NAMES]


@pytest.mark.parametrize(
    ("member", "text", "message"),
    [
        ("{name}_time.txt", "0.1\n-0.1\n", "finite and not negative, got -0.1"),
        ("{name}_time.txt", "0.1\nnan\n", "finite and not negative, got nan"),
        ("{name}_time.txt", "0.1\nfast\n", "must hold numbers only, got 'fast'"),
        ("{name}_002.txt", "10,20,30,40\n1,1,-1,1\n", "no negative size"),
        ("{name}_003.txt", "11.5,20,30,40\n1,1,1,1\n", "must start with the box"),
        ("{name}_all_scores.txt", "1\n1\n", "not part of the test set"),
    ],
)
def test_what_got10ks_server_would_reject_is_said(tmp_path, member, text, message):
    path, files = tmp_path / "out.zip", {}
    for name in NAMES:
        files[f"{name}/{name}_001.txt"] = "10,20,30,40\n1,1,1,1\n"
        files[f"{name}/{name}_time.txt"] = "0.1\n0\n"
    files[f"{NAMES[0]}/{member.format(name=NAMES[0])}"] = text
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    problems = submission_problems(small("got10k"), path, published(2))
    assert len(problems) == 1
    assert message in problems[0]


def test_an_incomplete_test_set_is_a_problem(tmp_path):
    write_submission(small("trackingnet"), results(), tmp_path / "out.zip")
    problems = submission_problems(server("trackingnet"), tmp_path / "out.zip", published())
    assert problems == ["the test set has 511 sequences, got annotations of 2"]


def test_an_unknown_server_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'got10k'"):
        server("got-10k")


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command on a server that wants two sequences, whose results and annotations are there."""
    whole = dict(SERVERS)
    monkeypatch.setitem(SERVERS, "trackingnet", Server(2, "{name}.txt", None))
    assert whole["trackingnet"].num_sequences == 511
    for name in NAMES:
        for folder, text in (("results", "10,20,30,40\n1,1,1,1\n"), ("annotations", "10,20,30,40\n")):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{name}.txt").write_text(text)
    app = typer.Typer()
    app.command()(submit)
    options = ["--annotations", str(tmp_path / "annotations")]
    return lambda *arguments: CliRunner().invoke(app, ["trackingnet", *map(str, arguments), *options])


def test_the_command_packs_and_says_what_it_could_not_check(command, tmp_path):
    done = command(tmp_path / "results", tmp_path / "out.zip")
    assert done.exit_code == 0, done.exception
    assert "the lengths of 2 sequences are not checked" in done.output
    assert command(tmp_path / "out.zip", "--check").exit_code == 0
    again = command(tmp_path / "results", tmp_path / "out.zip")
    assert "exists; name another" in str(again.exception)


def test_a_zip_that_would_be_rejected_is_not_kept(command, tmp_path):
    (tmp_path / "results" / f"{NAMES[0]}.txt").write_text("50,20,30,40\n1,1,1,1\n")
    done = command(tmp_path / "results", tmp_path / "out.zip")
    assert isinstance(done.exception, InputError)
    assert "must start with the box [10.0, 20.0, 30.0, 40.0]" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotations", "results"]


def test_lengths_are_checked_where_the_frames_are(command, tmp_path):
    for name in NAMES:
        (tmp_path / "annotations" / "TEST" / "anno").mkdir(parents=True, exist_ok=True)
        (tmp_path / "annotations" / f"{name}.txt").rename(
            tmp_path / "annotations" / "TEST" / "anno" / f"{name}.txt"
        )
        for number in range(3):
            path = tmp_path / "annotations" / "TEST" / "frames" / name / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    done = command(tmp_path / "results", tmp_path / "out.zip")
    assert "must hold a box for each of 3 frames, got 2" in done.stderr


def test_checking_needs_a_zip_and_packing_a_place_for_one(command, tmp_path):
    assert isinstance(command(tmp_path / "results").exception, ConfigError)
    assert isinstance(command(tmp_path / "results", tmp_path / "out.zip", "--check").exception, ConfigError)
