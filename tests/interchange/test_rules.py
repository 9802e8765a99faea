"""Rules that hold for all formats: names, sizes, absent frames, several videos, shapes and what is lost."""

import json

import numpy as np
import pytest

from starktrack import interchange
from starktrack.errors import AnnotationError, InputError, MissingExtraError
from starktrack.interchange import Mask, Observation, Polygon, Rectangle, Track, VideoTracks
from starktrack.interchange.run_lengths import filled

BOX = Rectangle((10.0, 20.0, 30.0, 40.0))


def one(shape=BOX, frame=3, label="duck", **facts):
    return VideoTracks((Track(7, label, (Observation(frame, shape),)),), **facts)


def test_a_turned_box_has_corners_clockwise_about_its_centre():
    corners = Rectangle((0.0, 0.0, 4.0, 2.0), 90.0).corners_xy
    assert np.allclose(corners, [(3, -1), (3, 3), (1, 3), (1, -1)])
    assert Rectangle((0.0, 0.0, 4.0, 2.0), 90.0).bounds_xywh == pytest.approx((1, -1, 2, 4))


def test_a_mask_is_trimmed_to_its_window_and_placed_back():
    pixels = np.zeros((5, 7), bool)
    pixels[2, 3] = pixels[3, 4] = True
    mask = Mask.of_pixels(pixels)
    assert mask == Mask((3, 2), (2, 2), (0, 1, 2, 1)) and mask.bounds_xywh == (3, 2, 2, 2)
    assert (mask.pixels((5, 7)) == pixels).all()
    assert mask.pixels((3, 4)).sum() == 1, "what lies outside the frame is left out"
    assert Mask((-1, -1), (2, 2), (0, 4)).pixels((2, 2)).sum() == 1
    assert Mask.of_pixels(np.zeros((2, 2), bool)) is None


def test_a_polygon_is_filled_where_centres_of_pixels_lie_inside():
    mask = filled(
        [[(0.0, 0.0), (3.0, 0.0), (3.0, 3.0), (0.0, 3.0)], [(1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0)]]
    )
    assert mask.window.tolist() == [[True] * 3, [True, False, True], [True] * 3]


def test_boxes_between_key_boxes_lie_on_straight_lines_and_turn_the_short_way():
    first, last = (Observation(0, Rectangle((0.0, 0.0, 4.0, 4.0), 350.0)), Observation(2, BOX))
    middle = Track(0, "", (first, last)).interpolated().at(1)
    assert middle.shape == Rectangle((5, 10, 17, 22), 355) and not middle.key
    outlined = Observation(5, Polygon(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))))
    assert len(Track(0, "", (last, outlined)).interpolated()) == 2


def test_targets_start_where_they_are_seen_first():
    early = Track(0, "a", (Observation(2, BOX), Observation(4, BOX)))
    video = VideoTracks((early, Track(5, "b", (Observation(4, BOX),))))
    assert video.starts() == {2: {0: BOX.box_xywh}, 4: {5: BOX.box_xywh}}
    assert video.starts(3) == {4: {0: BOX.box_xywh, 5: BOX.box_xywh}}
    assert video.starts(5) == {}


def test_losses_are_told_in_words():
    video = VideoTracks(
        (Track(7, "duck", (Observation(3, Rectangle((0.0, 0.0, 1.0, 1.0), 5.0), score=0.5),)),)
    )
    lost = interchange.losses(video, interchange.FORMATS["otb"].keeps)
    assert lost == ["the numbers of the targets", "what the targets are", "scores", "turned boxes"]


def test_several_targets_of_one_target_formats_are_a_file_each(tmp_path):
    video = VideoTracks((one().tracks[0], Track(9, "cat", (Observation(1, BOX),))))
    written = interchange.write(tmp_path / "boxes.txt", video)
    assert [path.name for path in written] == ["boxes_7.txt", "boxes_9.txt"]
    assert sorted(tmp_path.iterdir()) == written
    lines = (tmp_path / "boxes_7.txt").read_text().splitlines()
    assert lines == ["0.0000,0.0000,0.0000,0.0000"] * 3 + ["10.0000,20.0000,30.0000,40.0000"]


def test_results_of_the_package_keep_state_and_updates(tmp_path):
    seen = Observation(
        4, BOX, seconds=0.5, score=0.25, attributes={"state": "lost", "template_updated": "true"}
    )
    video = VideoTracks((Track(1, "", (seen,)),))
    for name in ("tracks.csv", "tracks.json"):
        (path,) = interchange.write(tmp_path / name, video)
        assert interchange.read(path) == video


def test_csv_rows_without_a_box_are_frames_without_the_target(tmp_path):
    path = tmp_path / "tracks.csv"
    path.write_text("frame,seconds,target,x,y,w,h,score\n0,,1,1,2,3,4,\n1,,1,,,,,0.5\n")
    (track,) = interchange.read(path).tracks
    assert [seen.frame for seen in track.observations] == [0]


def test_a_file_of_several_videos_needs_a_name(tmp_path):
    videos = [{"id": 1, "name": "pond"}, {"id": 2, "name": "lake"}]
    annotations = [{"id": 5, "video_id": 2, "category_id": 1, "bboxes": [[1, 2, 3, 4]]}]
    path = tmp_path / "both.json"
    content = {"videos": videos, "categories": [{"id": 1, "name": "duck"}], "annotations": annotations}
    path.write_text(json.dumps(content))
    with pytest.raises(
        AnnotationError, match="must hold one video, or its name must be given, got 2: pond, lake"
    ):
        interchange.read(path)
    assert interchange.read(path, name="lake").tracks[0].id == 5
    with pytest.raises(AnnotationError, match="must hold the video 'sea', got pond, lake"):
        interchange.read(path, name="sea")


def test_masks_in_shares_and_whole_frames_need_the_size(tmp_path):
    masked = one(Mask((1, 2), (2, 1), (0, 2)))
    for name in ("coco", "datumaro"):
        with pytest.raises(AnnotationError, match="their size must be known, got none"):
            interchange.write(tmp_path / "x.json", masked, name)
    with pytest.raises(AnnotationError, match="the size of the video must be known, got none"):
        interchange.write(tmp_path / "x", one(), "yolo")
    assert not list(tmp_path.iterdir()), "nothing half-written stays"


@pytest.mark.parametrize(
    ("name", "format_name", "message"),
    [
        ("x.doc", None, r"must end in .csv, .json, .jsonl, .txt, .xml, or its format be named, got 'x.doc'"),
        ("x.xml", "cvta", r"unknown annotation format 'cvta'; did you mean 'cvat'\?"),
        ("x.json", "cvat", r"in the format cvat must end in .xml, got 'x.json'"),
        ("x.txt", "yolo", r"in the format yolo must be a folder, got 'x.txt'"),
        ("no/x.xml", None, r"must lie in a folder that exists, got .*; create"),
    ],
)
def test_places_that_cannot_be_written_are_refused(tmp_path, name, format_name, message):
    with pytest.raises(AnnotationError, match=message):
        interchange.write(tmp_path / name, one(), format_name)


def test_a_folder_that_holds_something_is_never_written_to(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    with pytest.raises(InputError, match=r"must be new or empty, .*full is not"):
        interchange.write(tmp_path / "full", one(), "voc")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["a"]


def test_tracks_without_boxes_are_not_written(tmp_path):
    with pytest.raises(AnnotationError, match="must hold at least one box, got none"):
        interchange.write(tmp_path / "x.xml", VideoTracks((Track(0, "a", ()),)))


def test_nothing_is_recognised_where_nothing_matches(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1}')
    (tmp_path / "y.txt").write_text("1 2 3\n")
    for path in (tmp_path / "x.json", tmp_path / "y.txt", tmp_path):
        with pytest.raises(AnnotationError, match="must hold one of the formats csv, json, jsonl, got10k"):
            interchange.read(path)
    with pytest.raises(AnnotationError, match="which is not there"):
        interchange.read(tmp_path / "none")


def test_tracks_become_a_sequence_each_and_come_back():
    from starktrack.data.sources.frames_on_disk import MissingFrames

    video = VideoTracks(
        (Track(0, "duck", (Observation(0, BOX), Observation(2, BOX))), Track(1, "", (Observation(1, BOX),))),
        num_frames=4,
    )
    duck, other = interchange.to_sequences(video, MissingFrames("pictures", 4), "pond")
    assert (duck.name, duck.object_class, other.object_class) == ("pond_0", "duck", None)
    assert duck.visible.tolist() == [True, False, True, False] and duck.origins == other.origins == {"pond"}
    assert duck.boxes_xywh[2].tolist() == list(BOX.box_xywh) and np.isnan(duck.boxes_xywh[1]).all()
    assert duck.others_in(1).tolist() == [list(BOX.box_xywh)] and len(other.others_in(1)) == 0
    assert interchange.from_sequences([duck, other]) == video
    with pytest.raises(AnnotationError, match="got a length of 4 and 3 frames"):
        interchange.to_sequences(video, MissingFrames("pictures", 3))


def test_thinning_keeps_the_ends_the_bends_and_what_is_no_upright_box():
    boxes = [Rectangle((float(abs(frame - 4)), 0.0, 2.0, 2.0)) for frame in range(9)]
    seen = [Observation(frame, box) for frame, box in enumerate(boxes)]
    seen += [Observation(11, BOX), Observation(12, Rectangle(BOX.box_xywh, 5.0)), Observation(13, BOX)]
    thin = Track(0, "", tuple(seen)).thinned(0.1)
    assert [each.frame for each in thin.observations if each.key] == [0, 4, 8, 11, 12, 13]
    assert [each.shape for each in thin.observations] == [each.shape for each in seen]
    assert sum(each.key for each in Track(0, "", tuple(seen)).thinned(5).observations) == 5


def test_supervision_detections_come_and_go():
    pytest.importorskip("supervision")
    video = VideoTracks(
        (
            Track(4, "duck", (Observation(0, BOX, score=0.5), Observation(2, BOX))),
            Track(6, "cat", (Observation(0, Rectangle((0.0, 1.0, 2.0, 3.0)), score=1.0),)),
        )
    )
    detections = interchange.to_detections(video)
    assert sorted(detections) == [0, 2] and detections[0].tracker_id.tolist() == [4, 6]
    assert interchange.from_detections(detections.items()) == video


def test_detections_without_the_package_name_what_to_install(monkeypatch):
    monkeypatch.setattr("starktrack.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "starktrack\[supervision\]"'):
        interchange.to_detections(one())


def test_yolo_lines_have_five_columns_and_their_ids_and_scores_lie_beside_them(tmp_path):
    duck = Track(7, "duck", (Observation(0, BOX, score=0.75), Observation(2, BOX)))
    boat = Track(3, "boat", (Observation(2, BOX, score=0.5),))
    interchange.write(tmp_path / "out", VideoTracks((duck, boat), size_hw=(96, 128)), "yolo")
    labels = tmp_path / "out" / "labels"
    lines = [line for file in labels.iterdir() for line in file.read_text().splitlines()]
    assert len(lines) == 3 and {len(line.split()) for line in lines} == {5}
    assert (labels / "frame_000001.txt").read_text() == ""

    found = interchange.read(labels, size_hw=(96, 128))
    scores = {track.id: [seen.score for seen in track.observations] for track in found.tracks}
    assert scores == {7: [0.75, None], 3: [0.5]}

    both = (labels / "frame_000002.txt").read_text().splitlines(keepends=True)
    (labels / "frame_000002.txt").write_text("".join(reversed(both)))
    with pytest.raises(AnnotationError, match=r"frame_000002.txt line 1 must be the class of .*tracks.json"):
        interchange.read(tmp_path / "out", size_hw=(96, 128))
    (labels / "frame_000002.txt").write_text(both[0])
    with pytest.raises(AnnotationError, match=r"an entry for each line of .*, got 2 for 1; remove tracks"):
        interchange.read(tmp_path / "out", size_hw=(96, 128))
    (tmp_path / "out" / "tracks.json").unlink()
    assert len(interchange.read(tmp_path / "out", size_hw=(96, 128)).tracks) >= 1
