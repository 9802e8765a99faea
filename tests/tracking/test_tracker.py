"""The tracker against an engine whose answers are made by hand."""

import tracemalloc

import jaxtyping
import numpy as np
import pytest

from starktrack.config.schema import Config, CropConfig, ModelConfig, TrackingConfig
from starktrack.errors import BoxError, InputError, StarktrackError
from starktrack.tracking.protocol import Engine, Prediction
from starktrack.tracking.tracker import Tracker

MIDDLE = (0.5, 0.5, 0.25, 0.25)
"""In a window of four times a square box, this answer says: the box has not moved."""


class FakeEngine:
    """Answers what it was told to, and remembers what it was asked."""

    def __init__(self, *, num_templates=1, scores=None, boxes=None, geometry="exact", interval=3):
        self.config = Config(
            name="fake",
            model=ModelConfig(
                num_templates=num_templates, geometry=geometry, search=CropConfig(side=320, factor=4.0)
            ),
            tracking=TrackingConfig(update_interval=interval),
        )
        self.scores, self.boxes = scores, boxes
        self.num_frames = 0
        self.embedded, self.windows, self.templates = [], [], []

    def embed(self, queries):
        made = [
            (int(queries.images[i].mean()), tuple(box))
            for i, box in zip(queries.image_index, queries.boxes_xywh, strict=True)
        ]
        self.embedded += made
        return made

    def predict(self, queries, templates):
        self.windows = queries.boxes_xywh.copy()
        self.templates = [list(each) for each in templates]
        answer = MIDDLE if self.boxes is None else self.boxes[self.num_frames]
        score = None if self.scores is None else np.full(len(queries), self.scores[self.num_frames])
        self.num_frames += 1
        return Prediction(np.tile(np.array(answer, float), (len(queries), 1)), score)


@pytest.fixture
def unchecked_types(monkeypatch):
    """Switch the test run's own type checks off, to see what users see."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def frame(level=0, size_hw=(400, 600)):
    return np.full((*size_hw, 3), level, np.uint8)


BOX = (100, 100, 40, 40)


def started(**options):
    engine = FakeEngine(**options)
    tracker = Tracker(engine)
    tracker.start(frame(), box_xywh=BOX)
    return tracker, engine


def test_the_fake_fulfils_the_protocol():
    assert isinstance(FakeEngine(), Engine)


def test_a_target_in_the_middle_of_its_window_has_not_moved():
    tracker, engine = started()
    output = tracker.update(frame())
    assert output.box_xywh.tolist() == [100.0, 100.0, 40.0, 40.0]
    assert (output.score, output.template_updated) == (None, False)
    assert engine.windows.tolist() == [[100.0, 100.0, 40.0, 40.0]]


def test_the_answer_is_mapped_through_the_window_and_the_next_window_lies_there():
    # The window is 160 px around (120, 120): from 40 to 200. A tenth of it is 16 px.
    tracker, engine = started(boxes=[(0.6, 0.45, 0.5, 0.25), MIDDLE])
    assert tracker.update(frame()).box_xywh.tolist() == pytest.approx([96.0, 92.0, 80.0, 40.0])
    tracker.update(frame())
    assert engine.windows[0].tolist() == pytest.approx([96.0, 92.0, 80.0, 40.0])


def test_a_box_that_leaves_the_frame_keeps_ten_pixels_in_it():
    tracker, _ = started(boxes=[(-2.0, 0.5, 0.25, 0.25), MIDDLE])
    assert tracker.update(frame()).box_xywh.tolist() == [0.0, 100.0, 10.0, 40.0]


def test_an_inverted_answer_becomes_a_box_of_positive_size():
    tracker, _ = started(boxes=[(0.5, 0.5, -0.25, 0.25)])
    assert tracker.update(frame()).box_xywh.tolist() == [140.0, 100.0, 10.0, 40.0]


def test_published_geometry_decodes_around_the_middle_of_the_box():
    tracker, _ = started(geometry="published")
    tracker.start(frame(), box_xywh=(100.3, 100.3, 40, 40))
    assert tracker.update(frame()).box_xywh.tolist() == pytest.approx([100.3, 100.3, 40.0, 40.0])


def test_exact_geometry_decodes_on_the_window_that_was_cut():
    tracker, _ = started()
    tracker.start(frame(), box_xywh=(100.3, 100.3, 40, 40))
    assert tracker.update(frame()).box_xywh.tolist() == pytest.approx([100.0, 100.0, 40.0, 40.0])


def test_starting_again_forgets_all_targets_and_counts_from_zero():
    tracker, _ = started()
    tracker.add(frame(), BOX)
    assert tracker.target_ids == [0, 1]
    assert tracker.start(frame(), boxes_xywh=[BOX, BOX, BOX]) == [0, 1, 2]
    assert tracker.start(frame(), box_xywh=BOX) == [0] == tracker.target_ids


def test_ids_are_not_used_again_while_the_video_runs():
    tracker, _ = started()
    assert tracker.add(frame(), BOX) == 1
    tracker.remove(1)
    assert tracker.add(frame(), BOX) == 2
    assert tracker.target_ids == [0, 2]
    assert list(tracker.update_all(frame())) == [0, 2]


def test_the_last_box_is_the_one_given_then_the_one_found():
    tracker, _ = started(boxes=[(0.6, 0.5, 0.25, 0.25)])
    assert tracker.last_box(0).tolist() == [100.0, 100.0, 40.0, 40.0]
    tracker.update(frame())
    assert tracker.last_box(0).tolist() == [116.0, 100.0, 40.0, 40.0]


def test_without_targets_nothing_is_found():
    assert Tracker(FakeEngine()).update_all(frame()) == {}


@pytest.mark.parametrize("boxes", [{}, {"box_xywh": BOX, "boxes_xywh": [BOX]}])
def test_start_needs_exactly_one_of_its_box_arguments(boxes):
    with pytest.raises(
        InputError, match=r"either box_xywh=\(x, y, w, h\) or boxes_xywh=\[...\], got both or none"
    ):
        Tracker(FakeEngine()).start(frame(), **boxes)


def test_start_needs_at_least_one_box():
    with pytest.raises(InputError, match="boxes_xywh must hold at least one box, got none"):
        Tracker(FakeEngine()).start(frame(), boxes_xywh=[])


def test_a_refused_start_keeps_the_targets_before():
    tracker, _ = started()
    with pytest.raises(BoxError):
        tracker.start(frame(), boxes_xywh=[BOX, (1000, 1000, 5, 5)])
    assert tracker.target_ids == [0]
    assert tracker.update(frame()).box_xywh.tolist() == [100.0, 100.0, 40.0, 40.0]


NOT_FRAMES = {
    "floats": (np.zeros((4, 4, 3)), r"got float64 \[4, 4, 3\]"),
    "grey": (np.zeros((4, 4), np.uint8), r"got uint8 \[4, 4\]"),
    "with alpha": (np.zeros((4, 4, 4), np.uint8), r"got uint8 \[4, 4, 4\]"),
    "empty": (np.zeros((0, 4, 3), np.uint8), r"got uint8 \[0, 4, 3\]"),
    "a list": ([[0, 0, 0]], r"got list \[\]"),
    "nothing": (None, r"got NoneType \[\]"),
}


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize("kind", NOT_FRAMES)
@pytest.mark.parametrize("call", ["start", "add", "update", "update_all"])
def test_what_is_not_an_rgb_frame_is_refused_with_the_rule(kind, call):
    image, got = NOT_FRAMES[kind]
    tracker, _ = started()
    arguments = {"start": {"box_xywh": BOX}, "add": {"box_xywh": BOX}}.get(call, {})
    with pytest.raises(InputError, match=r"must be an RGB array \[height, width, 3\] of uint8, " + got):
        getattr(tracker, call)(image, **arguments)
    assert tracker.target_ids == [0]


def test_update_is_for_exactly_one_target():
    tracker = Tracker(FakeEngine())
    with pytest.raises(InputError, match="update is for exactly one target, got 0; use start first"):
        tracker.update(frame())
    tracker.start(frame(), boxes_xywh=[BOX, BOX])
    with pytest.raises(InputError, match="got 2; use start first, or update_all for several"):
        tracker.update(frame())


@pytest.mark.parametrize("call", ["remove", "last_box"])
def test_an_unknown_target_is_refused_with_those_that_are_known(call):
    tracker, _ = started()
    with pytest.raises(InputError, match=r"a target must be one of \[0\], got 7"):
        getattr(tracker, call)(7)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_is_an_error_and_changes_nothing(bad):
    tracker, _ = started(boxes=[(bad, 0.5, 0.2, 0.2), MIDDLE])
    with pytest.raises(StarktrackError, match="a network's boxes must be finite, got NaN"):
        tracker.update(frame())
    assert tracker.last_box(0).tolist() == [100.0, 100.0, 40.0, 40.0]


def run(num_frames, **options):
    """Return (frames that became a template, engine) of a run in which frame i has grey level i."""
    tracker, engine = started(**options)
    outputs = [tracker.update(frame(level)) for level in range(1, num_frames + 1)]
    return [index for index, output in enumerate(outputs, start=1) if output.template_updated], engine


def test_a_spatial_model_never_takes_another_template():
    updated, engine = run(7)
    assert updated == [] and len(engine.embedded) == 1


def test_the_dynamic_template_is_replaced_on_every_interval_where_there_is_no_score():
    updated, engine = run(7, num_templates=2)
    assert updated == [3, 6]
    assert [level for level, _ in engine.embedded] == [0, 3, 6]


def test_the_dynamic_template_is_replaced_where_interval_and_score_agree():
    scores = [0.9, 0.9, 0.5, 0.9, 0.9, 0.51, 0.9, 0.1, 0.2]
    updated, engine = run(9, num_templates=2, scores=scores)
    assert updated == [6], "0.5 itself is not above the threshold, and other frames are not asked"
    assert [level for level, _ in engine.embedded] == [0, 6]


def test_the_new_template_shows_the_box_found_on_the_same_frame_and_is_used_from_the_next():
    boxes = [MIDDLE, MIDDLE, (0.6, 0.5, 0.25, 0.25), MIDDLE]
    tracker, engine = started(num_templates=2, boxes=boxes)
    for level in (1, 2, 3):
        tracker.update(frame(level))
    given, found = (0, (100.0, 100.0, 40.0, 40.0)), (3, (116.0, 100.0, 40.0, 40.0))
    assert engine.templates == [[given, given]]
    tracker.update(frame(4))
    assert engine.templates == [[given, found]]


def test_with_several_dynamic_templates_the_oldest_is_replaced():
    _, engine = run(10, num_templates=3)
    assert [[level for level, _ in target] for target in engine.templates] == [[0, 6, 9]]


def test_every_target_counts_its_own_interval():
    tracker, _ = started(num_templates=2)
    tracker.update(frame(1))
    tracker.add(frame(1), BOX)
    updated = [
        {target: output.template_updated for target, output in tracker.update_all(frame(level)).items()}
        for level in (2, 3, 4)
    ]
    assert updated == [{0: False, 1: False}, {0: True, 1: False}, {0: False, 1: True}]


@pytest.mark.usefixtures("unchecked_types")
def test_memory_does_not_grow_with_the_length_of_the_video():
    tracker, engine = started(num_templates=2, scores=[0.9] * 3001)
    engine.embedded = Forgetful()
    images = [frame(level, (32, 32)) for level in range(4)]
    tracker.start(images[0], box_xywh=(4, 4, 8, 8))

    def held_after(count):
        for index in range(count):
            tracker.update(images[index % 4])
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early, late = held_after(500), held_after(2500)
    finally:
        tracemalloc.stop()
    assert late - early < 20_000
    assert len(engine.templates[0]) == 2


class Forgetful(list):
    def __iadd__(self, other):
        return self


def test_an_output_cannot_be_written_to_for_the_tracker_remembers_it():
    tracker, _ = started()
    box = tracker.update(frame()).box_xywh
    with pytest.raises(ValueError, match="read-only"):
        box[:] = np.nan
    assert np.isfinite(tracker.update(frame()).box_xywh).all()


def test_outputs_carry_the_state_of_each_target():
    tracker, _ = started(scores=[0.9, 0.4, *[0.1] * 5, 0.3, 0.9])
    states = [str(tracker.update(frame()).state) for _ in range(9)]
    assert states == ["tracked", *["uncertain"] * 5, "lost", "lost", "tracked"]


def test_without_a_score_there_is_no_state():
    tracker, _ = started()
    assert tracker.update(frame()).state is None
