"""Thresholds are chosen by how often states are right; states of many settings at once are those of one by one."""

import numpy as np
import pytest
from tests.memory import moving_video

import starktrack
from starktrack.config.schema import TrackingConfig
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import InputError
from starktrack.tracking.presence import TargetState
from starktrack.workflows.calibration import (
    GOALS,
    ScoredRun,
    _states_of_each,
    choose_thresholds,
    follow,
    plot_reliability,
    reliability,
    state_accuracy,
    states_of,
)


def made_runs(seed=0, separation=1.0, count=12) -> list[ScoredRun]:
    """Return runs whose scores tell on from off the better the larger `separation` is."""
    rng = np.random.default_rng(seed)
    runs = []
    for number in range(count):
        on = np.ones(120, bool)
        if number % 3 == 0:
            on[70:] = False
        logits = rng.normal(0, 1, 120) + np.where(on, separation, -separation)
        runs.append(ScoredRun(str(number), 1 / (1 + np.exp(-logits)), np.where(on, 0.7, 0.0)))
    return runs


def test_accuracy_by_hand():
    run = ScoredRun("run", np.array([0.9, 0.4, 0.1, 0.1, 0.1, 0.9]), np.array([0.8, 0.6, 0.0, 0.0, 0.7, 0.3]))
    settings = TrackingConfig(tracked_score=0.5, lost_score=0.2, lost_after=2)
    assert [state.value[0] for state in states_of(run.scores, settings)] == list("tuullt")
    accuracy = state_accuracy([run], settings)
    assert accuracy.lost_precision == 1 / 2  # frames 3 and 4
    assert accuracy.flagged_recall == 1.0  # frames 2 and 3
    assert accuracy.tracked_precision == 1 / 2  # frames 0 and 5, which is neither on nor off
    assert accuracy.tracked_recall == 1 / 3  # frames 0, 1 and 4
    assert accuracy.lost_recall == 1 / 2
    missed = (
        (GOALS["lost_precision"] - 0.5)
        + (GOALS["tracked_precision"] - 0.5)
        + (GOALS["tracked_recall"] - 1 / 3)
    )
    assert accuracy.shortfall == pytest.approx(missed)


def test_many_settings_at_once_give_the_states_of_each_by_itself():
    rng = np.random.default_rng(3)
    scores = rng.random(200)
    tried = np.array([(0.7, 0.3, 1), (0.7, 0.7, 3), (0.2, 0.1, 8), (0.9, 0.6, 5), (1.0, 0.0, 2)])
    order = [TargetState.TRACKED, TargetState.UNCERTAIN, TargetState.LOST]
    for column, (tracked, lost, after) in zip(_states_of_each(scores, *tried.T).T, tried, strict=True):
        settings = TrackingConfig(tracked_score=tracked, lost_score=lost, lost_after=int(after))
        assert [order[number] for number in column] == states_of(scores, settings)


def test_goals_that_can_be_reached_are_reached():
    runs = made_runs(separation=2.5)
    accuracy = state_accuracy(runs, choose_thresholds(runs, TrackingConfig()))
    assert accuracy.shortfall == 0
    assert all(getattr(accuracy, name) >= goal for name, goal in GOALS.items())
    assert accuracy.tracked_recall > 0.8


def test_where_goals_cannot_be_reached_the_nearest_settings_are_taken():
    runs = made_runs(separation=-0.5)
    chosen = choose_thresholds(runs, TrackingConfig())
    assert 0 < state_accuracy(runs, chosen).shortfall <= state_accuracy(runs, TrackingConfig()).shortfall


def test_only_the_thresholds_change():
    before = TrackingConfig(update_interval=7, update_score=0.3)
    after = choose_thresholds(made_runs(), before)
    assert (after.update_interval, after.update_score, after.search_growth) == (7, 0.3, 1.0)


@pytest.mark.parametrize(("found", "missing"), [(0.7, "off the target"), (0.0, "on the target")])
def test_frames_of_both_sorts_are_needed(found, missing):
    run = ScoredRun("run", np.array([0.5, 0.6]), np.array([found, found]))
    with pytest.raises(InputError, match=f"calibration needs frames {missing}, got none among 2"):
        choose_thresholds([run], TrackingConfig())
    with pytest.raises(InputError, match="got none among 0"):
        choose_thresholds([], TrackingConfig())


def test_reliability_by_hand():
    run = ScoredRun("run", np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0.6, 0.7, 0.8]))
    assert reliability([run], num_bins=2) == [(pytest.approx(0.15), 0.5, 2), (pytest.approx(0.85), 1.0, 2)]


def test_the_plot_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "reliability.png"
    plot_reliability(made_runs(), TrackingConfig(), path)
    assert path.read_bytes().startswith(b"\x89PNG")


class Pictures(list):
    """Frames in a list."""

    def read(self, index):
        return self[index]


def test_a_sequence_is_followed_and_another_target_is_never_there(small_clip):
    tracker = starktrack.load()
    boxes = np.stack([frame.box_xywh for frame in small_clip])
    pictures = Pictures(frame.image for frame in small_clip)
    here = VideoSequence("here", pictures, boxes, np.ones(len(boxes), bool))
    run = follow(tracker.engine, here, tracker.settings)
    assert len(run) == len(here) - 1 and run.overlaps.mean() > 0.5
    absent = follow(tracker.engine, here, tracker.settings, other=moving_video(1, length=3))
    assert (absent.overlaps == 0).all() and absent.scores.mean() < run.scores.mean()
