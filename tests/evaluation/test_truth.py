import zipfile

import numpy as np
import pytest

from starktrack.errors import DatasetError
from starktrack.evaluation.dialects import dialect
from starktrack.evaluation.truth import (
    matched_to,
    missing_labels,
    open_truth,
    scored_sequences,
)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def read(name, place, split=None):
    return scored_sequences(open_truth(name, place, split))


def test_lasot_joins_both_flags_and_takes_its_test_set_from_a_folder_of_all(tmp_path):
    for name in ("cat-1", "cat-2"):
        folder = tmp_path / "cat" / name
        write(folder / "groundtruth.txt", "1,2,3,4\n1,2,3,4\n1,2,3,4\n")
        write(folder / "full_occlusion.txt", "0,1,0")
        write(folder / "out_of_view.txt", "0,0,1")
    (one,) = read("lasot", tmp_path)
    assert one.name == "cat-1"
    assert one.flagged_absent.tolist() == [False, True, True]
    assert [a.name for a in read("lasot", tmp_path, "all")] == ["cat-1", "cat-2"]


def test_got10k_gives_cover_resolution_and_class(tmp_path):
    folder = tmp_path / "GOT-10k_Val_000001"
    write(folder / "groundtruth.txt", "1,2,3,4\n1,2,3,4\n")
    write(folder / "cover.label", "8\n0\n")
    write(folder / "absence.label", "0\n0\n")
    write(folder / "meta_info.ini", "[METAINFO]\nobject_class: cat\nresolution: (1920, 1080)\n")
    write(tmp_path / "list.txt", "GOT-10k_Val_000001\n")
    (one,) = read("got10k_val", tmp_path)
    assert one.flagged_absent.tolist() == [False, True]
    assert (one.benchmark.resolution_wh, one.object_class) == ((1920, 1080), "cat")
    assert missing_labels("got10k", [one], dialect("got10k", "got10k")) == []


def test_what_got10k_lacks_for_its_rules_is_said(tmp_path):
    write(tmp_path / "GOT-10k_Val_000001" / "groundtruth.txt", "1,2,3,4\n1,2,3,4\n")
    lines = missing_labels("got10k", read("got10k_val", tmp_path), dialect("got10k", "got10k"))
    assert lines[0] == "1 of 1 sequences have no resolution in meta_info.ini: boxes are not clipped"
    assert "no labels of absence (cover.label, absent/): frames without target count" in lines[1]
    assert missing_labels("otb", read("got10k_val", tmp_path), dialect("stark", "otb")) == []


@pytest.mark.parametrize(
    ("name", "place"), [("uav123", "anno/UAV123/bike1"), ("uav123", "bike1"), ("uav", "bike1")]
)
def test_uav123_needs_no_frames(tmp_path, name, place):
    write(tmp_path / f"{place}.txt", "1,2,3,4\nNaN,NaN,NaN,NaN\n")
    write((tmp_path / place).parent / "att" / "bike1.txt", "0,1,0")
    if "anno" in place:
        write(tmp_path / "anno" / "UAV20L" / "bike1.txt", "9,9,9,9\n")
    (one,) = read(name, tmp_path)
    assert (one.name, one.flagged_absent) == ("bike1", None)
    assert np.isnan(one.boxes_xywh[1]).all()


def test_otb_takes_the_two_targets_of_a_video_and_no_empty_file(tmp_path):
    for number in (1, 2):
        write(tmp_path / "Jogging" / f"groundtruth_rect.{number}.txt", "1,2,3,4\n1,2,3,4")
    write(tmp_path / "Human4" / "groundtruth_rect.1.txt", "")
    write(tmp_path / "Human4" / "groundtruth_rect.2.txt", "1,2,3,4\n1,2,3,4")
    assert [a.name for a in read("otb", tmp_path)] == ["Human4_2", "Jogging_1", "Jogging_2"]


def test_results_with_and_without_tiger1s_first_frames_are_matched(tmp_path):
    rows = np.arange(1, 41).reshape(10, 4)
    write(tmp_path / "Tiger1" / "groundtruth_rect.txt", "\n".join(",".join(map(str, row)) for row in rows))
    (tiger,) = read("otb", tmp_path)
    np.testing.assert_array_equal(matched_to(tiger, 5).boxes_xywh, rows[5:])
    np.testing.assert_array_equal(matched_to(tiger, 10).boxes_xywh, rows)
    assert matched_to(tiger, 7) is tiger


@pytest.mark.parametrize("columns", ["0 0 0", "7 0 0 0"])
def test_nfs_as_published_is_cut_to_the_frames_that_a_result_has(tmp_path, columns):
    lines = [f'0 {row} 2 {row + 3} 6 {columns} "car"' for row in range(24)]
    write(tmp_path / "car" / "30" / "car.txt", "\n".join(lines))
    (car,) = read("nfs", tmp_path)
    assert matched_to(car, 3).boxes_xywh.tolist() == [[0, 2, 3, 4], [8, 2, 3, 4], [16, 2, 3, 4]]
    assert len(matched_to(car, 23)) == 23
    assert len(matched_to(car, 24)) == 24
    assert len(matched_to(car, 10)) == 24


def test_nfs_as_re_packed_has_a_row_per_frame(tmp_path):
    write(tmp_path / "anno" / "nfs_car.txt", "1\t2\t3\t4\n" * 8)
    (car,) = read("nfs", tmp_path)
    assert (car.name, car.benchmark.rows_per_frame) == ("car", 0)


def test_tlp_lines_tell_lost_frames(tmp_path):
    write(tmp_path / "Drone1" / "groundtruth_rect.txt", "1,10,20,30,40,0\n2,10,20,30,40,1\n")
    (one,) = read("tlp", tmp_path)
    assert one.boxes_xywh.tolist() == [[10, 20, 30, 40]] * 2
    assert one.visible.tolist() == [True, False]


def test_ones_own_boxes_come_in_any_of_three_forms(tmp_path):
    write(tmp_path / "a.txt", "1,2,3,4\n1,2,3,4")
    write(tmp_path / "deep" / "b" / "groundtruth.txt", "3,1,7,2,6,9,2,5\n3,1,7,2,6,9,2,5")
    write(tmp_path / "c" / "groundtruth_rect.2.txt", "1 2 3 4\n1 2 3 4")
    write(tmp_path / "readme.txt", "words")
    found = {one.name: one.boxes_xywh[0].tolist() for one in read("custom", tmp_path)}
    assert found == {"a": [1, 2, 3, 4], "b": [2, 1, 5, 8], "c_2": [1, 2, 3, 4]}
    assert [one.name for one in read("custom", tmp_path / "deep" / "b")] == ["b"]


def test_sequences_that_show_their_first_box_only_have_no_truth(tmp_path):
    write(tmp_path / "GOT-10k_Test_000001" / "groundtruth.txt", "1,2,3,4\n")
    assert read("got10k_test", tmp_path) == []


def test_what_a_mac_leaves_in_a_zip_is_no_annotation(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("anno/bike1.txt", "1,2,3,4\n5,6,7,8")
        archive.writestr("anno/._bike1.txt", b"\x00\x05\xff")
        archive.writestr("__MACOSX/anno/._bike1.txt", b"\x00\x05\xff")
        archive.writestr("__MACOSX/anno/bike1.txt", "9,9,9,9")
    (one,) = read("uav123", tmp_path / "a.zip")
    assert one.boxes_xywh.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "._bike1.txt").write_bytes(b"\x00\xff")
    write(tmp_path / "plain" / "bike1.txt", "1,2,3,4\n1,2,3,4")
    assert len(read("custom", tmp_path / "plain")) == 1


def test_errors_name_what_is_missing(tmp_path):
    with pytest.raises(DatasetError, match=r"nothing\.zip is neither"):
        open_truth("custom", tmp_path / "nothing.zip")
    with pytest.raises(DatasetError, match=r"must hold annotations of custom all, such as .* got none"):
        open_truth("custom", tmp_path)
    with pytest.raises(DatasetError, match="holds no sequence of OTB100 test"):
        open_truth("otb", tmp_path)
    with pytest.raises(DatasetError, match="unknown data set 'otbb'; did you mean 'otb'"):
        open_truth("otbb", tmp_path)
    write(tmp_path / "a.txt", "1,2,3,4")
    with pytest.raises(DatasetError, match="1 of 2 missing: b"):
        scored_sequences(open_truth("custom", tmp_path), ["a", "b"])
    write(tmp_path / "other" / "a.txt", "1,2,3,4")
    with pytest.raises(DatasetError, match="each sequence once, got a in"):
        open_truth("custom", tmp_path)


def test_flags_of_another_length_are_refused(tmp_path):
    write(tmp_path / "airplane-1.txt", "1,2,3,4\n1,2,3,4")
    write(tmp_path / "absent" / "airplane-1.txt", "0\n")
    with pytest.raises(DatasetError, match="must hold 2 numbers, one per box, got 1"):
        read("lasot", tmp_path)


def test_a_file_that_is_not_a_zip_is_refused(tmp_path):
    write(tmp_path / "x.zip", "no zip")
    with pytest.raises(DatasetError, match="not a readable zip file"):
        open_truth("lasot", tmp_path / "x.zip")


def test_zip_and_folder_read_the_same(tmp_path):
    write(tmp_path / "annos" / "airplane-1.txt", "1,2,3,4\n5,6,7,8")
    write(tmp_path / "annos" / "absent" / "airplane-1.txt", "0\n1")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in (tmp_path / "annos").rglob("*.txt"):
            archive.write(path, path.relative_to(tmp_path))
    (zipped,), (plain,) = read("lasot", tmp_path / "a.zip"), read("lasot", tmp_path / "annos")
    np.testing.assert_array_equal(zipped.boxes_xywh, plain.boxes_xywh)
    assert zipped.flagged_absent.tolist() == plain.flagged_absent.tolist() == [False, True]


@pytest.mark.shared
def test_all_of_lasot_is_read(lasot_zip):
    annotations = read("lasot", lasot_zip)
    assert len(annotations) == 280
    assert sum(map(len, annotations)) == 685_360
