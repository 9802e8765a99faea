import weakref

import numpy as np
import pytest

from starktrack.data.frames import open_frames
from starktrack.data.video.frame_stream import FrameStream
from starktrack.errors import InputError, VideoBrokenError, VideoError


def pictures(images, error=None):
    for index, image in enumerate(images):
        yield index / 10, lambda image=image: image
    if error is not None:
        raise error


def black(height=4, width=6):
    return np.zeros((height, width, 3), np.uint8)


def test_a_stream_numbers_and_times_its_frames():
    with FrameStream("clip", pictures([black(), black()])) as frames:
        assert [(frame.index, frame.seconds) for frame in frames] == [(0, 0.0), (1, 0.1)]
        assert frames.size_hw == (4, 6)


def test_frames_keep_their_index_when_the_start_is_skipped():
    with FrameStream("clip", pictures([black()] * 5), start_frame=3) as frames:
        assert [frame.index for frame in frames] == [3, 4]


def test_skipped_frames_are_not_converted():
    def skipped():
        raise AssertionError("a skipped frame was converted")

    def source():
        yield 0.0, skipped
        yield 0.1, black

    with FrameStream("clip", source(), start_frame=1) as frames:
        assert next(frames).index == 1


def test_a_start_behind_the_end_says_how_many_frames_there_are():
    with pytest.raises(VideoError, match="start_frame must be below the 2 frames of clip, got 2"):
        FrameStream("clip", pictures([black(), black()]), start_frame=2)


def test_a_negative_start_is_refused():
    with pytest.raises(InputError, match="start_frame must be 0 or more, got -1"):
        FrameStream("clip", pictures([black()]), start_frame=-1)


def test_a_source_without_frames_is_refused():
    with pytest.raises(VideoError, match="clip must hold at least one frame, got none"):
        FrameStream("clip", pictures([]))


def test_a_change_of_size_breaks_off_after_the_good_frames():
    frames = FrameStream("clip", pictures([black(), black(), black(6, 4), black()]))
    assert [next(frames).index, next(frames).index] == [0, 1]
    with pytest.raises(VideoBrokenError, match=r"frame 2 must be 6 x 4 pixels .* got 4 x 6; split") as caught:
        next(frames)
    assert caught.value.num_frames == 2
    assert list(frames) == []


def test_an_error_of_the_source_breaks_off_after_the_good_frames():
    frames = FrameStream("clip", pictures([black()], VideoError("cable pulled")))
    next(frames)
    with pytest.raises(VideoBrokenError, match="clip broke off after 1 frames: cable pulled") as caught:
        next(frames)
    assert caught.value.num_frames == 1


def test_an_error_before_the_first_frame_is_no_break():
    with pytest.raises(VideoError, match="clip cannot be read: cable pulled") as caught:
        FrameStream("clip", pictures([], VideoError("cable pulled")))
    assert not isinstance(caught.value, VideoBrokenError)


def test_closing_closes_the_source_and_ends_the_frames():
    closed = []

    def source():
        try:
            yield 0.0, black
            yield 0.1, black
        finally:
            closed.append(True)

    with FrameStream("clip", source()) as frames:
        pass
    assert closed == [True]
    assert list(frames) == []


def test_frames_are_not_kept_after_they_were_given():
    frames = FrameStream("clip", ((None, black) for _ in range(3)))
    first = weakref.ref(next(frames).image)
    next(frames)
    assert first() is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.mp4", "nowhere.mp4 must be a video file, an image folder, .* got no such file"),
        ("nowhere/*.jpg", "nowhere/.* must hold jpg, png, .* got none; check the path"),
        ("nothing://here", "nothing://here must be an address .*, got: Protocol not known: nothing; check"),
    ],
)
def test_a_missing_source_is_named(source, message):
    with pytest.raises(VideoError, match=message):
        open_frames(source)


def test_a_file_address_is_a_file(make_clip):
    path = make_clip("my clip.mp4")
    with open_frames(f"file://{path}".replace(" ", "%20")) as frames:
        assert frames.name == "my clip.mp4" and len(list(frames)) == 20


def test_every_kind_of_path_opens(make_clip, make_folder):
    clip, folder = make_clip(), make_folder(["0.png", "1.png"])
    counts = []
    for source in (clip, str(clip), folder, f"{folder}/*.png", folder / "1.png"):
        with open_frames(source) as frames:
            counts.append(len(list(frames)))
    assert counts == [20, 20, 2, 2, 1]


def test_a_folder_whose_name_is_a_number_is_no_camera_when_given_as_a_path(
    make_folder, tmp_path, monkeypatch
):
    make_folder(["0.png"]).rename(tmp_path / "7")
    monkeypatch.chdir(tmp_path)
    with open_frames("./7") as frames:
        assert frames.num_frames == 1
