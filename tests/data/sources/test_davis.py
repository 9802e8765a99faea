import cv2
import numpy as np
import pytest

from starktrack.data.sources import indexed, open_dataset
from starktrack.errors import DatasetError
from starktrack.geometry.boxes import box_of_mask


def write(build, video: str, labels: list[np.ndarray]) -> None:
    for index, picture in enumerate(labels):
        build.picture(f"JPEGImages/480p/{video}/{index:05d}.jpg", value=index)
        build.array(f"Annotations/480p/{video}/{index:05d}.png", picture)


def labelled(*objects: tuple[int, int, int]) -> np.ndarray:
    """Each object is (label, first row, first column) of a block of 2 x 3 pixels."""
    picture = np.zeros((12, 16), np.uint8)
    for label, row, column in objects:
        picture[row : row + 2, column : column + 3] = label
    return picture


def test_the_box_of_a_mask_is_tight_and_zero_when_empty():
    assert box_of_mask(labelled((1, 4, 5)) > 0) == (5, 4, 3, 2)
    assert box_of_mask(np.zeros((3, 3), bool)) == (0, 0, 0, 0)


def test_one_white_object_is_one_sequence(build):
    write(build, "swan", [labelled((255, 4, 5)), labelled(), labelled((255, 10, 0))])
    sequence = open_dataset("davis", build.root, "all")["swan"]
    assert sequence.boxes_xywh.tolist() == [[5, 4, 3, 2], [0, 0, 0, 0], [0, 10, 3, 2]]
    assert sequence.visible.tolist() == [True, False, True]
    assert sequence.masks.read(0).sum() == 6


def test_several_objects_are_several_sequences(build):
    write(build, "pair", [labelled((1, 0, 0), (2, 4, 5)), labelled((2, 5, 5))])
    dataset = open_dataset("davis", build.root, "all")
    assert dataset.names == ("pair_1", "pair_2")
    assert dataset["pair_1"].visible.tolist() == [True, False]
    assert dataset["pair_2"].boxes_xywh.tolist() == [[5, 4, 3, 2], [5, 5, 3, 2]]
    assert dataset["pair_1"].origins == dataset["pair_2"].origins == {"pair"}
    assert indexed(dataset)["pair_1"].origins == indexed(dataset)["pair_2"].origins


def test_palette_colours_are_read_as_their_numbers(build):
    # OpenCV paints palette pictures and cannot write them: this one is put together by hand.
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + row.tobytes() for row in labelled((1, 0, 0), (2, 4, 5)))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 12, 8, 3, 0, 0, 0))
    png += chunk(b"PLTE", bytes([0, 0, 0, 128, 0, 0, 0, 128, 0])) + chunk(b"IDAT", zlib.compress(rows))
    png += chunk(b"IEND", b"")
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED).ndim == 3
    write(build, "pair", [labelled()])
    (build.root / "Annotations/480p/pair/00000.png").write_bytes(png)
    dataset = open_dataset("davis", build.root, "all")
    assert dataset["pair_2"].boxes_xywh.tolist() == [[5, 4, 3, 2]]


def test_a_split_is_the_list_that_comes_with_the_data(build):
    write(build, "swan", [labelled((255, 4, 5))])
    write(build, "goat", [labelled((255, 4, 5))])
    build.lines("ImageSets/2017/val.txt", ["goat", "lost"])
    dataset = open_dataset("davis", build.root, "val", allow_missing=True)
    assert dataset.names == ("goat",)
    assert dataset.missing == ("lost",)
    with pytest.raises(DatasetError, match=r"ImageSets/2016/train\.txt is missing"):
        open_dataset("davis", build.root, "2016/train")


def test_a_lost_mask_is_an_error(build):
    write(build, "swan", [labelled((255, 4, 5))] * 3)
    (build.root / "Annotations/480p/swan/00001.png").unlink()
    with pytest.raises(DatasetError, match=r"swan must hold a mask per frame: 2 masks, 3 frames"):
        open_dataset("davis", build.root, "all")[0]


@pytest.mark.shared
@pytest.mark.parametrize("name", ["blackswan", "libby"])
def test_the_reference_sequences_have_a_mask_for_each_frame(shared_data, name):
    sequence = open_dataset("davis", shared_data / "eval" / "davis", "all", allow_missing=True)[name]
    assert len(sequence.masks) == len(sequence.frames)
    x, y, w, h = sequence.boxes_xywh[0].astype(int)
    mask = sequence.masks.read(0)
    assert mask[y : y + h, x : x + w].sum() == mask.sum() > 0
    assert mask.shape == sequence.frames.read(0).shape[:2]
