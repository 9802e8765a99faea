import json

import numpy as np
import pytest

from starktrack.data.formats.result_folder import ResultFolder, read_run_file
from starktrack.data.trajectory import Trajectory
from starktrack.errors import InputError, ResultFileError
from starktrack.evaluation.result_files import read_results

RUN = {"tracker": "fox", "weights": {"digest": "aa"}, "dataset": "otb"}


def trajectory(scores=(np.nan, 0.5)):
    boxes = np.array([[1.0, 2.0, 3.0, 4.0], [1.9, -2.9, 3.9, 4.9]])
    return Trajectory(boxes, np.array(scores), np.array([0.5, 0.25]))


@pytest.fixture
def folder(tmp_path):
    folder = ResultFolder(tmp_path / "otb_test" / "fox")
    folder.claim(RUN)
    return folder


def test_a_finished_sequence_has_boxes_times_scores_and_stages(folder):
    assert not folder.is_finished("Dog")
    folder.write("Dog", trajectory(), {"decode": 0.125, "track": 0.75})
    assert folder.is_finished("Dog")
    assert (folder.path / "Dog.txt").read_text().splitlines()[1] == "1.9000,-2.9000,3.9000,4.9000"
    assert (folder.path / "Dog_time.txt").read_text() == "0.500000\n0.250000\n"
    assert (folder.path / "Dog_all_scores.txt").read_text() == "nan\n0.500000\n"
    stages = json.loads((folder.path / "stages" / "Dog.json").read_text())
    assert stages == {"frames": 2, "decode": 0.125, "track": 0.75}
    found_again = read_results(folder.path, ["Dog"])
    np.testing.assert_array_equal(found_again.seconds["Dog"], [0.5, 0.25])
    np.testing.assert_allclose(found_again.boxes_xywh["Dog"], trajectory().boxes_xywh)


def test_a_model_without_scores_leaves_no_score_file(folder):
    folder.write("Dog", trajectory((np.nan, np.nan)), {})
    assert not (folder.path / "Dog_all_scores.txt").exists()


def test_whole_pixels_are_cut_towards_zero_and_separated_by_tabs(folder):
    folder.write("Dog", trajectory(), {}, integer=True)
    assert (folder.path / "Dog.txt").read_text() == "1\t2\t3\t4\n1\t-2\t3\t4\n"


def test_an_equal_run_may_go_on_and_another_may_not(folder):
    ResultFolder(folder.path).claim(RUN)
    with pytest.raises(InputError, match=r"another run \(weights\.digest was 'aa' there, and is 'bb' now\)"):
        ResultFolder(folder.path).claim({**RUN, "weights": {"digest": "bb"}})
    assert folder.run() == RUN
    folder.write("Dog", trajectory(), {})
    (folder.path / "run.json").unlink()
    with pytest.raises(InputError, match=r"another run \(it has no run\.json\)"):
        folder.claim(RUN)


def test_a_failure_is_kept_until_the_sequence_is_finished(folder):
    folder.write_failure("Dog", "RuntimeError: no")
    assert (folder.path / "failed" / "Dog.txt").read_text() == "RuntimeError: no"
    assert not folder.is_finished("Dog")
    folder.write("Dog", trajectory(), {})
    assert list((folder.path / "failed").iterdir()) == []


def test_nothing_half_written_stays(folder):
    folder.write("Dog", trajectory(), {})
    assert not [path for path in folder.path.rglob("*") if "partial" in path.name]


def test_a_shortened_file_is_refused_with_the_length_that_was_written(folder):
    folder.write("Dog", trajectory(), {})
    (folder.path / "Dog.txt").write_text("1.0,2.0,3.0,4.0\n")
    with pytest.raises(
        ResultFileError, match=r"Dog\.txt must hold the 2 boxes that were written, got 1; delete"
    ):
        read_results(folder.path, ["Dog"])


def test_damaged_files_are_named(folder):
    folder.write("Dog", trajectory(), {})
    (folder.path / "Dog_time.txt").write_text("0.5\nsoon\n")
    with pytest.raises(ResultFileError, match=r"Dog_time\.txt must hold numbers only, got 'soon'"):
        read_results(folder.path, ["Dog"])
    (folder.path / "run.json").write_text("{")
    with pytest.raises(ResultFileError, match=r"run\.json must be JSON"):
        folder.run()


def test_a_run_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "run.json").mkdir()
    with pytest.raises(ResultFileError, match=r"run\.json must be JSON written by starktrack"):
        read_run_file(tmp_path)
