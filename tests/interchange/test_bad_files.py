"""Files that are broken or mean harm: one clear error that names the line or the key, and nothing worse."""

import base64
import contextlib
import json
import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starktrack import interchange
from starktrack.errors import AnnotationError, InputError

PNG_HEAD = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 2**20, 2**20)
BOMB = '<!DOCTYPE a [<!ENTITY b "lol"><!ENTITY c "&b;&b;&b;&b;">]>\n<annotations>&c;</annotations>'
TRACK = '<annotations>\n<track id="0" label="a">\n{}\n</track></annotations>'
BOX = '<box frame="0" outside="0" xtl="0" ytl="0" xbr="1" ybr="1"/>'


def coco(**changes):
    annotation = {"id": 1, "image_id": 1, "track_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4], **changes}
    images = [{"id": 1, "file_name": "frame_000.jpg", "width": 6, "height": 4}]
    return json.dumps({"images": images, "categories": [{"id": 1, "name": "a"}], "annotations": [annotation]})


def labelme(**changes):
    shape = {"label": "a", "shape_type": "rectangle", "points": [[0, 0], [1, 1]], **changes}
    return json.dumps({"shapes": [shape], "imageHeight": 4, "imageWidth": 6})


CASES = [
    ("a.xml", BOMB, r"a.xml line 1 must have no document type"),
    (
        "a.xml",
        '<!DOCTYPE annotations SYSTEM "file:///etc/passwd"><annotations/>',
        r"must have no document type",
    ),
    ("a.xml", "<annotations><track>", r"a.xml line 1 must be XML, got: no element found"),
    (
        "a.xml",
        "<annotations>" + "<a>" * 100 + "</a>" * 100 + "</annotations>",
        r"at most 64 elements in each other",
    ),
    ("a.xml", TRACK.format('<box frame="x" xtl="0"/>'), r"line 3 frame in <box> must be a number .* got 'x'"),
    (
        "a.xml",
        TRACK.format('<box frame="1" xtl="0"/>'),
        r"line 3 must have the attribute ytl in <box>, got none",
    ),
    (
        "a.xml",
        TRACK.format(BOX.replace('"0"', '"99999999999"', 1)),
        r"frame in <box> must be a number from 0 to",
    ),
    (
        "a.xml",
        TRACK.format(BOX.replace('xbr="1"', 'xbr="nan"')),
        r"xbr in <box> must be a number .* got 'nan'",
    ),
    ("a.xml", TRACK.format(BOX + BOX), r"line 3 must hold each target once a frame"),
    (
        "a.xml",
        TRACK.format('<polygon frame="0" points="1,2;3,4"/>'),
        r"points in <polygon> must be three points x,y or more",
    ),
    (
        "a.xml",
        TRACK.format('<mask frame="0" rle="9,9" left="0" top="0" width="2" height="2"/>'),
        r"rle in <mask> must have runs of at most 2 x 2 pixels",
    ),
    (
        "a.xml",
        TRACK.format('<mask frame="0" rle="1" left="0" top="0" width="99999" height="99999"/>'),
        r"runs of at most 99999 x 99999 pixels",
    ),
    ("a.json", '{"images": [', r"a.json line 1 column 13 must be JSON"),
    ("a.json", "[" * 100_000, r"a.json must be plain JSON"),
    ("a.json", coco(bbox=[1, 2, 3]), r"a.json: annotations\[0\].bbox must be a list of 4, got '\[1, 2, 3\]'"),
    ("a.json", coco(bbox=[1, 2, "x", 4]), r"annotations\[0\].bbox\[2\] must be a number"),
    ("a.json", coco(bbox=[1, 2, float("inf"), 4]), r"bbox\[2\] must be a number"),
    ("a.json", coco(category_id=9), r"annotations\[0\].category_id must be one of the 1 categories"),
    ("a.json", coco(track_id=-2), r"annotations\[0\].track_id must be a number from 0"),
    ("a.json", coco(score=2), r"annotations\[0\].score must be a number from 0 to 1, got '2'"),
    ("a.json", coco(segmentation=[[1, 2, 3]]), r"segmentation\[0\] must be three points"),
    (
        "a.json",
        coco(segmentation={"size": [4, 6], "counts": [5]}),
        r"counts must have runs of 24 pixels in all",
    ),
    (
        "a.json",
        coco(segmentation={"size": [4, 6], "counts": "é"}),
        r"counts must be run lengths packed in text",
    ),
    (
        "a.json",
        coco(segmentation={"size": [4, 6], "counts": "5P"}),
        r"must be run lengths packed in text, whole",
    ),
    ("a.json", coco(segmentation={"size": [99999, 99999], "counts": [1]}), r"size must have at most"),
    ("a.json", labelme(points=[[0, 0]], shape_type="polygon"), r"shapes\[0\].points must be three points"),
    ("a.json", labelme(points=5), r"shapes\[0\].points must be a list, got '5'"),
    ("a.json", labelme(shape_type="mask", mask="%%"), r"shapes\[0\].mask must be a PNG in base 64"),
    (
        "a.json",
        labelme(shape_type="mask", mask=base64.b64encode(PNG_HEAD).decode()),
        r"shapes\[0\].mask must be a PNG of at most 268,435,456 pixels",
    ),
    ("a.json", labelme(group_id="x"), r"shapes\[0\].group_id must be a number"),
    ("a.csv", "frame,target,x,y,w,h\n0,0,1,2,3\n", r"a.csv line 2: must hold 6 values as its header"),
    (
        "a.csv",
        "frame,target,x,y,w,h\n0,0,1,2,3,4\n0,0,1,2,3,4\n",
        r"line 3: must hold each target once a frame",
    ),
    ("a.csv", "frame,target,x,y,w,h\n-1,0,1,2,3,4\n", r"a.csv line 2: frame must be a number from 0"),
    ("a.txt", "1,2,3,4\n1,2,3\n", r"a.txt line 2 must hold 4 numbers x,y,w,h"),
    ("a.txt", "0,1,2,3,4,5,1,1,1\n", r"a.txt line 1 must be a number from 1 to .* got '0'"),
    ("a.txt", "1,1,2,3,4,5,1,99,1\n", r"line 1 must name one of the 12 classes"),
    (
        "a.txt",
        "1,1,2,3,4,5,1,1,1\n2,1,2,3,4,5,1,3,1\n",
        r"must give a target one label, got 'car' for target 0",
    ),
]


@pytest.mark.parametrize(("name", "content", "message"), CASES)
def test_a_broken_file_is_one_error_that_names_the_place(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(AnnotationError) as error:
        interchange.read(tmp_path / name)
    assert re.search(message, str(error.value)), error.value


def test_folders_with_a_file_a_frame_name_the_file(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "clip_3.txt").write_text("0 0.5 0.5 0.1\n")
    with pytest.raises(AnnotationError, match=r"clip_3.txt line 1 must hold class x y w h"):
        interchange.read(folder, size_hw=(4, 6))
    (folder / "clip_03.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(AnnotationError, match=r"must be of different frames, got 3 twice"):
        interchange.read(folder, size_hw=(4, 6))
    with pytest.raises(AnnotationError, match=r"the number in the name must be a number from 5 to"):
        interchange.read(folder, "yolo", size_hw=(4, 6), first_frame=5)
    with pytest.raises(AnnotationError, match=r"must hold a file .xml for each frame, got none"):
        interchange.read(folder, "voc")


def test_what_is_no_text_or_too_large_is_refused(tmp_path):
    (tmp_path / "a.xml").write_bytes(b"<annotations>\xff\xfe</annotations>")
    with pytest.raises(AnnotationError, match=r"must be a text in UTF-8"):
        interchange.read(tmp_path / "a.xml", "cvat")
    with (tmp_path / "b.json").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(
        AnnotationError, match=r"must have at most 536,870,912 bytes, got 1,073,741,824; split it"
    ):
        interchange.read(tmp_path / "b.json")


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    cut=st.integers(0, 4000),
    letters=st.text(max_size=4),
    name=st.sampled_from(
        [
            "cvat_video.xml",
            "label_studio.json",
            "coco_images.json",
            "coco_video.json",
            "via.json",
            "mot_results.txt",
        ]
    ),
)
def test_files_that_are_cut_and_overwritten_give_tracks_or_our_error(tmp_path_factory, cut, letters, name):
    from tests.interchange.test_files_of_tools import FILES

    text = (FILES / name).read_text(encoding="utf-8")
    cut %= len(text)
    path = tmp_path_factory.mktemp("cut") / name
    path.write_text(text[:cut] + letters + text[cut + 3 * len(letters) :], encoding="utf-8", errors="replace")
    with contextlib.suppress(InputError):
        assert interchange.read(path, size_hw=(100, 200)).tracks
