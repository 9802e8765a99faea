"""The folder of a batch: what counts as done, what is removed, and a journal that holds any text."""

from pathlib import Path

import numpy as np
import pytest

from starktrack.data.formats.manifest import ManifestRow
from starktrack.errors import InputError
from starktrack.workflows.batch_folder import BatchFolder
from starktrack.workflows.batch_worker import RowResult

HERE = Path()

ONE, TWO = "1,2,8,8", "1,2,8,8;5,6,8,8"


def result(num_targets=1):
    """Return a result of two frames."""
    values = np.full((2 * num_targets, 10), np.nan)
    values[:, 0], values[:, 1] = np.divmod(np.arange(2 * num_targets), num_targets)
    values[:, 2:7] = (np.nan, 1, 2, 8, 8)
    values[:, 8:] = (0, -1)
    return RowResult(values, 2, (24, 32), 10.0, {}, 1.0, 0.5)


def track(path, rows, weights="A", format="csv", *, lost=()):
    """Run a batch without tracking, in which some rows fail; return the ids that were left to do."""
    with BatchFolder(path, {"weights": weights}, format) as folder:
        left = folder.unfinished(rows, HERE)
        for row in left:
            if row.id in lost:
                folder.fail(row, "broken", "trace", 1)
            else:
                folder.keep(row, result(len(row.boxes_xywh or "a")), 1)
    return [row.id for row in left]


def names(path):
    return sorted(each.name for each in (path / "tracks").iterdir())


@pytest.mark.parametrize("format", ["csv", "txt", "yolo", "got10k"])
def test_what_a_kill_left_in_any_format_is_removed(tmp_path, format):
    rows = [ManifestRow("a", "a.mp4", ONE), ManifestRow("b", "b.mp4", TWO)]
    assert track(tmp_path, rows[:1], format=format) == ["a"]
    whole = names(tmp_path)
    (tmp_path / "failed/.b.0123456789ab.partial.txt").write_text("half")
    for name in (".b.0123456789ab.partial", ".b_0.0123456789ab.partial"):
        if (tmp_path / "tracks" / whole[0]).is_dir():
            (tmp_path / "tracks" / name / "labels").mkdir(parents=True)
        else:
            (tmp_path / "tracks" / f"{name}.{format}").write_text("half")
    with BatchFolder(tmp_path, {"weights": "A"}, format) as folder:
        assert folder.unfinished(rows, HERE) == rows[1:]
    assert names(tmp_path) == whole and not list((tmp_path / "failed").iterdir())


@pytest.mark.parametrize("label", ["a\u2028b", "a\u0085b", "\x1c", "Entchen \U0001f986", "ä" * 9])
def test_a_journal_holds_any_text_and_may_be_cut_anywhere(tmp_path, label):
    rows = [ManifestRow("a", "a.mp4", ONE), ManifestRow("ü", "b.mp4", ONE, label=label)]
    track(tmp_path, rows)
    assert track(tmp_path, rows) == []
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_bytes()
    assert whole.isascii()
    journal.write_bytes(whole[:-40])
    assert track(tmp_path, rows) == ["ü"] and track(tmp_path, rows) == []
    # Older journals have letters of several bytes.
    journal.write_bytes(whole.splitlines(keepends=True)[0] + '{"id": "ü'.encode()[:-1])
    assert track(tmp_path, rows) == ["ü"] and track(tmp_path, rows) == []
    old = '{"id": "z", "label": "a\u2028b", "state": "done", "key": "0", "file": "tracks/z.csv"}\n'
    journal.write_bytes(old.encode() + whole)
    assert track(tmp_path, rows) == []


def test_boxes_that_change_during_a_run_are_tracked_again_by_the_next(tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("old")
    rows = [ManifestRow("a", "a.mp4", str(boxes)), ManifestRow("b", "b.mp4", str(boxes))]
    with BatchFolder(tmp_path / "out", {}) as folder:
        folder.unfinished(rows, HERE)
        folder.keep(rows[0], result(), 1)
        boxes.write_text("new")
        folder.keep(rows[1], result(), 1)
    with BatchFolder(tmp_path / "out", {}) as folder:
        assert folder.unfinished(rows, HERE) == rows


@pytest.mark.parametrize("format", ["csv", "txt", "yolo", "got10k"])
def test_old_results_are_removed_before_rows_are_tracked_with_other_weights(tmp_path, format):
    rows = [ManifestRow("a", "a.mp4", TWO), ManifestRow("b", "b.mp4", ONE), ManifestRow("c.d", "c.mp4", TWO)]
    other = ManifestRow("a_7", "of another manifest.mp4", ONE)
    track(tmp_path, [other], format=format)
    stays = names(tmp_path)
    track(tmp_path, rows, format=format)
    assert len(names(tmp_path)) == (6 if format in ("txt", "got10k") else 4)
    track(tmp_path, rows, "B", format, lost=("a", "c.d"))
    assert [name for name in names(tmp_path) if name not in stays] == [stays[0].replace("a_7", "b")]
    with BatchFolder(tmp_path, {"weights": "B"}, format) as folder:
        assert [each.state for each in folder.summaries(rows)] == ["failed", "done", "failed"]
    # Results of the first weights are gone, whatever lies in their places by now.
    assert track(tmp_path, rows, "A", format) == ["a", "b", "c.d"]


def test_a_new_file_without_its_line_in_the_journal_is_not_taken_for_the_old_one(tmp_path):
    rows = [ManifestRow("a", "a.mp4", ONE)]
    track(tmp_path, rows, "A")
    with BatchFolder(tmp_path, {"weights": "B"}) as folder:
        folder.unfinished(rows, HERE)
    (tmp_path / "tracks/a.csv").write_text("written with B, and then the driver was killed")
    assert track(tmp_path, rows, "A") == ["a"]


def test_results_in_other_formats_stay(tmp_path):
    rows = [ManifestRow("a", "a.mp4", ONE)]
    for format in ("csv", "yolo", "cvat", "json"):
        assert track(tmp_path, rows, format=format) == ["a"]
    assert names(tmp_path) == ["a", "a.csv", "a.json", "a.xml"]


def test_rows_that_would_write_one_file_are_refused(tmp_path):
    for boxes in (TWO, "boxes.csv"):
        rows = [ManifestRow("a", "a.mp4", boxes), ManifestRow("a_0", "b.mp4", ONE)]
        for format in ("txt", "got10k"):
            with pytest.raises(InputError, match=r"got 'a_0', whose a_0.* is that of target 0 of 'a' too"):
                track(tmp_path, rows, format=format)
        assert names(tmp_path) == []
    fine = [
        [ManifestRow("a", "a.mp4", ONE), ManifestRow("a_0", "b.mp4", ONE)],
        [ManifestRow("a", "a.mp4", TWO), ManifestRow("a_2", "b.mp4", ONE), ManifestRow("a_00", "c.mp4", ONE)],
    ]
    for number, rows in enumerate(fine):
        assert track(tmp_path / str(number), rows, format="txt") == [row.id for row in rows]
    rows = [ManifestRow("a", "a.mp4", TWO), ManifestRow("a_0", "b.mp4", ONE)]
    assert track(tmp_path / "csv", rows) == ["a", "a_0"]
