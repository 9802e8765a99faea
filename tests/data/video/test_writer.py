from fractions import Fraction

import numpy as np
import pytest

from starktrack.data.frames import open_frames
from starktrack.data.video.writer import VideoWriter, check_video_path
from starktrack.errors import InputError, VideoBrokenError, VideoError


def colours(count, height=48, width=64):
    """Pictures of one colour each, which survive compression."""
    for index in range(count):
        yield np.full((height, width, 3), (10 + 4 * index, 100, 200 - 4 * index), np.uint8)


def write(path, images, *, frame_rate=25.0, seconds=None):
    images = list(images)
    with VideoWriter(path, images[0].shape[:2], frame_rate) as writer:
        for index, image in enumerate(images):
            writer.write(image, None if seconds is None else seconds[index])


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.webm"])
@pytest.mark.parametrize("size_hw", [(48, 64), (49, 65), (48, 65)])
def test_count_rate_size_and_colours_come_back(tmp_path, name, size_hw):
    path = tmp_path / name
    images = list(colours(12, *size_hw))
    write(path, images)
    with open_frames(path) as frames:
        assert frames.size_hw == size_hw
        assert frames.frame_rate == pytest.approx(25.0)
        shown = list(frames)
    assert len(shown) == 12
    for frame, image in zip(shown, images, strict=True):
        np.testing.assert_allclose(frame.image.mean(axis=(0, 1)), image[0, 0], atol=4)


@pytest.mark.parametrize("frame_rate", [30.0, 24000 / 1001, 30000 / 1001, 59.94, 12.5, 240.0])
def test_any_frame_rate_comes_back_exactly(tmp_path, frame_rate):
    write(tmp_path / "out.mp4", colours(10), frame_rate=frame_rate)
    with open_frames(tmp_path / "out.mp4") as frames:
        assert frames.frame_rate == pytest.approx(frame_rate, rel=1e-12)
        np.testing.assert_allclose(
            [frame.seconds for frame in frames], np.arange(10) / frame_rate, rtol=1e-12
        )


def test_a_source_without_a_clock_runs_at_thirty(tmp_path):
    write(tmp_path / "out.mp4", colours(3), frame_rate=None)
    with open_frames(tmp_path / "out.mp4") as frames:
        assert frames.frame_rate == 30.0


def test_a_variable_frame_rate_is_kept_from_the_first_image_on(tmp_path):
    seconds = [5.0, 5.02, 5.1, 5.133, 5.3, 6.0]
    write(tmp_path / "out.mp4", colours(6), seconds=seconds)
    with open_frames(tmp_path / "out.mp4") as frames:
        shown = [frame.seconds for frame in frames]
    np.testing.assert_allclose(shown, [0, 0.02, 0.1, 0.133, 0.3, 1.0], atol=1e-5)  # ticks of 1/90000 s


def test_a_clock_that_stands_still_or_jumps_back_loses_no_frame(tmp_path):
    write(tmp_path / "out.mp4", colours(5), seconds=[0.0, 0.04, 0.04, 0.02, 0.16])
    with open_frames(tmp_path / "out.mp4") as frames:
        shown = [frame.seconds for frame in frames]
    np.testing.assert_allclose(shown, [0.0, 0.04, 0.08, 0.12, 0.16], atol=1e-5)


def test_a_clock_that_starts_anew_loses_no_frame_and_no_time(tmp_path):
    write(tmp_path / "out.mp4", colours(40), seconds=[0.04 * (i % 20) for i in range(40)])
    with open_frames(tmp_path / "out.mp4") as frames:
        np.testing.assert_allclose([frame.seconds for frame in frames], 0.04 * np.arange(40), atol=1e-5)


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_pixels_that_are_not_square_stay_so(tmp_path, name):
    with VideoWriter(tmp_path / name, (48, 64), 25.0, pixel_aspect=Fraction(2)) as writer:
        writer.write(next(colours(1)))
    with open_frames(tmp_path / name) as frames:
        assert (frames.pixel_aspect, frames.size_hw) == (2, (48, 64))


def test_a_webm_is_made_as_wide_as_it_is_shown(tmp_path):
    with VideoWriter(tmp_path / "out.webm", (48, 64), 25.0, pixel_aspect=Fraction(2)) as writer:
        writer.write(next(colours(1)))
    with open_frames(tmp_path / "out.webm") as frames:
        assert (frames.pixel_aspect, frames.size_hw) == (1, (48, 128))


def test_a_rotated_source_is_written_upright(make_clip, tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:16, :16] = 250
    with open_frames(make_clip(images=[image] * 3, rotation=90)) as frames:
        write(tmp_path / "out.mp4", (frame.image for frame in frames))
    with open_frames(tmp_path / "out.mp4") as frames:
        assert frames.size_hw == (64, 48)
        assert np.abs(next(frames).image.astype(int) - np.rot90(image)).mean() < 5


def test_the_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoWriter(path, (48, 64), 25.0) as writer:
        for image in colours(5):
            writer.write(image)
        assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def test_an_error_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"older")
    with pytest.raises(RuntimeError), VideoWriter(path, (48, 64), 25.0) as writer:
        writer.write(next(colours(1)))
        raise RuntimeError
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]
    assert path.read_bytes() == b"older"


def test_what_was_written_before_the_source_broke_off_is_kept(tmp_path):
    path = tmp_path / "out.mp4"
    with pytest.raises(VideoBrokenError), VideoWriter(path, (48, 64), 25.0) as writer:
        for image in colours(7):
            writer.write(image)
        raise VideoBrokenError("cut", 7)
    with open_frames(path) as frames:
        assert len(list(frames)) == 7


def test_a_video_without_frames_leaves_no_file(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", (48, 64), 25.0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_does_nothing(tmp_path):
    writer = VideoWriter(tmp_path / "out.mp4", (48, 64), 25.0)
    writer.write(next(colours(1)))
    writer.close()
    writer.close()
    writer.discard()
    assert (tmp_path / "out.mp4").is_file()


def test_an_image_of_another_size_is_refused(tmp_path):
    with (
        pytest.raises(VideoError, match=r"must be \(48, 64\) \(height, width\), got \(64, 48\)"),
        VideoWriter(tmp_path / "out.mp4", (48, 64), 25.0) as writer,
    ):
        writer.write(np.zeros((64, 48, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_the_codec_refuses_leaves_nothing(tmp_path):
    with pytest.raises(VideoError, match=r"out\.mp4 of 40000 x 2 pixels cannot be written"):
        VideoWriter(tmp_path / "out.mp4", (2, 40000), 25.0)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_suffix_names_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"must end in \.mp4, \.mov, \.mkv, \.webm, got 'out\.gif'"):
        check_video_path(tmp_path / "out.gif")
