from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from starktrack.cli.data import app


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


def write_video(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in range(1, 4):
        cv2.imwrite(str(folder / f"{number:08d}.png"), np.zeros((12, 16, 3), np.uint8))
    (folder / "groundtruth.txt").write_text("1,2,3,4\n" * 3)


def test_a_whole_data_set_gives_a_table_and_success(tmp_path):
    write_video(tmp_path / "data" / "cat")
    result = CliRunner().invoke(app, ["check", str(tmp_path / "data")])
    assert result.exit_code == 0
    assert all(word in result.output for word in ("videos", "all", "complete", "what that means"))


@pytest.mark.parametrize("width", [60, 80])
def test_nothing_that_decides_is_cut_in_a_narrow_window(tmp_path, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    folder = tmp_path / "a_folder_of_data_with_a_long_name"
    write_video(folder / "cat")
    whole = CliRunner().invoke(app, ["check", str(folder)]).output
    assert "…" not in whole and "complete" in whole and max(map(len, whole.splitlines())) <= width
    assert "broken" not in whole and "without" not in whole, "columns that say nothing are left out"
    (folder / "cat" / "groundtruth.txt").write_text("0,0,0,0\n" * 3)
    broken = CliRunner().invoke(app, ["check", str(folder)]).output
    assert "…" not in broken and "broken" in broken


def test_a_broken_data_set_names_file_and_line_and_fails(tmp_path):
    write_video(tmp_path / "data" / "cat")
    (tmp_path / "data" / "cat" / "groundtruth.txt").write_text("1,2,3,4\n1,2,3,4\n1,x,3,4\n")
    result = CliRunner().invoke(app, ["check", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert (
        "cat/groundtruth.txt line 3 must hold 4 numbers x,y,w,h (NaN for no target), got '1,x,3,4'"
        in result.output
    )


def test_missing_sequences_are_told_without_failing(tmp_path):
    write_video(tmp_path / "data" / "GOT-10k_Val_000001")
    result = CliRunner().invoke(app, ["check", str(tmp_path / "data"), "--dataset", "got10k"])
    assert result.exit_code == 0
    assert "got10k val misses 179: GOT-10k_Val_000002, " in result.output


def test_an_unknown_folder_is_one_line_of_error(tmp_path):
    result = CliRunner().invoke(app, ["check", str(tmp_path / "nowhere")])
    assert result.exit_code == 1
    assert "error: a data set's root must be a folder or a zip file" in result.output
    assert "Traceback" not in result.output
