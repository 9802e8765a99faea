import numpy as np
import pytest

from starktrack.data.formats.format_error import named_errors
from starktrack.data.formats.regions import parse_region
from starktrack.data.sources import open_dataset
from starktrack.data.sources.vot import read_regions
from starktrack.errors import DatasetError

# A mask of 4 x 2 pixels at (5, 3): rows .##. and ..#.
MASK = "m5,3,4,2,1,2,3,1,1"


def write(build, lines: list[str], sequence: list[str] | None = None) -> None:
    build.lines("sequences/list.txt", ["ball"])
    build.lines("sequences/ball/groundtruth.txt", lines)
    if sequence is not None:
        build.lines("sequences/ball/sequence", sequence)
    build.pictures("sequences/ball/color/{:08d}.jpg", range(1, len(lines) + 1))


def test_masks_polygons_boxes_codes_and_nan_become_boxes(build):
    write(build, [MASK, "1,2,4,2,4,7,1,6", "1.5,2,3,4", "1", "nan,nan,nan,nan", "m0,0,2,1,2"])
    sequence = open_dataset("vot", build.root, "all")[0]
    assert sequence.boxes_xywh.tolist() == [
        [6, 3, 2, 2],
        [1, 2, 3, 5],
        [1.5, 2, 3, 4],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    assert sequence.visible.tolist() == [True, True, True, False, False, False]


def test_masks_lie_where_their_offset_says(build):
    write(build, [MASK, "m-1,-1,2,2,0,4", "m15,11,3,3,0,9", "0"])
    masks = open_dataset("vot", build.root, "all")[0].masks
    first = masks.read(0)
    assert first.shape == (12, 16)
    assert np.argwhere(first).tolist() == [[3, 6], [3, 7], [4, 7]]
    assert np.argwhere(masks.read(1)).tolist() == [[0, 0]]
    assert np.argwhere(masks.read(2)).tolist() == [[11, 15]]
    assert not masks.read(3).any()


def test_the_size_in_the_sequence_file_saves_reading_a_frame(build):
    write(build, [MASK], ["width=20", "height=9", "channels.color=color/%08d.jpg"])
    sequence = open_dataset("vot", build.root, "all")[0]
    assert sequence.masks.read(0).shape == (9, 20)


def test_polygons_have_no_masks_but_keep_their_corners(build):
    write(build, ["1,2,4,2,4,7,1,6"])
    dataset = open_dataset("vot", build.root, "all")
    assert dataset[0].masks is None
    assert read_regions(dataset.entry("ball"))[0].points_xy.tolist() == [[1, 2], [4, 2], [4, 7], [1, 6]]


def test_anchors_and_tags_are_read(build):
    write(build, ["1,2,3,4"] * 4)
    build.lines("sequences/ball/anchor.value", ["1", "0", "-1"])
    build.lines("sequences/ball/occlusion.tag", ["0", "1", "0", "0"])
    info = open_dataset("vot", build.root, "all")["ball"].benchmark
    assert info.anchors == {0: 1, 2: -1}
    assert info.tags["occlusion"].tolist() == [False, True, False, False]


@pytest.mark.parametrize("line", ["1,2", "1,2,3", "a,b,c,d", "m1,2,2,2,0,9", "m1,2", "1,2,3,4,5"])
def test_a_broken_line_is_named(line):
    with (
        pytest.raises(DatasetError, match=r"g\.txt line 3 must be a mask, a polygon, a box or a code, got"),
        named_errors("g.txt line 3", DatasetError),
    ):
        parse_region(line)


def test_ones_own_videos_with_a_list_are_not_taken_for_a_workspace(build):
    build.got10k("cat")
    build.lines("list.txt", ["cat"])
    with pytest.raises(DatasetError, match="holds no sequence of a VOT workspace"):
        open_dataset("vot", build.root, "all")


def test_a_workspace_without_a_list_says_so(build):
    build.lines("sequences/ball/groundtruth.txt", ["1,2,3,4"])
    with pytest.raises(DatasetError, match=r"sequences/list\.txt is missing"):
        open_dataset("vot", build.root, "all")
