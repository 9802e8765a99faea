import itertools

import pytest

from starktrack.data.video.live_clock import LiveClock


def read_all(clock, times, *, start, step=0.04, first_index=0):
    """Read frames that come at an even pace from `start` on."""
    return [
        clock.read(seconds, start + index * step, first_index + index) for index, seconds in enumerate(times)
    ]


@pytest.fixture
def clock():
    clock = LiveClock("camera")
    clock.connect(25.0, 10.0)
    return clock


def test_it_starts_at_zero_and_keeps_the_steps_of_the_source(clock):
    assert read_all(clock, [7.0, 7.04, 7.1], start=500.0) == pytest.approx([0.0, 0.04, 0.1])


def test_a_clock_that_starts_anew_goes_on_as_much_later_as_time_passed(clock):
    read_all(clock, [7.0, 7.04], start=500.0)
    clock.connect(25.0, 10.0)
    assert read_all(clock, [0.0, 0.05], start=503.0, first_index=2) == pytest.approx([3.0, 3.05])


def test_a_clock_that_went_on_meanwhile_is_kept_to_the_source(clock):
    read_all(clock, [7.0, 7.04], start=500.0)
    clock.connect(25.0, 10.0)
    assert read_all(clock, [10.5, 10.54], start=503.0, first_index=2) == pytest.approx([3.5, 3.54])


def test_a_clock_that_is_far_from_the_time_that_passed_is_another_one(clock):
    read_all(clock, [7.0, 7.04], start=500.0)
    clock.connect(25.0, 10.0)
    assert read_all(clock, [90.0, 90.04], start=503.0, first_index=2) == pytest.approx([3.0, 3.04])


def test_time_lost_to_a_lag_is_counted_when_the_source_comes_back(clock):
    # 100 frames of a source at 25 frames/s that come at 12.5 frames/s: the last one is 3.96 s late.
    times = read_all(clock, [index * 0.04 for index in range(100)], start=500.0, step=0.08)
    assert clock.lag(times[-1], 500.0 + 99 * 0.08) == pytest.approx(3.96, abs=0.01)
    clock.connect(25.0, 10.0)
    assert clock.read(0.0, 510.0, 100) == pytest.approx(10.0, abs=0.01)
    assert clock.lag(10.0, 510.0) == pytest.approx(0.0, abs=0.01)


def test_damaged_times_are_jumps_and_no_pauses(clock):
    with pytest.warns(UserWarning, match="is timed 9000"):
        times = read_all(clock, [0.0, 0.04, 9000.0, 0.12, 0.16], start=500.0)
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    assert times[-1] < 0.3


def test_a_source_without_times_has_those_at_which_frames_come():
    clock = LiveClock("camera")
    clock.connect(None, 10.0)
    assert read_all(clock, [None, None, None], start=500.0, step=0.2) == pytest.approx([0.0, 0.2, 0.4])


def test_a_clock_that_runs_a_little_slow_makes_no_lag(clock):
    # 50 millionths slow, for a day: 4.3 s in all.
    for minute in range(24 * 60):
        seconds = clock.read(minute * 60 * (1 - 50e-6), 500.0 + minute * 60, minute)
        clock.connect(25.0, 100.0)
    assert clock.lag(seconds, 500.0 + minute * 60) < 0.01
