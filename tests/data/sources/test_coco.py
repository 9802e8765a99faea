import json

import numpy as np
import pytest

from starktrack.data.sources import open_dataset
from starktrack.data.sources.coco import COCO, PolygonMask, fill_polygon
from starktrack.data.sources.folders import Folder
from starktrack.errors import DatasetError

SQUARE = [2.0, 3.0, 6.0, 3.0, 6.0, 5.0, 2.0, 5.0]


def content() -> dict:
    return {
        "images": [
            {"id": 70, "file_name": "a.png", "width": 16, "height": 12},
            {"id": 71, "file_name": "b.png", "width": 16, "height": 12},
        ],
        "annotations": [
            {"id": 5, "image_id": 71, "category_id": 9, "bbox": [2, 3, 4, 2], "segmentation": [SQUARE]},
            {"id": 6, "image_id": 71, "category_id": 9, "bbox": [0, 0, 9, 9], "iscrowd": 1},
            {"id": 7, "image_id": 70, "category_id": 8, "bbox": [1, 1, 0, 4]},
            {"id": 8, "image_id": 70, "category_id": 8, "bbox": [1.5, 1, 2, 4], "segmentation": []},
        ],
        "categories": [{"id": 8, "name": "cup"}, {"id": 9, "name": "Zoë's cat"}],
    }


def write(build, images: str = "train2017", annotation: str = "annotations/instances_train2017.json") -> None:
    build.lines(annotation, [json.dumps(content())])
    for value, name in enumerate(("a.png", "b.png"), start=1):
        build.picture(f"{images}/{name}", value=value)


@pytest.mark.parametrize("images", ["train2017", "images/train2017", "images", "."])
def test_objects_become_sequences_of_one_picture(build, images):
    write(build, images)
    dataset = open_dataset("coco", build.root, "train2017")
    assert list(dataset.names) == ["5", "8"], "the crowd and the box without width are left out"
    sequence = dataset[0]
    assert sequence.object_class == "Zoë's cat"
    assert sequence.boxes_xywh.tolist() == [[2, 3, 4, 2]]
    assert sequence.visible.tolist() == [True]
    assert sequence.frames.read(0)[0, 0, 0] == 2
    assert dataset["8"].boxes_xywh.tolist() == [[1.5, 1, 2, 4]]
    assert dataset["8"].masks is None
    assert dataset.facts("8").resolution_wh == (16, 12)


def test_pictures_and_annotations_are_read_inside_their_zips(build):
    write(build)
    build.pack("train2017", "train2017.zip", "train2017/")
    build.pack("annotations", "annotations_trainval2017.zip", "annotations/")
    dataset = open_dataset("coco", build.root, "train2017")
    assert dataset["8"].frames.read(0)[0, 0, 0] == 1


def test_a_polygon_fills_the_pixels_whose_centre_it_holds(build):
    write(build)
    mask = open_dataset("coco", build.root, "train2017")[0].masks.read(0)
    assert mask.shape == (12, 16)
    assert mask.sum() == 8
    assert mask[3:5, 2:6].all()


def test_two_rings_make_one_mask():
    first, second = (
        np.array(SQUARE, np.float32).reshape(4, 2),
        np.array([[8, 8], [12, 8], [8, 12]], np.float32),
    )
    assert PolygonMask((first, second), (12, 16)).read(0).sum() == 8 + 6


def test_a_filled_triangle_has_its_area_wherever_it_lies():
    triangle = np.array([[0, 0], [8, 0], [0, 8]], np.float64)
    assert fill_polygon(triangle, (12, 16)).sum() == 28, (
        "pixels below the diagonal, whose centres it excludes"
    )
    assert fill_polygon(triangle - 4, (12, 16)).sum() == 0
    assert fill_polygon(np.array([[-5, -5], [30, -5], [30, 30], [-5, 30]], float), (12, 16)).all()


def test_ones_own_file_and_pictures_are_found_by_its_name(build):
    write(build, images=".", annotation="mine.json")
    assert len(open_dataset("coco", build.root, "mine")) == 2


def test_the_second_opening_reads_the_kept_columns(build, monkeypatch):
    write(build)
    first = open_dataset("coco", build.root, "train2017")
    monkeypatch.setattr(json, "loads", lambda text: pytest.fail("parsed again"))
    second = open_dataset("coco", build.root, "train2017")
    assert second[0].boxes_xywh.tolist() == first[0].boxes_xywh.tolist()


def test_a_changed_file_is_parsed_again(build):
    write(build)
    assert len(open_dataset("coco", build.root, "train2017")) == 2
    changed = content()
    changed["annotations"] = changed["annotations"][:1]
    build.lines("annotations/instances_train2017.json", [json.dumps(changed)])
    assert len(open_dataset("coco", build.root, "train2017")) == 1


def test_failures_name_the_file(build):
    with pytest.raises(DatasetError, match=r"annotations/instances_train2017\.json is missing"):
        open_dataset("coco", build.root, "train2017")
    build.lines("annotations/instances_train2017.json", ["{"])
    with pytest.raises(DatasetError, match=r"instances_train2017\.json is not valid JSON"):
        open_dataset("coco", build.root, "train2017")
    build.lines("annotations/instances_train2017.json", ['{"images": []}'])
    with pytest.raises(DatasetError, match=r"in COCO's form, got KeyError: 'annotations'"):
        open_dataset("coco", build.root, "train2017")
    build.lines("annotations/instances_train2017.json", [json.dumps(content())])
    with pytest.raises(
        DatasetError, match=r"train2017/a\.png is missing; pictures must lie in train2017, im"
    ):
        open_dataset("coco", build.root, "train2017")


def test_an_unknown_object_is_an_error(build):
    write(build)
    with pytest.raises(DatasetError, match="no object '99'"):
        open_dataset("coco", build.root, "train2017")["99"]


@pytest.mark.shared
def test_the_reference_pictures_open_whole(shared_data):
    dataset = open_dataset("coco", shared_data / "train" / "coco", "train2017")
    assert len(dataset) == 24719
    assert len(np.unique(dataset.image_index)) == 11935
    samples = [dataset[index] for index in range(0, len(dataset), 1000)]
    for sequence in samples:
        height, width = sequence.frames.read(0).shape[:2]
        x, y, w, h = sequence.boxes_xywh[0]
        assert -1 <= x < x + w <= width + 1
        assert -1 <= y < y + h <= height + 1


def test_captions_beside_instances_are_no_split(tmp_path):
    annotations = tmp_path / "annotations"
    annotations.mkdir()
    for name in ("captions_val2017", "instances_val2017", "person_keypoints_val2017"):
        (annotations / f"{name}.json").write_text("{}")
    assert COCO.own_splits(Folder(tmp_path)) == ["val2017"]
