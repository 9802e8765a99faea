import csv
import json

import numpy as np
import pytest

from starktrack.data.formats.result_files import (
    COLUMNS,
    ResultWriter,
    check_result_path,
    read_boxes,
    write_boxes,
)
from starktrack.data.track_output import TrackOutput
from starktrack.errors import InputError, ResultFileError, VideoBrokenError


def row(frame, target=0, *, x=10.0, seconds=None, score=None, updated=False):
    return TrackOutput(
        frame_index=frame,
        seconds=seconds,
        target_id=target,
        box_xywh=np.array([x, 20.5, 30.123456, 40.0]),
        score=score,
        template_updated=updated,
    )


def write(path, rows):
    with ResultWriter(path) as writer:
        for each in rows:
            writer.write(each)
    return writer.paths


def test_text_is_one_line_of_four_numbers_per_frame(tmp_path):
    path = tmp_path / "boxes.txt"
    assert write(path, [row(5), row(6, x=11.0)]) == (path,)
    assert path.read_text() == "10.0000,20.5000,30.1235,40.0000\n11.0000,20.5000,30.1235,40.0000\n"


def test_several_targets_make_one_text_file_each(tmp_path):
    paths = write(tmp_path / "boxes.txt", [row(0, 1), row(0, 2, x=5.0), row(1, 1), row(1, 2, x=6.0)])
    assert [path.name for path in paths] == ["boxes_1.txt", "boxes_2.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boxes_1.txt", "boxes_2.txt"]
    np.testing.assert_array_equal(read_boxes(paths[1])[:, 0], [5.0, 6.0])


def test_csv_carries_frame_time_target_and_score(tmp_path):
    path = tmp_path / "track.csv"
    assert write(path, [row(3, 1, seconds=0.12, score=0.98764, updated=True), row(4, 2)]) == (path,)
    with path.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert tuple(first) == COLUMNS
    assert list(first.values()) == ["3", "0.12", "1", "10.0", "20.5", "30.1235", "40.0", "0.9876", "true", ""]
    assert list(second.values()) == ["4", "", "2", "10.0", "20.5", "30.1235", "40.0", "", "false", ""]


def test_json_is_a_list_of_rows_with_null_for_the_unknown(tmp_path):
    path = tmp_path / "track.json"
    write(path, [row(3, seconds=0.12, score=0.5, updated=True), row(4, x=float("nan"))])
    first, second = json.loads(path.read_text())
    assert tuple(first) == COLUMNS
    assert (first["frame"], first["seconds"], first["score"], first["template_updated"]) == (
        3,
        0.12,
        0.5,
        True,
    )
    assert (second["seconds"], second["x"], second["y"], second["score"]) == (None, None, 20.5, None)


@pytest.mark.parametrize("name", ["track.txt", "track.csv", "track.json"])
def test_an_error_leaves_the_older_file_and_nothing_else(tmp_path, name):
    path = tmp_path / name
    path.write_text("older")
    with pytest.raises(RuntimeError), ResultWriter(path) as writer:
        writer.write(row(0))
        raise RuntimeError
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert path.read_text() == "older"


@pytest.mark.parametrize(("name", "lines"), [("track.txt", 2), ("track.csv", 3), ("track.json", 4)])
def test_what_was_tracked_before_the_source_broke_off_is_kept(tmp_path, name, lines):
    path = tmp_path / name
    with pytest.raises(VideoBrokenError), ResultWriter(path) as writer:
        writer.write(row(0))
        writer.write(row(1))
        assert not path.exists()
        raise VideoBrokenError("cut", 2)
    assert len(path.read_text().splitlines()) == lines
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_without_rows_there_is_no_file(tmp_path):
    assert write(tmp_path / "track.csv", []) == ()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_suffix_names_the_known_ones(tmp_path):
    with pytest.raises(
        InputError, match=r"a result file must end in \.txt, \.csv, \.json, \.jsonl, got 'boxes\.xml'"
    ):
        check_result_path(tmp_path / "boxes.xml")


def test_a_missing_folder_is_refused_before_the_work(tmp_path):
    with pytest.raises(InputError, match=r"must lie in a folder that exists, got .* create "):
        ResultWriter(tmp_path / "nowhere" / "boxes.txt")


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "boxes.txt").mkdir()
    with pytest.raises(InputError, match=r"must be a file, got the folder .* add a file name"):
        check_result_path(tmp_path / "boxes.txt")


def test_boxes_survive_the_round_trip_to_four_decimals(tmp_path):
    boxes = np.random.default_rng(0).uniform(-50, 2000, (20, 4))
    boxes[3] = np.nan
    write_boxes(tmp_path / "boxes.txt", boxes)
    np.testing.assert_allclose(read_boxes(tmp_path / "boxes.txt"), boxes, atol=0.5e-4)


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3,4\n5,6,7,8\n",
        "1\t2\t3\t4\n5\t6\t7\t8",
        "1 2  3 4\n5 6 7 8\n\n",
        "1, 2, 3, 4\r\n5, 6,\t7, 8\r\n",
    ],
)
def test_commas_tabs_and_spaces_separate(tmp_path, text):
    path = tmp_path / "boxes.txt"
    path.write_bytes(text.encode())
    np.testing.assert_array_equal(read_boxes(path), [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_rows_of_nan_stay_nan(tmp_path):
    path = tmp_path / "boxes.txt"
    path.write_text("1,2,3,4\nNaN,NaN,NaN,NaN\n")
    assert np.isnan(read_boxes(path)).all(axis=1).tolist() == [False, True]


@pytest.mark.parametrize("line", ["1,2,3", "1,2,3,4,5", "1,,3,4", "1,2,x,4", "", "1,2,inf,4"])
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "boxes.txt"
    path.write_text(f"1,2,3,4\n{line}\n1,2,3,4\n")
    with pytest.raises(ResultFileError) as caught:
        read_boxes(path)
    assert f"boxes.txt line 2 must hold 4 numbers x,y,w,h (NaN for no target), got {line!r}" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "in every line, got an empty"), (b"\xff\xfe\x00", "must be a text")],
)
def test_a_file_without_boxes_is_refused(tmp_path, content, message):
    path = tmp_path / "boxes.txt"
    path.write_bytes(content)
    with pytest.raises(ResultFileError, match=message):
        read_boxes(path)


def test_a_missing_box_file_is_named(tmp_path):
    with pytest.raises(ResultFileError, match=r"gone\.txt must be a file of boxes .* No such file"):
        read_boxes(tmp_path / "gone.txt")


@pytest.mark.parametrize("name", ["track.txt", "track.csv", "track.json", "track.jsonl"])
def test_a_folder_that_goes_away_after_the_check_is_one_error(tmp_path, name):
    folder = tmp_path / "results"
    folder.mkdir()
    writer = ResultWriter(folder / name)
    folder.rmdir()
    with pytest.raises(
        InputError, match=r"track(_0)?\.\w+ must lie in a folder where files can be created, got: No such"
    ):
        writer.write(row(0))
    writer.discard()
