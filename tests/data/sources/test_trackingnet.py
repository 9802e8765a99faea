import pytest

from starktrack.data.sources import indexed, open_dataset
from starktrack.errors import DatasetError


def write(build, chunk: str, name: str = "abc_0", count: int = 12) -> None:
    build.boxes(f"{chunk}/anno/{name}.txt", count)
    build.pictures(f"{chunk}/frames/{name}/{{}}.jpg", range(count))


@pytest.mark.parametrize("chunk", ["TRAIN_0", "Train_0"])
def test_frame_names_count_from_zero_without_padding(build, chunk):
    write(build, chunk)
    sequence = open_dataset("trackingnet", build.root, "train0")["abc_0"]
    assert [sequence.frames.name(index) for index in (0, 9, 10, 11)] == ["0.jpg", "9.jpg", "10.jpg", "11.jpg"]
    assert sequence.visible.all() and len(sequence) == 12


@pytest.mark.parametrize("prefix", ["", "abc_0/"])
def test_frames_are_read_from_the_zip_of_their_sequence(build, prefix):
    build.boxes("TRAIN_3/anno/abc_0.txt", 2)
    build.pictures("tmp/{}.png", range(2))
    (build.root / "TRAIN_3/zips").mkdir()
    build.pack("tmp", "TRAIN_3/zips/abc_0.zip", prefix)
    assert open_dataset("trackingnet", build.root, "train3")[0].frames.read(1)[0, 0, 0] == 1


def test_a_whole_chunk_may_be_one_zip(build):
    write(build, "tmp")
    build.pack("tmp", "TRAIN_1.zip", "TRAIN_1/")
    assert open_dataset("trackingnet", build.root, "train1")[0].frames.read(0).shape == (12, 16, 3)


def test_the_test_set_shows_its_first_box_and_all_frames(build):
    write(build, "TEST")
    build.lines("TEST/anno/abc_0.txt", ["1,2,3,4"])
    sequence = open_dataset("trackingnet", build.root, "test")[0]
    assert (len(sequence), len(sequence.frames)) == (1, 12)
    assert sequence.frames.name(10) == "10.jpg"


def test_zero_boxes_are_not_visible(build):
    write(build, "TRAIN_0", count=2)
    build.lines("TRAIN_0/anno/abc_0.txt", ["1,2,3,4", "1,2,0,4"])
    assert open_dataset("trackingnet", build.root, "train0")[0].visible.tolist() == [True, False]


def test_missing_chunks_and_sequences_are_named(build):
    write(build, "TRAIN_0")
    build.boxes("TRAIN_0/anno/lost_1.txt", 2)
    with pytest.raises(DatasetError, match=r"4 are missing: lost_1, TRAIN_1, TRAIN_2, TRAIN_3"):
        open_dataset("trackingnet", build.root, "train0-3")


def test_targets_of_one_web_video_share_it(build):
    for name in ("a_bc_0", "a_bc_1", "abd_0"):
        write(build, "TRAIN_0", name)
    dataset = indexed(open_dataset("trackingnet", build.root, "train0"))
    assert dataset["a_bc_0"].origins == dataset["a_bc_1"].origins
    assert dataset["abd_0"].origins != dataset["a_bc_0"].origins
