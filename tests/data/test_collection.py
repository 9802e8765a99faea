import cv2
import numpy as np
import pytest

from starktrack.data.collection import annotation_form, open_benchmark
from starktrack.errors import DatasetError


def sequence(folder, annotation, lines, pattern, first=1):
    (folder / pattern).parent.mkdir(parents=True)
    (folder / annotation).write_text("".join(f"{line}\n" for line in lines))
    for index in range(len(lines)):
        path = folder / pattern.format(first + index)
        cv2.imwrite(str(path), np.full((12, 16, 3), index, np.uint8))


@pytest.fixture
def root(tmp_path):
    sequence(tmp_path / "otb" / "Dog", "groundtruth_rect.txt", ["1,2,3,4"] * 3, "img/{:04d}.jpg")
    tlp = [f"{index + 1},1,2,3,4,0" for index in range(2)]
    sequence(tmp_path / "long" / "Drone", "groundtruth_rect.txt", tlp, "img/{:05d}.jpg")
    return tmp_path


def test_every_data_set_below_a_folder_is_one(root):
    dataset = open_benchmark("all", root, allow_missing=True)
    assert set(dataset.names) == {"otb_Dog", "tlp_Drone"}
    assert len(dataset["otb_Dog"]) == 3
    assert dataset["tlp_Drone"].name == "tlp_Drone"
    assert annotation_form(dataset) == "tlp: groundtruth_rect.txt, otb: groundtruth_rect.txt"


def test_incomplete_data_sets_must_be_allowed(root):
    with pytest.raises(DatasetError, match=r"must be whole, 99 sequences are missing: otb_Basketball"):
        open_benchmark("all", root)


def test_a_single_data_set_opens_in_the_split_of_its_benchmark(root):
    dataset = open_benchmark("otb", root / "otb", allow_missing=True)
    assert (dataset.name, dataset.split, dataset.names) == ("otb", "test", ("Dog",))


def test_a_folder_without_data_sets_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="holds no data set that is known"):
        open_benchmark("all", tmp_path)
