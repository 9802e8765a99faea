import json

import cv2
import numpy as np
import PIL.Image
import pytest

from starktrack.data.formats.mask_files import MaskWriter, check_mask_folder, label_png
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import read_labels
from starktrack.errors import DatasetError, InputError, VideoBrokenError


def mask(rows, columns):
    pixels = np.zeros((4, 5), bool)
    pixels[rows, columns] = True
    return pixels


def test_a_label_picture_has_colours_for_people_and_numbers_for_programs(tmp_path):
    labels = np.array([[0, 1], [2, 7]], np.uint8)
    (tmp_path / "a.png").write_bytes(label_png(labels))
    assert read_labels(Folder(tmp_path), "a.png").tolist() == labels.tolist()
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    (tmp_path / "b.png").write_bytes(label_png(every))
    assert read_labels(Folder(tmp_path), "b.png").tolist() == every.tolist()
    shown = cv2.imread(str(tmp_path / "a.png"))[:, :, ::-1]
    assert shown[0].tolist() == [[0, 0, 0], [0, 114, 178]]
    assert shown[1, 0].tolist() == [230, 159, 0]


def test_the_folder_holds_a_picture_per_frame_and_the_runs_of_all(tmp_path):
    place = tmp_path / "masks"
    with MaskWriter(place) as writer:
        writer.write(7, {0: mask(slice(1, 3), slice(2, 4))})
        assert not place.exists()
        writer.write(8, {0: mask(slice(0, 2), slice(0, 2)), 1: mask(slice(1, 2), slice(1, 5))})
    assert sorted(path.name for path in place.iterdir()) == ["000007.png", "000008.png", "masks.json"]
    first, *rest = json.loads((place / "masks.json").read_text())
    # Column by column: two columns of four, then rows 1 and 2 of the third and of the fourth.
    assert first == {"frame": 7, "target": 0, "size": [4, 5], "counts": [9, 2, 2, 2, 5]}
    assert [(each["frame"], each["target"]) for each in rest] == [(8, 0), (8, 1)]
    labels = read_labels(Folder(place), "000008.png")
    assert labels[:2].tolist() == [[1, 1, 0, 0, 0], [1, 2, 2, 2, 2]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["masks"]


def test_an_error_leaves_nothing_and_a_source_that_broke_off_leaves_what_there_was(tmp_path):
    for error, kept in ((RuntimeError("stop"), []), (VideoBrokenError("broken", 1), ["masks"])):
        with pytest.raises(type(error)), MaskWriter(tmp_path / "masks") as writer:
            writer.write(0, {0: mask(0, 0)})
            raise error
        assert [path.name for path in tmp_path.iterdir()] == kept


def test_without_frames_there_is_no_folder(tmp_path):
    with MaskWriter(tmp_path / "masks"):
        pass
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_filled_and_a_full_one_refused(tmp_path):
    place = tmp_path / "masks"
    place.mkdir()
    with MaskWriter(place) as writer:
        writer.write(0, {0: mask(0, 0)})
    with pytest.raises(InputError, match=r"masks must be new or empty, .* is not; give another"):
        check_mask_folder(place)
    with pytest.raises(InputError, match=r"masks must lie in a folder that exists; create"):
        check_mask_folder(tmp_path / "missing" / "masks")


def test_labels_of_equal_colour_stay_apart_and_a_picture_in_colour_is_no_mask(tmp_path):
    labels = np.array([[0, 1], [2, 1]], np.uint8)
    picture = PIL.Image.frombytes("P", (2, 2), labels.tobytes())
    picture.putpalette([9] * 768)
    picture.save(tmp_path / "same.png")
    assert read_labels(Folder(tmp_path), "same.png").tolist() == labels.tolist()
    cv2.imwrite(str(tmp_path / "colour.png"), np.full((2, 2, 3), [1, 2, 3], np.uint8))
    with pytest.raises(DatasetError, match=r"colour\.png must be grey or have a palette"):
        read_labels(Folder(tmp_path), "colour.png")
