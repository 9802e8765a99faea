import pickle

import numpy as np
import pytest

from starktrack.data.sources import index as index_module
from starktrack.data.sources import indexed, open_dataset
from starktrack.data.sources.index import group_by_marks
from starktrack.errors import DatasetError


def same(left, right) -> None:
    assert (left.name, left.frames, left.object_class) == (right.name, right.frames, right.object_class)
    np.testing.assert_array_equal(left.boxes_xywh, right.boxes_xywh)
    np.testing.assert_array_equal(left.visible, right.visible)


def videos(build):
    build.got10k("ant", count=3, absent=1)
    build.got10k("bee", count=11, absent=10)
    build.got10k("cow", count=2, absent=0)
    build.picture("cow/odd name.png", value=9)
    build.boxes("cow/groundtruth.txt", 3)
    for label in ("absence", "cover"):
        (build.root / f"cow/{label}.label").unlink()
    return open_dataset("videos", build.root, "all")


def test_an_indexed_set_gives_the_same_sequences(build):
    dataset = videos(build)
    seen = []
    kept = indexed(dataset, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert kept.names == dataset.names
    for index, name in enumerate(dataset.names):
        same(kept[index], dataset[name])
        same(kept[name], dataset[name])
    same(kept[-1], dataset["cow"])
    assert kept["cow"].frames.read(2)[0, 0, 0] == 9


def test_the_second_time_no_annotation_is_read(build, monkeypatch):
    dataset = videos(build)
    first = indexed(dataset)
    monkeypatch.setattr(index_module, "_build", lambda *args: pytest.fail("read again"))
    same(indexed(dataset)[1], first[1])


def test_a_changed_annotation_is_read_again(build):
    dataset = videos(build)
    indexed(dataset)
    build.lines("ant/groundtruth.txt", ["9,9,9,9", "1,1,1,1", "1,1,1,1"])
    assert indexed(dataset)["ant"].boxes_xywh[0].tolist() == [9, 9, 9, 9]


def test_a_changed_list_of_frames_is_read_again(build):
    build.pictures("ant/frame {}.png", range(1, 4))
    build.boxes("ant/groundtruth.txt", 3)
    dataset = open_dataset("videos", build.root, "all")
    assert indexed(dataset)["ant"].frames.name(0) == "frame 1.png"
    for number in range(1, 4):
        (build.root / f"ant/frame {number}.png").rename(build.root / f"ant/picture {number}.png")
    assert indexed(dataset)["ant"].frames.name(0) == "picture 1.png"


def test_own_videos_that_share_frames_share_an_origin(build):
    for name, start in (("ant", 1), ("bee", 5), ("cow", 20)):
        for number in range(6):
            build.picture(f"{name}/{number:04d}.png", value=start + number)
        build.boxes(f"{name}/groundtruth.txt", 6)
    kept = indexed(open_dataset("videos", build.root, "all"))
    ant, bee, cow = (kept[name].origins for name in ("ant", "bee", "cow"))
    assert ant == bee == {"ant"}, "the frames of 5 and 6 are in both"
    assert cow == {"cow"}


def test_shared_marks_connect_sequences_over_others():
    marks = [frozenset("a"), frozenset("b"), frozenset("c"), frozenset("ab"), frozenset("d"), frozenset("cd")]
    assert group_by_marks(marks).tolist() == [0, 0, 2, 0, 2, 2]
    assert group_by_marks([]).tolist() == []


def test_many_sequences_are_read_by_processes_in_their_order(build, monkeypatch):
    monkeypatch.setattr(index_module, "FEW", 2)
    dataset = videos(build)
    kept = indexed(dataset)
    for index in range(3):
        same(kept[index], dataset[index])


def test_a_broken_annotation_is_named_by_a_process_too(build, monkeypatch):
    monkeypatch.setattr(index_module, "FEW", 2)
    dataset = videos(build)
    build.lines("bee/groundtruth.txt", ["1,2,3"])
    with pytest.raises(DatasetError, match=r"bee/groundtruth\.txt line 1"):
        indexed(dataset)


def test_a_damaged_index_is_built_again(build, cache):
    dataset = videos(build)
    indexed(dataset)
    (file,) = (cache / "index").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    same(indexed(dataset)[0], dataset[0])


def test_an_indexed_set_can_be_pickled(build):
    kept = indexed(videos(build))
    same(pickle.loads(pickle.dumps(kept))["bee"], kept["bee"])


def test_masks_come_back_from_the_index(build):
    label = np.zeros((12, 16), np.uint8)
    label[2:4, 5:9] = 255
    build.picture("JPEGImages/480p/swan/00000.jpg")
    build.array("Annotations/480p/swan/00000.png", label)
    sequence = indexed(open_dataset("davis", build.root, "all"))[0]
    assert sequence.masks.read(0).sum() == 8
    assert sequence.boxes_xywh.tolist() == [[5, 2, 4, 2]]


def test_frames_in_a_zip_folder_below_the_entry_are_found_again(build):
    build.boxes("TRAIN_0/anno/s.txt", 3)
    build.pictures("tmp/{}.png", range(3))
    (build.root / "TRAIN_0/zips").mkdir()
    build.pack("tmp", "TRAIN_0/zips/s.zip", "s/")
    kept = indexed(open_dataset("trackingnet", build.root, "train0"))
    assert kept[0].frames.read(2)[0, 0, 0] == 2


def test_a_broken_annotation_stops_the_index_and_is_named(build):
    dataset = videos(build)
    build.lines("bee/groundtruth.txt", ["1,2,3"])
    with pytest.raises(DatasetError, match=r"bee/groundtruth\.txt line 1"):
        indexed(dataset)


def test_missing_frames_cannot_be_indexed(build):
    build.got10k("GOT-10k_Val_000001")
    for picture in (build.root / "GOT-10k_Val_000001").glob("*.png"):
        picture.unlink()
    dataset = open_dataset("got10k", build.root, "val", allow_missing=True)
    with pytest.raises(DatasetError, match=r"GOT-10k_Val_000001 must hold the frames of GOT-10k_Val_000001"):
        indexed(dataset)
