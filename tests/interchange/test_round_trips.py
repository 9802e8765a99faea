"""What is written in a format and read again is what the format says that it keeps, and nothing else is lost."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from tests.interchange.strategies import SIZE_HW, videos

from starktrack import interchange
from starktrack.interchange import FORMATS, Polygon, Rectangle, VideoTracks

# Type checks draw from the random module while a strategy makes its records.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

SINGLE = ("got10k", "otb")
"""Formats with one target a file."""

TOLERANCE = 1e-4
"""Pixels: formats in shares of the frame round."""


def numbers_of(shape):
    if isinstance(shape, Rectangle):
        return [*shape.box_xywh, shape.rotation]
    if isinstance(shape, Polygon):
        return [number for point in shape.points_xy for number in point]
    return [*shape.corner_xy, *shape.size_wh, *shape.runs]


def assert_same(found: VideoTracks, expected: VideoTracks) -> None:
    assert replace(found, tracks=(), frame_rate=None) == replace(expected, tracks=(), frame_rate=None)
    assert found.frame_rate == (expected.frame_rate and pytest.approx(expected.frame_rate))
    by_id = {track.id: track for track in found.tracks}
    assert by_id.keys() == {track.id for track in expected.tracks}
    for track in expected.tracks:
        same = by_id[track.id]
        assert replace(same, observations=()) == replace(track, observations=())
        assert [each.frame for each in same.observations] == [each.frame for each in track.observations]
        for one, other in zip(same.observations, track.observations, strict=True):
            assert type(one.shape) is type(other.shape)
            assert numbers_of(one.shape) == pytest.approx(numbers_of(other.shape), abs=TOLERANCE)
            blank = Rectangle((0.0, 0.0, 1.0, 1.0))
            assert replace(one, shape=blank) == replace(other, shape=blank)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=10, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(video=videos())
def test_reading_what_was_written_gives_what_the_format_keeps(tmp_path_factory, name, video):
    target = FORMATS[name]
    if name in SINGLE:
        video = replace(video, tracks=video.tracks[:1])
    path = tmp_path_factory.mktemp(name) / f"annotations{target.suffixes[0]}"
    interchange.write(path, video, name)
    assert interchange.detect(path) == name
    found = interchange.read(path, size_hw=SIZE_HW)
    expected = interchange.reduced(video, target.keeps | {"size"})
    assert_same(replace(found, size_hw=SIZE_HW), expected)
    assert ("size" not in target.keeps) or found.size_hw == SIZE_HW


@settings(max_examples=10, derandomize=True, deadline=None)
@given(video=videos())
def test_what_a_format_keeps_has_no_further_losses_and_stays_the_same(video):
    for target in FORMATS.values():
        small = interchange.reduced(video, target.keeps)
        assert interchange.reduced(small, target.keeps) == small
        assert set(interchange.losses(small, target.keeps)) <= {"more than one target"}
        if not interchange.losses(video, target.keeps):
            assert replace(small, num_frames=None) == replace(video, num_frames=None)


def test_the_sweep_covers_every_kind_of_loss():
    kept = {key for target in FORMATS.values() for key in target.keeps}
    assert kept == set(interchange.KEEPS)
    assert all(target.keeps != set(interchange.KEEPS) for target in FORMATS.values())
    assert len(FORMATS) == 15
