"""Small files made by hand after each tool's documentation, and what they must be read as."""

from pathlib import Path

import numpy as np
import pytest

from starktrack import interchange
from starktrack.errors import AnnotationError
from starktrack.interchange import Mask, Polygon, Rectangle

FILES = Path(__file__).parent / "files"


def boxes_of(track):
    return {seen.frame: seen.box_xywh for seen in track.observations}


def test_every_file_is_recognised():
    expected = {
        "cvat_video.xml": "cvat",
        "cvat_images.xml": "cvat",
        "mot": "mot",
        "mot/gt/gt.txt": "mot",
        "mot_results.txt": "mot",
        "label_studio.json": "label_studio",
        "labelme": "labelme",
        "labelme/img_0007.json": "labelme",
        "voc": "voc",
        "voc/000003.xml": "voc",
        "yolo": "yolo",
        "yolo/labels": "yolo",
        "got10k": "got10k",
        "got10k/groundtruth.txt": "got10k",
        "otb": "otb",
        "otb/groundtruth_rect.txt": "otb",
        "coco_images.json": "coco",
        "coco_video.json": "coco_video",
        "datumaro": "datumaro",
        "datumaro/annotations/default.json": "datumaro",
        "via.json": "via",
    }
    assert {name: interchange.detect(FILES / name) for name in expected} == expected


def test_cvat_video_interpolates_between_key_boxes_and_stops_outside():
    video = interchange.read(FILES / "cvat_video.xml")
    assert (video.name, video.size_hw, video.num_frames) == ("duck pond", (360, 640), 12)
    duck, boat = video.tracks
    assert (duck.id, duck.label, duck.colour) == (0, "duck", "#33ddff")
    assert (boat.id, boat.label, boat.colour) == (3, "赤い 船", "#fa3253")
    # The last one lies on its side: 40 wide and 30 high, turned by a quarter about (30, 35).
    boxes = {frame: pytest.approx(box) for frame, box in boxes_of(duck).items()}
    assert boxes == {
        2: (100, 50, 40, 30),
        3: (102, 51, 41, 30),
        4: (104, 52, 42, 30),
        5: (106, 53, 43, 30),
        6: (108, 54, 44, 30),
        10: (15, 15, 30, 40),
    }
    assert [seen.key for seen in duck.observations] == [True, False, False, False, True, True]
    assert duck.at(6).occluded and duck.at(6).attributes == {"pose": "dives"}
    assert duck.at(10).shape == Rectangle((10, 20, 40, 30), 90)
    assert boat.at(0).shape == Polygon(((1.5, 2), (30, 2), (30, 40.25)))
    # Along rows of three: one off, two on, three off; the window that is kept just holds them.
    assert boat.at(1).shape == Mask((6, 6), (2, 1), (0, 2))
    assert len(boat) == 2


def test_cvat_images_have_targets_by_label_and_order():
    video = interchange.read(FILES / "cvat_images.xml")
    assert video.size_hw == (360, 640)
    assert [(track.id, sorted(boxes_of(track))) for track in video.tracks] == [(0, [0, 1]), (1, [0])]


def test_mot_counts_frames_targets_and_pixels_from_one():
    video = interchange.read(FILES / "mot")
    assert (video.name, video.size_hw, video.num_frames, video.frame_rate) == (
        "MOT16-02",
        (1080, 1920),
        600,
        30,
    )
    first, second = video.tracks
    assert (first.id, first.label, second.id, second.label) == (0, "cat", 1, "黒い 犬")
    assert boxes_of(first) == {0: (1362, 568, 103, 241), 1: (1361, 567, 103, 241)}
    assert first.at(0).visibility == 0.86014 and first.at(0).score is None
    assert interchange.read(FILES / "mot" / "gt" / "gt.txt") == video


def test_mot_rows_that_are_ignored_stay_so(tmp_path):
    (tmp_path / "gt.txt").write_text("1,1,2,3,4,5,0,7,-1\n")
    video = interchange.read(tmp_path / "gt.txt")
    assert video.tracks[0].label == "static person"
    assert video.tracks[0].at(0).attributes == {"ignored": "true"}
    interchange.write(tmp_path / "again.txt", video, "mot")
    assert (tmp_path / "again.txt").read_text() == "1,1,2,3,4,5,0,7,-1\n"


def test_mot_results_have_scores_where_there_are_any():
    video = interchange.read(FILES / "mot_results.txt")
    assert [(track.id, track.label) for track in video.tracks] == [(2, ""), (5, "")]
    assert video.tracks[0].at(0).box_xywh == pytest.approx((793.27, 246.59, 71.245, 174.88))
    assert [track.observations[0].score for track in video.tracks] == [None, 0.75]


def test_label_studio_turns_about_the_corner_and_ends_runs():
    video = interchange.read(FILES / "label_studio.json", size_hw=(100, 200))
    assert (video.num_frames, video.frame_rate) == (250, 25)
    (plane,) = video.tracks
    assert (plane.id, plane.label) == (0, "Airplane")
    assert {frame: box[0] for frame, box in boxes_of(plane).items()} == pytest.approx(
        {0: 20, 1: 22, 2: 24, 3: 26, 4: 28, 8: 80}
    )
    assert plane.at(0).box_xywh == pytest.approx((20, 20, 50, 50))
    # 20 wide and 20 high, turned by a quarter about (100, 10): it lies left of there.
    assert plane.at(8).box_xywh == pytest.approx((80, 10, 20, 20))
    assert plane.at(8).shape.rotation == 90 and plane.at(8).seconds == 0.36
    assert [seen.key for seen in plane.observations] == [True, False, False, False, True, True]


def test_label_studio_needs_the_size_of_the_frames():
    with pytest.raises(AnnotationError, match="so the size of the video must be known, got none"):
        interchange.read(FILES / "label_studio.json")


def test_labelme_has_corners_in_any_order_and_leaves_points_out():
    video = interchange.read(FILES / "labelme")
    assert (video.size_hw, video.num_frames) == ((120, 160), 8)
    crowd, sky = video.tracks
    assert (crowd.id, crowd.label, boxes_of(crowd), crowd.at(7).occluded) == (
        4,
        "人群",
        {7: (10, 20, 20, 20)},
        True,
    )
    assert (sky.id, sky.at(7).shape) == (0, Polygon(((1, 1), (9, 1), (9, 5.5))))


def test_voc_includes_the_last_pixel_and_counts_from_one():
    video = interchange.read(FILES / "voc")
    (snake,) = video.tracks
    assert (video.size_hw, snake.id, snake.label) == ((720, 1280), 0, "n01674464")
    assert boxes_of(snake) == {3: (310, 210, 731, 209)} and snake.at(3).occluded


def test_yolo_has_shares_of_the_frame_and_ids_at_the_end():
    video = interchange.read(FILES / "yolo", size_hw=(100, 200), first_frame=1)
    assert [(track.id, track.label) for track in video.tracks] == [(1, "duck"), (2, "it's a boat")]
    assert boxes_of(video.tracks[0]) == {0: (75, 25, 50, 50), 1: (87.5, 25, 50, 50)}
    assert video.tracks[0].at(0).score == 0.91
    with pytest.raises(AnnotationError, match="so the size of the video must be known"):
        interchange.read(FILES / "yolo")


def test_got10k_has_absent_frames_and_visible_shares():
    video = interchange.read(FILES / "got10k")
    (bear,) = video.tracks
    assert (bear.label, video.size_hw, video.num_frames, video.frame_rate) == (
        "polar bear",
        (1080, 1920),
        3,
        10,
    )
    assert boxes_of(bear) == {0: (10, 20, 30, 40), 1: (11, 20, 30, 40)}
    assert [seen.visibility for seen in bear.observations] == [1, 0.5]


def test_otb_counts_pixels_from_one_and_takes_commas_and_tabs():
    video = interchange.read(FILES / "otb")
    assert video.num_frames == 4
    assert boxes_of(video.tracks[0]) == {0: (198, 214, 34, 81), 1: (197, 213, 36, 82)}


def test_coco_of_pictures_has_track_ids_turns_and_masks():
    video = interchange.read(FILES / "coco_images.json")
    assert (video.size_hw, video.num_frames) == ((4, 6), 6)
    four, five = video.tracks
    assert (four.id, five.id, four.label) == (4, 5, "duck")
    assert four.at(0).shape == Rectangle((1, 2, 2, 1), 30) and four.at(0).attributes == {"pose": "swims"}
    # Runs go down the columns: five pixels off, two on, one off, three on.
    expected = np.zeros((4, 6), bool)
    expected[[1, 2, 0, 1, 2], [1, 1, 2, 2, 2]] = True
    assert (four.at(5).shape.pixels((4, 6)) == expected).all()
    assert not four.at(5).key and four.at(5).occluded
    two_parts = np.zeros((4, 6), bool)
    two_parts[:2, :2] = two_parts[:2, 4:] = True
    assert (five.at(5).shape.pixels((4, 6)) == two_parts).all()


def test_coco_of_tracks_has_boxes_by_frame_and_null_where_there_is_none():
    video = interchange.read(FILES / "coco_video.json")
    (panda,) = video.tracks
    assert (panda.id, panda.label, video.size_hw, video.num_frames) == (21, "giant panda", (720, 1280), 3)
    assert boxes_of(panda) == {0: (10, 20, 30, 40), 2: (12, 20, 30, 40)}


def test_datumaro_has_boxes_turned_boxes_polygons_and_packed_masks():
    video = interchange.read(FILES / "datumaro")
    shapes = {track.id: track.at(4).shape for track in video.tracks}
    assert shapes[1] == Rectangle((1, 2, 3, 4)) and shapes[2] == Rectangle((8, 17, 4, 6), 30)
    assert shapes[0] == Polygon(((1, 2), (3, 4), (5, 1)))
    same = interchange.read(FILES / "coco_images.json").tracks[0].at(5).shape
    assert shapes[3] == same, "one mask, as numbers and packed in text"
    assert not next(track for track in video.tracks if track.id == 1).at(4).key


def test_via_has_regions_of_any_attribute_name():
    video = interchange.read(FILES / "via.json")
    duck, boat = video.tracks
    assert (video.name, video.num_frames) == ("ducks", 3)
    assert (duck.id, duck.label, boxes_of(duck)) == (2, "canard", {2: (12, 34, 56, 78)})
    assert (boat.id, boat.label, boat.at(2).shape) == (0, "bateau", Polygon(((1, 1), (9, 1), (9, 7))))
