import time
import zipfile

import numpy as np
import pytest

from starktrack.errors import DatasetError
from starktrack.evaluation.annotations import Annotation, matched_to, read_annotations
from starktrack.evaluation.text_files import parse_boxes, parse_numbers


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "text", ["1,2,3,4\n5,6,7,8\n", "1\t2\t3\t4\n5\t6\t7\t8", "1 2, 3  4\r\n5 6 7 8\r\n\n"]
)
def test_separators_may_be_mixed(text):
    assert parse_boxes(text, "here", DatasetError).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_nan_is_a_number():
    assert np.isnan(parse_boxes("NaN,NaN,nan,NaN", "here", DatasetError)).all()


def test_words_and_ragged_lines_name_the_file_and_the_place():
    with pytest.raises(DatasetError, match="here must hold numbers only, got 'cat'"):
        parse_numbers("1,2\ncat,4", "here", DatasetError)
    with pytest.raises(DatasetError, match="got '5,6,7' in line 2"):
        parse_boxes("1,2,3,4\n5,6,7\n", "here", DatasetError)


def test_lasot_layout_joins_both_flags(tmp_path):
    folder = tmp_path / "cat" / "cat-1"
    write(folder / "groundtruth.txt", "1,2,3,4\n1,2,3,4\n1,2,3,4\n")
    write(folder / "full_occlusion.txt", "0,1,0")
    write(folder / "out_of_view.txt", "0,0,1")
    (one,) = read_annotations(tmp_path)
    assert one.name == "cat-1"
    assert one.visible.tolist() == [True, False, False]


def test_got10k_layout_gives_cover_resolution_and_class(tmp_path):
    folder = tmp_path / "GOT-10k_Val_000001"
    write(folder / "groundtruth.txt", "1,2,3,4\n1,2,3,4\n")
    write(folder / "cover.label", "8\n0\n")
    write(folder / "absence.label", "0\n0\n")
    write(folder / "meta_info.ini", "[METAINFO]\nobject_class: cat\nresolution: (1920, 1080)\n")
    write(tmp_path / "list.txt", "GOT-10k_Val_000001\n")
    (one,) = read_annotations(tmp_path)
    assert (one.visible.tolist(), one.size_wh, one.object_class) == ([True, False], (1920, 1080), "cat")


def test_otb_uav_and_tc128_names(tmp_path):
    write(tmp_path / "Jogging" / "groundtruth_rect.1.txt", "1,2,3,4")
    write(tmp_path / "Dog" / "groundtruth_rect.txt", "1,2,3,4")
    write(tmp_path / "bike1.txt", "1,2,3,4")
    write(tmp_path / "att" / "bike1.txt", "0,1,0")
    write(tmp_path / "Ball_ce1" / "Ball_ce1_gt.txt", "1,2,3,4")
    write(tmp_path / "Ball_ce1" / "Ball_ce1_frames.txt", "1,391")
    assert [a.name for a in read_annotations(tmp_path)] == ["Ball_ce1", "Dog", "Jogging_1", "bike1"]


def test_corners_become_the_box_around_them(tmp_path):
    write(tmp_path / "ball" / "groundtruth.txt", "3,1,7,2,6,9,2,5\n")
    assert read_annotations(tmp_path)[0].boxes_xywh.tolist() == [[2, 1, 5, 8]]


def test_tlp_lines_tell_lost_frames(tmp_path):
    write(tmp_path / "Drone1" / "groundtruth_rect.txt", "1,10,20,30,40,0\n2,10,20,30,40,1\n")
    (one,) = read_annotations(tmp_path)
    assert one.boxes_xywh.tolist() == [[10, 20, 30, 40]] * 2
    assert one.visible.tolist() == [True, False]


def test_results_that_lack_tiger1s_first_frames_are_matched():
    tiger = Annotation("Tiger1", np.arange(40.0).reshape(10, 4), np.arange(10) > 5)
    matched = matched_to(tiger, "otb100", 5)
    assert matched.boxes_xywh[0].tolist() == [20, 21, 22, 23]
    assert matched.visible.tolist() == [False, True, True, True, True]
    assert matched_to(tiger, "otb100", 10) is matched_to(tiger, "lasot", 5) is tiger


def test_the_folder_of_one_sequence_gives_it_its_name(tmp_path):
    write(tmp_path / "Man" / "groundtruth_rect.txt", "1,2,3,4")
    assert [a.name for a in read_annotations(tmp_path / "Man")] == ["Man"]


def test_errors_name_what_is_missing(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        read_annotations(tmp_path / "nothing.zip")
    with pytest.raises(DatasetError, match="got none in"):
        read_annotations(tmp_path)
    write(tmp_path / "a.txt", "1,2,3,4")
    with pytest.raises(DatasetError, match="1 of 2 missing: b"):
        read_annotations(tmp_path, ["a", "b"])
    write(tmp_path / "other" / "a.txt", "1,2,3,4")
    with pytest.raises(DatasetError, match="each sequence once, got a in"):
        read_annotations(tmp_path)


def test_flags_of_another_length_are_refused(tmp_path):
    write(tmp_path / "a.txt", "1,2,3,4\n1,2,3,4")
    write(tmp_path / "absent" / "a.txt", "0\n")
    with pytest.raises(DatasetError, match="each of the 2 annotated frames, got 1"):
        read_annotations(tmp_path)


def test_a_file_that_is_not_a_zip_is_refused(tmp_path):
    write(tmp_path / "x.zip", "no zip")
    with pytest.raises(DatasetError, match="folder or a zip"):
        read_annotations(tmp_path / "x.zip")


def test_zip_and_folder_read_the_same(tmp_path):
    write(tmp_path / "annos" / "a.txt", "1,2,3,4\n5,6,7,8")
    write(tmp_path / "annos" / "absent" / "a.txt", "0\n1")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in (tmp_path / "annos").rglob("*.txt"):
            archive.write(path, path.relative_to(tmp_path))
    (zipped,), (plain,) = read_annotations(tmp_path / "a.zip"), read_annotations(tmp_path / "annos")
    np.testing.assert_array_equal(zipped.boxes_xywh, plain.boxes_xywh)
    assert zipped.visible.tolist() == plain.visible.tolist() == [True, False]


@pytest.mark.shared
def test_all_of_lasot_is_read_within_a_second(lasot_zip):
    start = time.process_time()
    annotations = read_annotations(lasot_zip)
    # About 0.45 s alone; the type checks of the test run and a busy machine get some room.
    assert time.process_time() - start < 2
    assert len(annotations) == 280
    assert sum(map(len, annotations)) == 685_360
