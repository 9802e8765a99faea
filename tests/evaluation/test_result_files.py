import struct
import zipfile

import numpy as np
import pytest

from starktrack.data.formats.result_folder import read_run_file
from starktrack.errors import InputError, ResultFileError
from starktrack.evaluation.result_files import plain_name, read_repetitions, read_results
from starktrack.evaluation.text_files import read_names
from starktrack.evaluation.truth import open_truth, scored_sequences


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


FORMS = {
    "pytracking": ("stark_st/baseline/{}.txt", "1\t2\t3\t4\n5\t6\t7\t8\n"),
    "pytracking uav": ("atom/default/uav_{}.txt", "1\t2\t3\t4\n5\t6\t7\t8\n"),
    "got10k": ("GOT-10k/ours/{0}/{0}_001.txt", "1.000,2.000,3.000,4.000\n5.000,6.000,7.000,8.000\n"),
    "pysot": ("OTB100/model/{}.txt", "1.0000,2.0000,3.0000,4.0000\n5.0000,6.0000,7.0000,8.0000\n"),
    "lasot": ("ours_tracking_result/{}.txt", "1,2,3,4\n5,6,7,8"),
    "vot": ("ours/baseline/{0}/{0}_001.txt", "1\n5,6,7,8\n"),
    "vot polygon": ("ours/baseline/{0}/{0}_001.txt", "1\n5,6,12,6,12,14,5,14\n"),
    "vot mask": ("ours/unsupervised/{0}/{0}_001.txt", "1\nm5,6,7,8,0,56\n"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("spelling", ["Jogging_1", "Jogging.1", "Jogging-1"])
def test_every_peers_form_and_spelling_is_read(tmp_path, form, spelling):
    path, text = FORMS[form]
    write(tmp_path / path.format(spelling), text)
    boxes = read_results(tmp_path, ["Jogging_1"]).boxes_xywh["Jogging_1"]
    assert boxes.shape == (2, 4)
    assert boxes[1].tolist() == [5, 6, 7, 8]
    assert boxes[0].tolist() == ([0, 0, 0, 0] if form.startswith("vot") else [1, 2, 3, 4])


@pytest.mark.parametrize("packed", [False, True])
def test_the_vot_toolkits_binary_form_is_read(tmp_path, packed):
    # Version 1, two regions: the code 1, and the rectangle 5,6,7,8.
    content = struct.pack("<HIBIB4f", 1, 2, 0, 1, 1, 5, 6, 7, 8)
    if packed:
        with zipfile.ZipFile(tmp_path / "ours.zip", "w") as archive:
            archive.writestr("cat/cat_001.bin", content)
    else:
        (tmp_path / "ours.zip" / "cat").mkdir(parents=True)
        (tmp_path / "ours.zip" / "cat" / "cat_001.bin").write_bytes(content)
    (run,) = read_repetitions(tmp_path / "ours.zip", ["cat"])
    assert run.boxes_xywh["cat"].tolist() == [[0, 0, 0, 0], [5, 6, 7, 8]]


def test_a_binary_result_that_is_cut_off_is_named(tmp_path):
    (tmp_path / "cat_001.bin").write_bytes(struct.pack("<HI", 1, 2))
    with pytest.raises(ResultFileError, match=r"cat_001\.bin must be a whole binary result"):
        read_results(tmp_path, ["cat"])


def test_the_name_that_got10k_gives_human4_is_known(tmp_path):
    write(tmp_path / "OTB2015/ours/Human4.txt", "1.000,2.000,3.000,4.000\n")
    write(tmp_path / "OTB2015/ours/times/Human4_time.txt", "0.5\n")
    for name in ("Human4_2", "otb_Human4_2"):
        found = read_results(tmp_path, [name, "Human3"])
        assert found.boxes_xywh[name].tolist() == [[1, 2, 3, 4]]
        assert found.seconds[name].tolist() == [0.5]


def test_times_and_side_files_are_told_apart_from_boxes(tmp_path):
    write(tmp_path / "cat-1.txt", "1,2,3,4\n1,2,3,4\n1,2,3,4")
    write(tmp_path / "cat-1_time.txt", "9.0\n0.05\n0.05\n")
    write(tmp_path / "cat-1_all_boxes.txt", "1,2,3,4\n")
    results = read_results(tmp_path, ["cat-1"])
    assert results.boxes_xywh["cat-1"].shape == (3, 4)
    assert results.seconds["cat-1"].tolist() == [9.0, 0.05, 0.05]


def test_a_repetition_is_chosen_by_number(tmp_path):
    for index in (1, 2):
        write(tmp_path / "a" / f"a_00{index}.txt", f"{index},2,3,4")
    assert read_results(tmp_path, ["a"]).boxes_xywh["a"][0, 0] == 1
    assert read_results(tmp_path, ["a"], repetition=2).boxes_xywh["a"][0, 0] == 2


def test_all_repetitions_are_read_in_their_order(tmp_path):
    for name in ("a", "b"):
        for index in (2, 1, 3):
            write(tmp_path / name / f"{name}_00{index}.txt", f"{index},2,3,4")
    runs = read_repetitions(tmp_path, ["a", "b"])
    assert [run.boxes_xywh["b"][0, 0] for run in runs] == [1, 2, 3]
    (tmp_path / "b" / "b_003.txt").unlink()
    with pytest.raises(
        ResultFileError, match=r"the same runs of every sequence.*\[1, 2\] of b|\[1, 2\] of b and"
    ):
        read_repetitions(tmp_path, ["a", "b"])


def test_a_sequence_that_ends_in_three_digits_is_no_repetition(tmp_path):
    write(tmp_path / "cat_001.txt", "1,2,3,4")
    write(tmp_path / "cat_002.txt", "5,2,3,4")
    (only,) = read_repetitions(tmp_path, ["cat_001", "cat_002"])
    assert only.boxes_xywh["cat_002"][0, 0] == 5


def test_a_sequence_whose_name_ends_in_three_digits_is_itself(tmp_path):
    write(tmp_path / "GOT-10k_Val_000001" / "GOT-10k_Val_000001_001.txt", "1,2,3,4")
    write(tmp_path / "ball_002.txt", "2,2,3,4")
    results = read_results(tmp_path, ["GOT-10k_Val_000001", "ball_002"])
    assert sorted(results.boxes_xywh) == ["GOT-10k_Val_000001", "ball_002"]


def test_a_zip_is_read_as_a_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.writestr("a.txt", "1,2,3,4\n")
    assert read_results(tmp_path / "r.zip", ["a", "b"]).boxes_xywh["a"].tolist() == [[1, 2, 3, 4]]


def test_names_agree_in_plain_form():
    assert len({plain_name(name) for name in ("Jogging_1", "Jogging.1", "Jogging-1")}) == 1
    assert plain_name("uav_car1_s") == "car1_s"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "got none of its names"),
        ({"a.txt": "1,2,3,4\n1,2,3"}, r"a\.txt line 2 must hold 4 numbers .*, got '1,2,3'"),
        ({"a.txt": ""}, "got an empty file"),
        ({"a.txt": "1,2,x,4"}, "line 1 must hold 4 numbers .*, got '1,2,x,4'"),
        ({"one/a.txt": "1,2,3,4", "two/a.txt": "1,2,3,4"}, "one file per sequence"),
    ],
)
def test_damaged_results_give_one_clear_error(tmp_path, files, message):
    for name, text in files.items():
        write(tmp_path / name, text)
    with pytest.raises(ResultFileError, match=message):
        read_results(tmp_path, ["a"])


def test_a_missing_place_is_named(tmp_path):
    with pytest.raises(ResultFileError, match="results must be a folder or a zip"):
        read_results(tmp_path / "none", ["a"])


@pytest.mark.shared
def test_a_zip_of_results_that_would_fill_the_memory_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "r.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a", "b"):
            archive.writestr(f"{name}.txt", bytes(9 * 2**20))
    with pytest.raises(ResultFileError, match=r"r\.zip: [\d,]+ bytes would unpack to 18,874,368; repack it"):
        read_results(tmp_path / "r.zip", ["a", "b"])


def test_results_of_many_long_sequences_are_read_whole(lasot_zip, tmp_path, simulate):
    annotations = scored_sequences(open_truth("lasot", lasot_zip))[::4]
    for seed, annotation in enumerate(annotations):
        np.savetxt(tmp_path / f"{annotation.name}.txt", simulate(annotation.boxes_xywh, seed), fmt="%.2f")
    results = read_results(tmp_path, [a.name for a in annotations])
    assert len(results.boxes_xywh) == 70
    assert sum(map(len, results.boxes_xywh.values())) == sum(map(len, annotations))


@pytest.mark.parametrize("text", ["{", "[3]", "{}", '{"frames": null}'])
def test_a_damaged_count_of_frames_is_one_clear_error(tmp_path, text):
    write(tmp_path / "a.txt", "1,2,3,4")
    write(tmp_path / "stages" / "a.json", text)
    with pytest.raises(ResultFileError, match=r"stages/a\.json must be JSON with a number of frames"):
        read_results(tmp_path, ["a"])


def test_a_damaged_member_of_a_zip_is_one_clear_error(tmp_path):
    path = tmp_path / "r.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "1,2,3,4\n" * 100)
    data = bytearray(path.read_bytes())
    data[35:40] = b"\xff" * 5  # the packed bytes begin at 30 + the length of the name
    path.write_bytes(data)
    with pytest.raises(ResultFileError, match="a zip that can be read whole"):
        read_results(path, ["a"])


def test_an_encrypted_zip_is_one_clear_error(tmp_path):
    path = tmp_path / "r.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "1,2,3,4\n")
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ResultFileError, match=r"a zip that can be read whole.*encrypted"):
        read_results(path, ["a"])


def test_a_run_file_that_is_no_object_is_one_clear_error(tmp_path):
    write(tmp_path / "run.json", "[1]")
    with pytest.raises(ResultFileError, match=r"must be a JSON object written by starktrack, got: \[1\]"):
        read_run_file(tmp_path)


def test_a_list_of_names_must_be_text(tmp_path):
    (tmp_path / "names.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="must be a text file of sequence names"):
        read_names(tmp_path / "names.txt")
    write(tmp_path / "good.txt", "a b\nc\n")
    assert read_names(tmp_path / "good.txt") == ["a", "b", "c"]
