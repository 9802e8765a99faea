"""What holds for every result, drawn at random."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from starktrack.evaluation.metrics import (
    area_under,
    centre_errors,
    error_curve,
    forward_fill,
    normalised_errors,
    overlaps,
    success_curve,
)

FEW = settings(max_examples=30, derandomize=True, deadline=None)

THRESHOLDS = np.linspace(0, 1, 21)
SHARES = st.one_of(st.just(float("nan")), st.integers(0, 100).map(lambda number: number / 100))
PLACES = st.integers(-400, 800).map(float)
SIDES = st.integers(1, 400).map(float)
PAIRS = st.lists(st.tuples(*[st.tuples(PLACES, PLACES, SIDES, SIDES)] * 2), min_size=1, max_size=8).map(
    lambda pairs: (np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))
)


@FEW
@given(st.lists(SHARES, min_size=1, max_size=20), st.sampled_from([">", ">="]))
def test_a_success_curve_falls_and_is_what_counting_gives(shares, rule):
    overlap = np.array(shares)
    curve = success_curve(overlap, THRESHOLDS, rule=rule)
    passes = overlap[:, None] > THRESHOLDS if rule == ">" else overlap[:, None] >= THRESHOLDS
    np.testing.assert_allclose(curve, passes.mean(axis=0))
    assert (np.diff(curve) <= 0).all() and 0 <= area_under(curve) <= 1


@FEW
@given(st.lists(SHARES, min_size=1, max_size=20))
def test_an_error_curve_rises_and_is_what_counting_gives(errors):
    curve = error_curve(np.array(errors), THRESHOLDS)
    np.testing.assert_allclose(curve, (np.array(errors)[:, None] <= THRESHOLDS).mean(axis=0))
    assert (np.diff(curve) >= 0).all()


@FEW
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_a_better_result_is_never_scored_lower(shares):
    worse = np.array(shares)
    better = np.minimum(worse + 0.1, 1.0)
    assert (success_curve(better, THRESHOLDS) >= success_curve(worse, THRESHOLDS)).all()


@FEW
@given(PAIRS, st.integers(1, 5))
def test_measures_do_not_depend_on_where_and_in_which_order_frames_are(pairs, times):
    predicted, true = pairs
    shift = np.array([7.0, -3.0, 0.0, 0.0])
    for measure in (overlaps, centre_errors, normalised_errors):
        values = measure(predicted, true)
        assert (values >= 0).all()
        np.testing.assert_allclose(measure(predicted + shift, true + shift), values, atol=1e-9)
        np.testing.assert_array_equal(measure(predicted[::-1], true[::-1]), values[::-1])
    np.testing.assert_allclose(overlaps(predicted * times, true * times), overlaps(predicted, true))
    assert (centre_errors(true, true) == 0).all() and (overlaps(true, true) == 1).all()


@FEW
@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_filling_forward_keeps_good_rows_and_takes_every_other_from_before(bad):
    bad = np.array(bad)
    boxes = np.arange(4.0 * len(bad)).reshape(-1, 4)
    filled = forward_fill(boxes, bad)
    np.testing.assert_array_equal(filled[~bad], boxes[~bad])
    np.testing.assert_array_equal(forward_fill(filled, bad), filled)
    last = 0
    for index, is_bad in enumerate(bad):
        last = last if is_bad else index
        assert filled[index, 0] == boxes[last, 0]
