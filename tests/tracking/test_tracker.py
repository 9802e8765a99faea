"""The tracker against an engine whose answers are made by hand."""

import copy
import pickle
import tracemalloc

import jaxtyping
import numpy as np
import pytest

from starktrack.config.schema import Config, CropConfig, ModelConfig, TrackingConfig
from starktrack.data.frames import Frame
from starktrack.errors import BoxError, InputError, StarktrackError
from starktrack.tracking.protocol import Engine, Prediction
from starktrack.tracking.tracker import Tracker

MIDDLE = (0.5, 0.5, 0.25, 0.25)
"""In a window of four times a square box, this answer says: the box has not moved."""


class FakeEngine:
    """Gives the answers it was made with, and remembers what it was asked."""

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


@pytest.mark.parametrize(
    ("geometry", "given", "side"),
    [("exact", 4, 4), ("exact", 6, 6), ("exact", 8, 8), ("published", 4, 10), ("published", 8, 10)],
)
def test_a_small_target_stays_so_but_for_the_published_networks(geometry, given, side):
    tracker, _ = started(geometry=geometry, boxes=[MIDDLE, (-2.0, 0.5, 0.25, 0.25)])
    tracker.start(frame(), box_xywh=(100, 100, given, given))
    assert tracker.update(frame()).box_xywh.tolist() == pytest.approx([100.0, 100.0, side, side])
    # What leaves the frame keeps so much in it.
    assert tracker.update(frame()).box_xywh[2] == side


def test_a_frame_of_another_size_is_refused_until_the_tracker_starts_again():
    tracker, engine = started()
    small = frame(size_hw=(200, 300))
    with pytest.raises(
        InputError, match="must be 600 x 400 pixels like the frames before it, got 300 x 200; resize"
    ):
        tracker.update(small)
    with pytest.raises(InputError, match="got 300 x 200"):
        tracker.add(small, (10, 10, 20, 20))
    with pytest.raises(InputError, match="got 300 x 200"):
        list(tracker.track([frame(), small], BOX))
    assert engine.num_frames == 0
    tracker.start(small, (10, 10, 20, 20))
    tracker.update(small)
    tracker.remove(0)
    tracker.add(frame(), BOX)
    tracker.update(frame())


@pytest.mark.parametrize("spread", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_tracker_that_is_pickled_or_copied_says_what_to_do(spread):
    with pytest.raises(
        InputError, match=r"cannot be pickled or copied; call starktrack\.load in each process"
    ):
        spread(started()[0])


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
    "floats": (np.zeros((4, 4, 3)), r"got float64 \[4, 4, 3\]; call \(image \* 255\)"),
    "with alpha": (np.zeros((4, 4, 4), np.uint8), r"got uint8 \[4, 4, 4\]; drop the alpha channel"),
    "channels first": (np.zeros((3, 4, 5), np.uint8), r"got uint8 \[3, 4, 5\]; call numpy.moveaxis"),
    "empty": (np.zeros((0, 4, 3), np.uint8), r"got uint8 \[0, 4, 3\]; give one picture"),
    "several": (np.zeros((2, 4, 4, 3), np.uint8), r"got uint8 \[2, 4, 4, 3\]; give one picture"),
    "a list": ([[0, 0, 0]], "got list; call numpy.asarray"),
    "a path": ("dog.jpg", "got str; call numpy.asarray.* starktrack.track on a video"),
    "nothing": (None, "got NoneType"),
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


def test_a_start_takes_one_box_as_add_does():
    tracker = Tracker(FakeEngine())
    assert tracker.start(frame(), BOX) == [0]
    assert tracker.add(frame(), BOX) == 1


def test_ids_may_be_given():
    tracker = Tracker(FakeEngine())
    assert tracker.start(frame(), boxes_xywh={7: BOX, 3: BOX}) == [7, 3]
    assert tracker.add(frame(), BOX) == 8
    assert tracker.add(frame(), BOX, target_id=20) == 20
    assert [output.target_id for output in tracker.update_all(frame()).values()] == [7, 3, 8, 20]


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize("bad", [-1, "a", 1.5, True])
def test_an_id_is_a_whole_number(bad):
    tracker, _ = started()
    with pytest.raises(InputError, match=f"a target id must be a whole number from 0 on, got {bad!r}"):
        tracker.start(frame(), boxes_xywh={bad: BOX})
    assert tracker.target_ids == [0]


def test_adding_a_target_that_is_tracked_starts_it_again():
    tracker, engine = started(num_templates=2, scores=[0.1] * 20)
    for _ in range(5):
        tracker.update(frame())
    tracker.add(frame(9), (300, 200, 40, 40), target_id=0)
    output = tracker.update(frame())
    assert (output.box_xywh.tolist(), str(output.state)) == ([300.0, 200.0, 40.0, 40.0], "uncertain")
    assert [level for level, _ in engine.templates[0]] == [9, 9]


def test_outputs_say_which_target_frame_and_time():
    tracker, _ = started()
    tracker.add(frame(), BOX)
    tracker.update_all(frame(), seconds=0.5)
    first, second = tracker.update_all(frame(), seconds=1.5).values()
    assert [(each.target_id, each.frame_index, each.seconds) for each in (first, second)] == [
        (0, 2, 1.5),
        (1, 2, 1.5),
    ]
    tracker.start(frame(), BOX)
    assert tracker.first_outputs(frame())[0].frame_index == 0
    assert tracker.update(frame()).frame_index == 1


def test_settings_are_the_trackers_and_the_engine_keeps_its_own():
    engine = FakeEngine(num_templates=2, interval=3)
    quick, slow = Tracker(engine, settings=TrackingConfig(update_interval=1)), Tracker(engine)
    for tracker in (quick, slow):
        tracker.start(frame(), BOX)
    updated = [[tracker.update(frame()).template_updated for _ in range(3)] for tracker in (quick, slow)]
    assert updated == [[True, True, True], [False, False, True]]
    assert engine.config.tracking.update_interval == 3


def test_bgr_is_a_tracker_s_or_a_call_s():
    bgr = np.zeros((400, 600, 3), np.uint8)
    bgr[..., 0] = 30
    seen = []

    class Watching(FakeEngine):
        def embed(self, queries):
            seen.append(queries.images[0][0, 0].tolist())
            return super().embed(queries)

    Tracker(Watching(), color="bgr").start(bgr, BOX)
    tracker = Tracker(Watching())
    tracker.start(bgr, BOX)
    tracker.add(bgr, BOX, color="bgr")
    list(tracker.track([bgr], BOX, color="bgr"))
    assert seen == [[0, 0, 30], [30, 0, 0], [0, 0, 30], [0, 0, 30]]


def test_tracking_arrays_gives_a_record_a_frame():
    run = list(Tracker(FakeEngine()).track((frame(level) for level in range(3)), BOX))
    assert [(tracked.index, tracked.seconds, tracked.output.frame_index) for tracked in run] == [
        (0, None, 0),
        (1, None, 1),
        (2, None, 2),
    ]
    assert [int(tracked.image[0, 0, 0]) for tracked in run] == [0, 1, 2]


def test_tracking_without_boxes_goes_on_with_the_targets_that_were_started():
    tracker, engine = started()
    run = list(tracker.track([frame(), frame()]))
    assert ([tracked.index for tracked in run], engine.num_frames) == ([1, 2], 2)


def test_targets_begin_again_begin_and_end_by_frame():
    first, other = (100.0, 100.0, 40.0, 40.0), (300.0, 200.0, 40.0, 40.0)
    changes = iter([(11, {5: first}), (12, {2: other}), (13, {5: None}), (14, {2: first})])
    frames = [Frame(frame(), index, index / 10) for index in range(10, 16)]
    run = list(Tracker(FakeEngine()).track(frames, changes))
    assert [list(tracked.outputs) for tracked in run] == [[], [5], [2, 5], [2], [2], [2]]
    boxes = [tracked.outputs[2].box_xywh.tolist() for tracked in run[2:]]
    assert boxes == [list(other), list(other), list(first), list(first)]
    assert {(each.frame_index, each.seconds) for each in run[2].outputs.values()} == {(12, 1.2)}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([(0, {0: BOX}), (9, {0: None})], "lie within the video, got one of frame 9 after the last frame 2"),
        ([(1, {0: BOX}), (0, {0: None})], "order of frames, got one of frame 0 at frame 1"),
        ([(0, {0: BOX}), (1, {4: None})], r"must be one of \[0\], got 4"),
        ([{0: BOX}], r"must be \(frame_index, \{target_id: box or None\}\), got \{0: "),
        ([(0.5, {0: BOX})], "must be .frame_index"),
        ([(0, BOX)], "must be .frame_index"),
    ],
)
def test_changes_that_do_not_fit_are_refused(changes, text):
    with pytest.raises(InputError, match=text):
        list(Tracker(FakeEngine()).track([frame()] * 3, iter(changes)))


@pytest.mark.parametrize("boxes", [[], {}, "1,2,3,4", 7])
def test_boxes_of_no_known_form_are_refused(boxes):
    with pytest.raises(BoxError, match="targets must be one box x,y,w,h, a list of boxes, a mapping"):
        list(Tracker(FakeEngine()).track([frame()], boxes))


@pytest.mark.parametrize(
    ("boxes", "ids"),
    [
        (BOX, [0]),
        (list(BOX), [0]),
        (np.array(BOX), [0]),
        ([BOX, BOX], [0, 1]),
        (np.array([BOX]), [0]),
        ({4: BOX, 2: BOX}, [2, 4]),
    ],
)
def test_boxes_come_as_one_several_or_by_id(boxes, ids):
    (tracked,) = Tracker(FakeEngine()).track([frame()], boxes)
    assert list(tracked.outputs) == ids
