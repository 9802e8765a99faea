import json

import numpy as np
import pytest

from starktrack.data.formats.coco_masks import PolygonMask, RunMask, fill_polygon, unpack_runs
from starktrack.data.sources import open_dataset
from starktrack.data.sources.coco import COCO
from starktrack.data.sources.folders import Folder
from starktrack.errors import DatasetError, SourceWarning

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
    assert dataset["8"].benchmark.resolution_wh == (16, 12)


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


def test_missing_pictures_are_named_and_left_out_where_that_is_allowed(build):
    write(build)
    (build.root / "train2017/a.png").unlink()
    with pytest.raises(DatasetError, match=r"all 2 sequences of coco train2017, 1 are missing: 8 in a\.png"):
        open_dataset("coco", build.root, "train2017")
    dataset = open_dataset("coco", build.root, "train2017", allow_missing=True)
    assert list(dataset.names) == ["5"] and len(dataset) == 1 and dataset.image_index.tolist() == [1]
    assert dataset[0].name == dataset[-1].name == dataset["5"].name == "5"
    with pytest.raises(DatasetError, match="no object '8'"):
        dataset["8"]


def test_pictures_may_lie_in_folders_that_the_file_names(build):
    changed = content()
    changed["images"][0]["file_name"] = "one/a.png"
    build.lines("mine.json", [json.dumps(changed)])
    build.picture("one/a.png", value=1)
    build.picture("b.png", value=2)
    dataset = open_dataset("coco", build.root, "mine")
    assert dataset.missing == () and dataset["8"].frames.read(0)[0, 0, 0] == 1


def with_runs(counts, size=(12, 16)):
    changed = content()
    changed["annotations"][0]["segmentation"] = {"size": list(size), "counts": counts}
    return changed


@pytest.mark.parametrize(
    "counts", [[27, 2, 10, 2, 10, 2, 10, 2, 127], "k02:00000e3"], ids=["plain", "packed"]
)
def test_runs_of_pixels_become_a_mask(build, counts):
    # Down columns of 12: rows 3 and 4 of columns 2 to 5.
    write(build)
    build.lines("annotations/instances_train2017.json", [json.dumps(with_runs(counts))])
    mask = open_dataset("coco", build.root, "train2017")["5"].masks.read(0)
    assert mask.shape == (12, 16) and mask.sum() == 8 and mask[3:5, 2:6].all()


def test_packed_runs_by_hand():
    # 35 = 3 + 32: low five bits 3 and a bit for more, then 1; the fourth is the difference to the second.
    assert unpack_runs("52203") == [5, 2, 2, 2, 5]
    assert unpack_runs("S11T3Wo0oL") == [35, 1, 100, 1000, 3]
    for text in ("", "é", "5P", "0O"):
        with pytest.raises(ValueError, match="runs must be packed"):
            unpack_runs(text)


def test_a_mask_of_runs_goes_down_columns():
    assert RunMask(np.array([1, 2, 3]), (2, 3)).read(0).tolist() == [
        [False, True, False],
        [True, False, False],
    ]


BAD = {
    "runs of another size": (
        {"segmentation": {"size": [16, 12], "counts": [100, 92]}},
        "runs must fill the picture of 16 x 12",
    ),
    "runs that do not fill": ({"segmentation": {"size": [12, 16], "counts": [100, 91]}}, "got 191 pixels"),
    "unknown picture": ({"image_id": 999}, "no picture has the id 999"),
    "unknown category": ({"category_id": 77}, "no category has the id 77"),
    "no category": ({"category_id": None}, "no category has the id None"),
    "no box": ({"bbox": None}, "not iterable"),
    "box of three": ({"bbox": [1, 2, 3]}, "not enough values"),
    "box of words": ({"bbox": ["a", 2, 3, 4]}, "could not convert"),
    "box of NaN": ({"bbox": [float("nan"), 2, 3, 4]}, "is not finite"),
    "a word as id": ({"id": "five"}, "invalid literal"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_annotation_that_cannot_be_used_is_left_out_counted_and_named(build, case):
    write(build)
    changed, (fields, reason) = content(), BAD[case]
    changed["annotations"][0] |= fields
    build.lines("annotations/instances_train2017.json", [json.dumps(changed)])
    number = fields.get("id", 5)
    for _ in range(2):  # parsed, then from the kept columns
        with pytest.warns(SourceWarning, match=rf"1 annotations are left out: {number} \(.*{reason}"):
            dataset = open_dataset("coco", build.root, "train2017")
        assert list(dataset.names) == ["8"]


def test_objects_of_a_picture_without_a_size_are_left_out(build):
    write(build)
    changed = content()
    del changed["images"][1]["height"]
    build.lines("annotations/instances_train2017.json", [json.dumps(changed)])
    with pytest.warns(SourceWarning, match=r"left out: 5 \(picture 71 has no width and height\)"):
        assert list(open_dataset("coco", build.root, "train2017").names) == ["8"]


def test_ids_may_be_texts(build):
    write(build)
    changed = content()
    for annotation in changed["annotations"]:
        annotation |= {key: str(annotation[key]) for key in ("id", "image_id")}
    for image in changed["images"]:
        image["id"] = str(image["id"])
    build.lines("annotations/instances_train2017.json", [json.dumps(changed)])
    assert list(open_dataset("coco", build.root, "train2017").names) == ["5", "8"]


def test_a_file_of_which_nothing_can_be_used_says_why(build):
    write(build)
    changed = content()
    changed["images"] = [{**image, "id": 0} for image in changed["images"]]
    build.lines("annotations/instances_train2017.json", [json.dumps(changed)])
    with pytest.raises(
        DatasetError, match=r"no object with an area; the first .*: 5 \(no picture has the id 71\)"
    ):
        open_dataset("coco", build.root, "train2017")


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


def test_captions_beside_instances_are_no_split(tmp_path):
    annotations = tmp_path / "annotations"
    annotations.mkdir()
    for name in ("captions_val2017", "instances_val2017", "person_keypoints_val2017"):
        (annotations / f"{name}.json").write_text("{}")
    assert COCO.own_splits(Folder(tmp_path)) == ["val2017"]
