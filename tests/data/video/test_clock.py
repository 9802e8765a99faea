import warnings

import pytest

from starktrack.data.video.clock import Clock
from starktrack.errors import SourceWarning


def read_all(times, frame_rate=25.0, **options):
    clock = Clock("clip", frame_rate, **options)
    return [clock.read(seconds, index) for index, seconds in enumerate(times)]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0.0, 0.04, 0.0, 0.04, 0.08], [0.0, 0.04, 0.08, 0.12, 0.16]),  # restarts at once
        ([0.0, 5.0, 0.0, 0.1, 0.3], [0.0, 5.0, 5.04, 5.14, 5.34]),  # restarts after a second: its steps stay
        ([0.0, 0.0, 0.0, 0.16], [0.0, 0.04, 0.08, 0.16]),  # stands still, then is right again
        ([1.0, 0.6, 0.2], [1.0, 1.04, 1.08]),  # runs backwards
        ([0.04, 0.12, 0.08, 0.16, 0.24], [0.04, 0.12, 0.16, 0.2, 0.24]),  # in disorder
        ([0.0, None, 0.08, None], [0.0, 0.04, 0.08, 0.12]),  # some frames without a time
    ],
)
def test_times_never_fall_and_go_on_one_frame_later(times, expected):
    with pytest.warns(SourceWarning, match="clip: frame") as caught:
        assert read_all(times) == pytest.approx(expected)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([None, None], [None, None]),
        ([-0.08, -0.04, 0.0], [0.0, 0.04, 0.08]),
        ([0.5, 100.0, 4000.0], [0.5, 100.0, 4000.0]),  # a camera that takes a picture when something moves
    ],
)
def test_times_that_are_right_stay_without_a_word(times, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_all(times) == (expected if expected[0] is None else pytest.approx(expected))


def test_a_jump_ahead_of_a_broadcast_is_no_pause():
    with pytest.warns(SourceWarning, match=r"frame 2 is timed 95000.00 s after one at 0.04 s"):
        assert read_all([0.0, 0.04, 95000.0, 95000.04], largest_step=10.0) == pytest.approx(
            [0.0, 0.04, 0.08, 0.12]
        )


def test_a_header_that_counts_ticks_is_no_frame_rate():
    with pytest.warns(SourceWarning):
        assert read_all([0.0, 0.0], frame_rate=90_000.0)[1] == pytest.approx(1 / 30)
