"""Thresholds of the score, by hand."""

import numpy as np
import pytest

from starktrack.errors import InputError
from starktrack.evaluation.calibration import Threshold, lost_threshold, tracked_threshold

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.3, 0.2])
ON_TARGET = np.array([True, True, True, False, True, False])


def test_tracked_is_the_lowest_score_that_is_precise_enough():
    assert tracked_threshold(SCORES, ON_TARGET, 1.0) == Threshold(0.7, 1.0, 0.75)
    assert tracked_threshold(SCORES, ON_TARGET, 0.8) == Threshold(0.3, 0.8, 1.0)


def test_lost_is_the_highest_score_below_which_enough_are_off_target():
    found = lost_threshold(SCORES, ON_TARGET, 1.0)
    assert (found.precision, found.recall) == (1.0, 0.5)
    assert 0.2 < found.score < 0.3  # frames strictly below it count as lost


def test_without_a_precise_threshold_the_most_precise_is_taken():
    found = tracked_threshold(SCORES, ~ON_TARGET, 0.9)
    assert (found.score, found.recall) == (0.2, 1.0) and found.precision == pytest.approx(1 / 3)


def test_equal_scores_are_not_parted():
    found = tracked_threshold(np.array([0.5, 0.5, 0.1]), np.array([True, False, False]), 0.9)
    assert found == Threshold(0.5, 0.5, 1.0)


def test_no_frames_of_a_kind_is_refused():
    with pytest.raises(InputError, match="calibration needs frames on the target, got none among 2"):
        tracked_threshold(np.array([0.5, 0.4]), np.array([False, False]), 0.9)
    with pytest.raises(InputError, match="off the target"):
        lost_threshold(np.array([0.5, 0.4]), np.array([True, True]), 0.9)
