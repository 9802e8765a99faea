"""The rules of docs/annotations.md, format by format: frame numbers, pixels, absence, shapes and labels as written."""

import json

import pytest

from starktrack import interchange
from starktrack.errors import AnnotationError
from starktrack.interchange import FORMATS, Mask, Observation, Polygon, Rectangle, Track, VideoTracks

SIZE_HW = (100, 200)
BOX = (10.0, 20.0, 30.0, 40.0)


def video_of(shape=None, frames=(3,), label="duck"):
    """Return target 7 with one shape in some of five frames."""
    shape = shape or Rectangle(BOX)
    track = Track(7, label, tuple(Observation(frame, shape) for frame in frames))
    return VideoTracks((track,), "pond", SIZE_HW, 5, 25.0)


def write(folder, name, video):
    """Write in the format's first form, and return the path."""
    path = folder / f"out{FORMATS[name].suffixes[0]}"
    interchange.write(path, video, name)
    return path


def json_of(path):
    return json.loads(path.read_text(encoding="utf-8"))


# Where the box 10,20,30,40 of frame 3 stands in a file, and as what.
WRITTEN = {
    "csv": lambda path: (
        [float(word) for word in path.read_text().splitlines()[1].split(",")[2:7]] == [7, 10, 20, 30, 40]
        and path.read_text().splitlines()[1].startswith("3,,")
    ),
    "json": lambda path: {"frame": 3, "x": 10.0, "y": 20.0, "w": 30.0}.items() <= json_of(path)[0].items(),
    "jsonl": lambda path: {"frame": 3, "x": 10.0, "y": 20.0, "w": 30.0}.items() <= json_of(path).items(),
    "got10k": lambda path: (
        (path / "groundtruth.txt").read_text().splitlines()[3] == "10.0000,20.0000,30.0000,40.0000"
    ),
    "otb": lambda path: (
        (path / "groundtruth_rect.txt").read_text().splitlines()[3] == "11.0000,21.0000,30.0000,40.0000"
    ),
    "mot": lambda path: (path / "gt" / "gt.txt").read_text() == "4,8,11,21,30,40,1,1,-1\n",
    "coco": lambda path: (
        (json_of(path)["images"][3]["frame_index"], json_of(path)["annotations"][0]["bbox"])
        == (3, [10, 20, 30, 40])
    ),
    "coco_video": lambda path: (
        json_of(path)["annotations"][0]["bboxes"] == [None, None, None, [10, 20, 30, 40], None]
    ),
    "yolo": lambda path: (
        (path / "labels" / "frame_000003.txt").read_text()
        == "0 0.12500000 0.40000000 0.15000000 0.40000000\n"
    ),
    "cvat": lambda path: (
        'frame="3" keyframe="1" outside="0" xtl="10" ytl="20" xbr="40" ybr="60"' in path.read_text()
    ),
    "label_studio": lambda path: (
        {"frame": 4, "x": 5.0, "y": 20.0, "width": 15.0, "height": 40.0}.items()
        <= json_of(path)[0]["annotations"][0]["result"][0]["value"]["sequence"][0].items()
    ),
    "labelme": lambda path: (
        json_of(path / "frame_000003.json")["shapes"][0]["points"] == [[10, 20], [40, 60]]
    ),
    "datumaro": lambda path: (
        (
            json_of(path)["items"][3]["attr"],
            json_of(path)["items"][3]["annotations"][0]["bbox"],
        )
        == ({"frame": 3}, [10, 20, 30, 40])
    ),
    "voc": lambda path: (
        "<xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax>"
        in (path / "frame_000003.xml").read_text()
    ),
    "via": lambda path: (
        json_of(path)["_via_img_metadata"]["frame_000003.jpg-1"]["regions"][0]["shape_attributes"]
        == {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40}
    ),
}


def test_the_sweep_covers_every_format():
    assert WRITTEN.keys() == FORMATS.keys()
    assert {name for name, each in FORMATS.items() if each.frames_from == 1} == {"mot", "label_studio"}
    assert {each.coordinates for each in FORMATS.values()} == {
        "pixels, 0-based",
        "pixels, 1-based",
        "pixels, 1-based, last pixel included",
        "shares of the frame",
        "hundredths of the frame",
    }


@pytest.mark.parametrize("name", FORMATS)
def test_frames_and_pixels_are_counted_as_the_table_says(tmp_path, name):
    path = write(tmp_path, name, video_of())
    assert WRITTEN[name](path)
    (track,) = interchange.read(path, name, size_hw=SIZE_HW).tracks
    assert [(seen.frame, seen.box_xywh) for seen in track.observations] == [(3, pytest.approx(BOX, abs=1e-5))]


@pytest.mark.parametrize("name", FORMATS)
def test_frames_without_the_target_stay_without_it(tmp_path, name):
    path = write(tmp_path, name, video_of(frames=(0, 1, 3)))
    found = interchange.read(path, name, size_hw=SIZE_HW)
    assert [seen.frame for seen in found.tracks[0].observations] == [0, 1, 3]
    assert found.length == (5 if "length" in FORMATS[name].keeps else 4)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "1,2,3,4\n0,0,0,0\nNaN,NaN,NaN,NaN\n5,6,7,0\n1,2,3,4\n"),
        ("a.csv", "frame,target,x,y,w,h\n0,0,1,2,3,4\n1,0,5,6,0,4\n2,0,,,,\n4,0,1,2,3,4\n"),
        (
            "a.json",
            json.dumps(
                {
                    "videos": [{"id": 1, "length": 5}],
                    "categories": [{"id": 1, "name": "duck"}],
                    "annotations": [
                        {
                            "id": 1,
                            "video_id": 1,
                            "category_id": 1,
                            "bboxes": [[1, 2, 3, 4], None, [5, 6, 0, 4], None, [1, 2, 3, 4]],
                        }
                    ],
                }
            ),
        ),
        (
            "a.xml",
            '<annotations><track id="0" label="duck">'
            '<box frame="0" outside="0" xtl="1" ytl="2" xbr="4" ybr="6"/>'
            '<box frame="1" outside="1" xtl="1" ytl="2" xbr="4" ybr="6"/>'
            '<box frame="4" outside="0" xtl="1" ytl="2" xbr="4" ybr="6"/></track></annotations>',
        ),
    ],
)
def test_every_way_to_write_that_a_target_is_gone_is_read(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    (track,) = interchange.read(tmp_path / name).tracks
    assert {seen.frame: seen.box_xywh for seen in track.observations} == dict.fromkeys((0, 4), (1, 2, 3, 4))


TURNED = Rectangle((20.0, 20.0, 40.0, 20.0), 90.0)
UPRIGHT = (30.0, 10.0, 20.0, 40.0)
CORNERS = [(50, 10), (50, 50), (30, 50), (30, 10)]
HOUSE = Polygon(((10.0, 20.0), (40.0, 20.0), (40.0, 60.0)))
PIXELS = Mask((10, 20), (30, 40), (0, 1200))


@pytest.mark.parametrize("name", FORMATS)
def test_a_turned_box_becomes_a_polygon_or_the_upright_box_around_it(tmp_path, name):
    keeps = FORMATS[name].keeps
    path = write(tmp_path, name, video_of(TURNED))
    shape = interchange.read(path, name, size_hw=SIZE_HW).tracks[0].observations[0].shape
    assert shape.bounds_xywh == pytest.approx(UPRIGHT, abs=1e-5)
    if "rotation" in keeps:
        assert isinstance(shape, Rectangle)
        assert (*shape.box_xywh, shape.rotation) == pytest.approx((*TURNED.box_xywh, 90), abs=1e-5)
    elif "polygons" in keeps:
        assert isinstance(shape, Polygon)
        assert [number for point in shape.points_xy for number in point] == pytest.approx(
            [number for point in CORNERS for number in point], abs=1e-5
        )
    else:
        assert isinstance(shape, Rectangle) and not shape.rotation


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("kind", "drawn"), [("polygons", HOUSE), ("masks", PIXELS)])
def test_polygons_and_masks_become_the_upright_box_where_a_format_has_none(tmp_path, name, kind, drawn):
    path = write(tmp_path, name, video_of(drawn))
    shape = interchange.read(path, name, size_hw=SIZE_HW).tracks[0].observations[0].shape
    assert type(shape) is (type(drawn) if kind in FORMATS[name].keeps else Rectangle)
    assert shape.bounds_xywh == pytest.approx(BOX, abs=1e-5)


LABELS = ["red duck", "赤い 車", "Straße, links; 10 %", "кошка\t2", '<"it\'s" & more>', "🦆"]


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if "labels" in each.keeps])
@pytest.mark.parametrize("label", LABELS)
def test_labels_have_spaces_signs_and_any_script(tmp_path, name, label):
    path = write(tmp_path, name, video_of(label=label))
    (track,) = interchange.read(path, name, size_hw=SIZE_HW).tracks
    # Files with a label a line have one space for every run of white space.
    assert track.label == (" ".join(label.split()) if name in ("got10k", "mot", "yolo") else label)


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if "labels" in each.keeps])
def test_signs_that_no_file_can_hold_are_replaced(tmp_path, name):
    path = write(tmp_path, name, video_of(label="a\x01b\ud800"))
    (track,) = interchange.read(path, name, size_hw=SIZE_HW).tracks
    assert track.label == "a\ufffdb\ufffd"


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if "labels" in each.keeps])
def test_a_target_without_a_label_is_an_object(tmp_path, name):
    path = write(tmp_path, name, video_of(label=""))
    assert interchange.read(path, name, size_hw=SIZE_HW).labels == ["object"]


def test_a_task_of_several_is_chosen_by_the_name_of_its_video(tmp_path):
    tasks = json_of(write(tmp_path, "label_studio", video_of()))
    tasks[0]["data"]["video"] = "pond.mp4"
    lake = json.loads(json.dumps(tasks).replace("pond.mp4", "lake.mp4").replace("duck", "boat"))
    (tmp_path / "both.json").write_text(json.dumps([*tasks, *lake]))
    with pytest.raises(
        AnnotationError, match="must hold one task, or the name of its video must be given, got 2"
    ):
        interchange.read(tmp_path / "both.json", size_hw=SIZE_HW)
    assert interchange.read(tmp_path / "both.json", size_hw=SIZE_HW, name="lake.mp4").labels == ["boat"]
