import numpy as np
import pytest

from starktrack.data.sources import open_dataset
from starktrack.data.sources.got10k import split_names
from starktrack.errors import DatasetError


@pytest.mark.parametrize(
    ("split", "count"),
    [
        ("train", 9335),
        ("ltrtrain", 7934),
        ("ltrval", 1401),
        ("vottrain", 7086),
        ("votval", 1249),
        ("vot_allowed", 8335),
        ("val", 180),
        ("test", 180),
    ],
)
def test_each_split_has_the_published_number_of_sequences(split, count):
    names = split_names(split)
    assert len(set(names)) == len(names) == count


def test_vottrain_and_votval_are_the_published_numbers():
    # First three and last lines of the published lists: numbers count list.txt from 0.
    assert {f"GOT-10k_Train_{number + 1:06d}" for number in (3784, 8998, 1631, 3927, 311)} <= set(
        split_names("vottrain")
    )
    assert {f"GOT-10k_Train_{number + 1:06d}" for number in (1349, 5878, 562)} <= set(split_names("votval"))
    assert "GOT-10k_Train_000004" not in split_names("vot_allowed")
    assert "GOT-10k_Train_000004" in split_names("vottrain")


@pytest.mark.parametrize("place", ["train", "", "GOT-10k_Train_split_01", "train/GOT-10k_Train_split_19"])
def test_a_sequence_is_found_in_every_layout(build, place):
    build.got10k(f"{place}/GOT-10k_Train_000002".lstrip("/"), count=3, absent=1)
    dataset = open_dataset("got10k", build.root, "train", allow_missing=True)
    assert dataset.names == ("GOT-10k_Train_000002",)
    assert len(dataset.missing) == 9334
    sequence = dataset[0]
    assert sequence.object_class == "fox"
    assert sequence.visible.tolist() == [True, False, True]
    np.testing.assert_array_equal(sequence.boxes_xywh[2], [3, 2, 3, 4])
    assert [sequence.frames.read(index)[0, 0, 0] for index in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("prefix", ["", "GOT-10k_Train_split_01/"])
def test_a_sequence_is_found_inside_its_split_zip(build, prefix):
    build.got10k("tmp/GOT-10k_Train_000002")
    build.pack("tmp", "GOT-10k_Train_split_01.zip", prefix)
    sequence = open_dataset("got10k", build.root, "train", allow_missing=True)[0]
    assert sequence.frames.read(1)[0, 0, 0] == 2
    assert len(sequence) == 3


def test_the_test_split_knows_its_length_from_the_frames(build):
    build.got10k("test/GOT-10k_Test_000001", count=4)
    build.lines("test/GOT-10k_Test_000001/groundtruth.txt", ["1.5000,2.0000,3.0000,4.0000"])
    sequence = open_dataset("got10k", build.root, "test", allow_missing=True)[0]
    assert len(sequence) == 1
    assert len(sequence.frames) == 4
    assert sequence.boxes_xywh.tolist() == [[1.5, 2, 3, 4]]


def test_the_cover_says_what_is_scored_and_the_flags_only_without_it(build):
    build.got10k("val/GOT-10k_Val_000001", absent=2)
    build.lines("val/GOT-10k_Val_000001/absence.label", ["0", "1", "1"])
    dataset = open_dataset("got10k", build.root, "val", allow_missing=True)
    assert dataset["GOT-10k_Val_000001"].benchmark.resolution_wh == (16, 12)
    assert dataset[0].flagged_absent.tolist() == [False, False, True]
    assert dataset[0].visible.tolist() == [True, False, False]
    (build.root / "val/GOT-10k_Val_000001/cover.label").unlink()
    assert dataset[0].flagged_absent.tolist() == [False, True, True]
    (build.root / "val/GOT-10k_Val_000001/absence.label").unlink()
    assert dataset[0].flagged_absent is None


def test_missing_sequences_are_an_error_that_names_them(build):
    build.got10k("val/GOT-10k_Val_000001")
    with pytest.raises(DatasetError, match=r"all 180 .* 179 are missing: GOT-10k_Val_000002, "):
        open_dataset("got10k", build.root, "val")


def test_flags_of_another_length_name_the_file(build):
    build.got10k("val/GOT-10k_Val_000001")
    build.lines("val/GOT-10k_Val_000001/cover.label", ["8"])
    dataset = open_dataset("got10k", build.root, "val", allow_missing=True)
    with pytest.raises(DatasetError, match=r"cover\.label must hold 3 numbers, one per box, got 1"):
        dataset[0]


def test_own_videos_come_in_the_order_of_their_list(build):
    build.got10k("zebra", extension="webp")
    build.got10k("ant", extension="jpg")
    build.lines("list.txt", ["zebra", "ant"])
    dataset = open_dataset("videos", build.root, "all")
    assert dataset.names == ("zebra", "ant")
    assert dataset["ant"].name == dataset[1].name == "ant"
    assert dataset[0].frames.read(0).shape == (12, 16, 3)


def test_own_videos_need_neither_list_nor_labels_nor_numbers(build):
    for name in ("b.png", "a 10.png", "a 9.png"):
        build.picture(f"cat/{name}", value=len(name))
    build.lines("cat/groundtruth.txt", ["1,2,3,4", "0,0,0,0", "1 2 3 4"])
    sequence = open_dataset("videos", build.root, "all")["cat"]
    assert [sequence.frames.name(index) for index in range(3)] == ["a 9.png", "a 10.png", "b.png"]
    assert sequence.visible.tolist() == [True, False, True]
    assert sequence.object_class is None


def test_own_videos_with_too_few_boxes_say_so(build):
    build.got10k("cat", count=3)
    build.boxes("cat/groundtruth.txt", 2)
    with pytest.raises(
        DatasetError, match=r"cat/groundtruth\.txt must hold a box for each frame: 2 boxes, 3 p"
    ):
        open_dataset("videos", build.root, "all")[0]


def test_a_listed_video_that_is_not_there_is_missing(build):
    build.got10k("cat")
    build.lines("list.txt", ["cat", "dog"])
    with pytest.raises(DatasetError, match="1 are missing: dog"):
        open_dataset("videos", build.root, "all")


@pytest.mark.shared
def test_a_reference_video_opens_as_published(shared_data):
    dataset = open_dataset("got10k", shared_data / "eval" / "got10k", "test", allow_missing=True)
    sequence = dataset["GOT-10k_Test_000001"]
    assert len(sequence.frames) >= len(sequence) == 1
    height, width = sequence.frames.read(len(sequence.frames) - 1).shape[:2]
    x, y, w, h = sequence.boxes_xywh[0]
    assert 0 <= x < x + w <= width and 0 <= y < y + h <= height
