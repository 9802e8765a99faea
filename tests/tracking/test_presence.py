"""Scores become states."""

import pytest

from starktrack.config.schema import TrackingConfig
from starktrack.tracking.presence import Presence, TargetState

CONFIG = TrackingConfig(tracked_score=0.6, lost_score=0.3, lost_after=3)
LETTERS = {TargetState.TRACKED: "t", TargetState.UNCERTAIN: "u", TargetState.LOST: "l"}


def states(scores: list[float]) -> str:
    presence, letters = Presence(), ""
    for score in scores:
        presence = presence.after(score, CONFIG)
        letters += LETTERS[presence.state]
    return letters


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.9, 0.6, 0.59, 0.3, 0.9], "ttuut"),
        ([0.2, 0.1, 0.0, 0.0], "uull"),
        ([0.2, 0.2, 0.4, 0.2, 0.2, 0.2], "uuuuul"),
        ([0.0, 0.0, 0.0, 0.5, 0.5, 0.6], "uulllt"),
        ([0.0, 0.0, 0.9, 0.0, 0.0, 0.0], "uutuul"),
    ],
)
def test_a_target_is_lost_after_low_scores_in_a_row_and_back_with_a_high_one(scores, expected):
    assert states(scores) == expected


def test_thresholds_out_of_order_are_refused():
    with pytest.raises(ValueError, match=r"lost_score must be at most tracked_score=0.4, got 0.5"):
        TrackingConfig(tracked_score=0.4, lost_score=0.5)
