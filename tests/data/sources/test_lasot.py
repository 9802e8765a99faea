import pytest

from starktrack.data.sources import open_dataset
from starktrack.data.sources.lasot import split_names
from starktrack.errors import DatasetError


def write(build, folder: str, count: int = 4) -> None:
    build.pictures(f"{folder}/img/{{:08d}}.jpg", range(1, count + 1))
    build.boxes(f"{folder}/groundtruth.txt", count)
    build.lines(f"{folder}/full_occlusion.txt", ["0,1,0,0"])
    build.lines(f"{folder}/out_of_view.txt", ["0,0,1,0"])


def test_the_splits_are_the_published_ones():
    test, train = split_names("test"), split_names("train")
    assert (len(test), len(train), len(split_names("all"))) == (280, 1120, 1400)
    assert not set(test) & set(train)
    assert {"airplane-1", "airplane-9", "volleyball-19"} <= set(test)
    assert {"airplane-10", "airplane-2", "zebra-9"} <= set(train)


@pytest.mark.parametrize("place", ["airplane/airplane-1", "airplane-1", "LaSOTBenchmark/airplane/airplane-1"])
def test_nested_and_flat_layouts_give_the_same_sequence(build, place):
    write(build, place)
    dataset = open_dataset("lasot", build.root, "test", allow_missing=True)
    sequence = dataset["airplane-1"]
    assert sequence.object_class == "airplane"
    assert sequence.visible.tolist() == [True, False, False, True]
    assert len(sequence.frames) == 4
    assert sequence.frames.read(3).shape == (12, 16, 3)
    assert dataset["airplane-1"].flagged_absent.tolist() == [False, True, True, False]
    assert len(dataset.missing) == 279


@pytest.mark.parametrize("prefix", ["", "airplane/"])
def test_one_zip_per_class_needs_no_unpacking(build, prefix):
    write(build, "tmp/airplane-1")
    write(build, "tmp/airplane-2")
    build.pack("tmp", "airplane.zip", prefix)
    assert open_dataset("lasot", build.root, "test", allow_missing=True).names == ("airplane-1",)
    sequence = open_dataset("lasot", build.root, "train", allow_missing=True)["airplane-2"]
    assert sequence.frames.read(1).shape == (12, 16, 3)


def test_a_sequence_of_the_other_split_is_not_opened(build):
    write(build, "airplane/airplane-2")
    with pytest.raises(DatasetError, match="holds no sequence of LaSOT test"):
        open_dataset("lasot", build.root, "test", allow_missing=True)


def test_annotations_alone_can_be_scored_but_not_tracked(build):
    build.lines("annos/airplane-1.txt", ["1,2,3,4", "0,0,0,0", "1,2,3,4"])
    build.lines("annos/absent/airplane-1.txt", ["0", "0", "1"])
    sequence = open_dataset("lasot", build.root, "test", allow_missing=True)[0]
    assert sequence.visible.tolist() == [True, False, False]
    with pytest.raises(DatasetError, match=r"img/00000001\.jpg is missing"):
        sequence.frames.read(0)


def test_a_lost_flag_file_is_named(build):
    write(build, "airplane-1")
    (build.root / "airplane-1/out_of_view.txt").unlink()
    with pytest.raises(DatasetError, match=r"airplane-1/out_of_view\.txt is missing"):
        open_dataset("lasot", build.root, "test", allow_missing=True)[0]


@pytest.mark.shared
def test_the_toolkit_annotations_have_the_measured_numbers_of_frames(shared_data):
    archive = shared_data.parent / "reference" / "lasot_test_annotations.zip"
    dataset = open_dataset("lasot", archive, "test")
    sequences = [dataset[index] for index in range(len(dataset))]
    # PROTOCOLS: 685,360 frames, 18,346 absent, 3 without area but not absent.
    assert sum(len(s) for s in sequences) == 685_360
    assert sum(int((~s.visible).sum()) for s in sequences) == 18_346 + 3
    assert sum(int(dataset[name].flagged_absent.sum()) for name in dataset.names) == 18_346
