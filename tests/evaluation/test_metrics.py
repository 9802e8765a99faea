import numpy as np
import pytest

from starktrack.evaluation import metrics


def boxes(*rows):
    return np.array(rows, float)


def test_two_boxes_that_share_half_overlap_by_a_third():
    assert metrics.overlaps(boxes([0, 0, 10, 10]), boxes([5, 0, 10, 10])) == pytest.approx([1 / 3], abs=1e-15)


def test_boxes_apart_empty_or_unknown_overlap_by_zero_zero_and_nan():
    predicted = boxes([0, 0, 4, 4], [3, 3, 0, 0], [np.nan] * 4)
    values = metrics.overlaps(predicted, boxes([9, 9, 4, 4], [3, 3, 0, 0], [1, 1, 2, 2]))
    assert values[:2].tolist() == [0.0, 0.0]
    assert np.isnan(values[2])


def test_overlap_in_sizes_equals_overlap_in_corners():
    from starktrack.geometry.boxes import overlap, xywh_to_xyxy

    rng = np.random.default_rng(3)
    a, b = rng.uniform(1, 50, (2, 200, 4))
    expected = overlap(xywh_to_xyxy(a), xywh_to_xyxy(b))
    np.testing.assert_allclose(metrics.overlaps(a, b), expected, atol=1e-13)


def test_centres_three_across_and_four_down_are_five_apart():
    assert metrics.centre_errors(boxes([3, 4, 10, 10]), boxes([0, 0, 10, 10])).tolist() == [5.0]


def test_centre_moves_by_half_the_difference_in_size():
    assert metrics.centre_errors(boxes([0, 0, 16, 10]), boxes([0, 0, 10, 10])).tolist() == [3.0]


def test_normalised_error_is_in_units_of_the_true_size():
    error = metrics.normalised_errors(boxes([3, 8, 10, 20]), boxes([0, 0, 10, 20]))
    assert error == pytest.approx([0.5], abs=1e-12)


def test_a_true_size_below_the_smallest_counts_as_the_smallest():
    error = metrics.normalised_errors(boxes([2, 0, 0.5, 1]), boxes([0, 0, 0.5, 1]), 1.0)
    assert error == pytest.approx([2.0])


def test_success_at_a_threshold_depends_on_the_rule():
    overlap, thresholds = np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.5, 1.0])
    np.testing.assert_allclose(metrics.success_curve(overlap, thresholds), [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(metrics.success_curve(overlap, thresholds, rule=">="), [1, 2 / 3, 1 / 3])


def test_curves_equal_plain_comparison_with_every_threshold():
    rng = np.random.default_rng(0)
    values = np.round(rng.uniform(-0.1, 1.1, 997), 2)
    thresholds = np.arange(21) * 0.05
    plain = (values[:, None] > thresholds).mean(0)
    np.testing.assert_array_equal(metrics.success_curve(values, thresholds), plain)
    np.testing.assert_array_equal(
        metrics.success_curve(values, thresholds, rule=">="), (values[:, None] >= thresholds).mean(0)
    )
    np.testing.assert_array_equal(
        metrics.error_curve(values, thresholds), (values[:, None] <= thresholds).mean(0)
    )


def test_unknown_values_fail_everywhere():
    unknown, thresholds = np.array([np.nan, np.inf]), np.array([0.0, 1.0])
    assert metrics.error_curve(unknown, thresholds).tolist() == [0, 0]
    assert metrics.success_curve(unknown[:1], thresholds, rule=">=").tolist() == [0, 0]


def test_no_frames_give_a_curve_of_zeros():
    assert metrics.success_curve(np.zeros(0), np.array([0.0, 0.5])).tolist() == [0, 0]


def test_area_under_a_falling_line_is_a_half():
    assert metrics.area_under(np.linspace(1, 0, 21)) == pytest.approx(0.5)
    assert metrics.area_under(np.ones((3, 5))).tolist() == [1, 1, 1]


def test_bad_rows_repeat_the_last_good_one_over_a_gap():
    rows = boxes([1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3], [4, 4, 4, 4])
    filled = metrics.forward_fill(rows, np.array([True, False, True, True]))
    assert filled[:, 0].tolist() == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("rule", "speed"),
    [
        # Three frames after the starts take 0.4 s; means of (1, 10, 10) and (20, 5), and of the five.
        ("overall", 3 / 0.4),
        ("sequences", (21 / 3 + 25 / 2) / 2),
        ("frames", 46 / 5),
    ],
)
def test_speed_follows_the_rule_of_the_toolkit(rule, speed):
    seconds = [np.array([1.0, 0.1, 0.1]), np.array([0.05, 0.2])]
    assert metrics.frames_per_second(seconds, rule) == pytest.approx(speed)


@pytest.mark.parametrize("rule", ["overall", "sequences", "frames"])
def test_without_times_there_is_no_speed(rule):
    assert metrics.frames_per_second([], rule) is None
    assert metrics.frames_per_second([np.zeros(3)], rule) is None
