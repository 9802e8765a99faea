"""A lost target is looked for in the whole picture, and what is found must be confirmed."""

from dataclasses import replace

import numpy as np
import pytest

from starktrack.config.schema import Config, CropConfig, ModelConfig, TrackingConfig
from starktrack.geometry.boxes import cxcywh_to_xywh, xywh_to_cxcywh
from starktrack.geometry.crop import decode_transform
from starktrack.tracking.presence import TargetState
from starktrack.tracking.protocol import BoxQueries, Prediction, Template
from starktrack.tracking.redetection import COARSE, CONFIRMATIONS, NUM_FINALISTS, NUM_WINDOWS, windows
from starktrack.tracking.tracker import Tracker

SIZE_HW = (360, 480)
FIRST = np.array([30.0, 40.0, 20.0, 20.0])
FAR = np.array([420.0, 300.0, 20.0, 20.0])
FACTOR = 4.0


def square(box_xywh) -> np.ndarray:
    """Return a picture with a white square, or with nothing."""
    image = np.zeros((*SIZE_HW, 3), np.uint8)
    if box_xywh is not None:
        x, y, w, h = (int(value) for value in box_xywh)
        image[y : y + h, x : x + w] = 255
    return image


class SquareEngine:
    """Finds a white square whose middle lies in the window; `trusts` tells how sure it is, by the number of windows."""

    def __init__(self, redetect, trusts=lambda num_windows: 0.95):
        model = ModelConfig(
            score_head=True,
            num_templates=2,
            search=CropConfig(side=256, factor=FACTOR),
            template=CropConfig(side=128, factor=2.0),
            geometry="exact",
        )
        self.config = Config(name="x", model=model, tracking=TrackingConfig(redetect=redetect, lost_after=2))
        self.trusts, self.calls, self.templates = trusts, [], []

    def embed(self, queries: BoxQueries) -> list[Template]:
        return [f"template {len(self.templates)}"] * len(queries)

    def predict(self, queries: BoxQueries, templates) -> Prediction:
        self.calls.append(queries.boxes_xywh)
        self.templates.append(templates)
        model = self.config.model
        transform = decode_transform(queries.boxes_xywh, FACTOR, model.search.side, model.geometry)
        rows, columns = np.nonzero(queries.images[0][..., 0])
        boxes, scores = np.tile([0.5, 0.5, 0.25, 0.25], (len(queries), 1)), np.full(len(queries), 0.05)
        if len(rows):
            at = np.array([columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1], float)
            seen = transform.to_crop(np.tile(at, (len(queries), 1)))
            inside = ((seen[:, :2] > 0) & (seen[:, :2] < 1)).all(axis=1)
            boxes[inside], scores[inside] = seen[inside], self.trusts(len(queries))
        return Prediction(boxes, scores)


def follow(engine, pictures):
    tracker = Tracker(engine)
    tracker.start(square(FIRST), FIRST)
    return [tracker.update(picture) for picture in pictures]


def test_windows_cover_the_picture_and_overlap_by_half():
    boxes = xywh_to_cxcywh(windows(SIZE_HW, np.array([0.0, 0.0, 40.0, 40.0]), FACTOR, 0))
    np.testing.assert_allclose(boxes[:, 2:], COARSE * 40)
    half = FACTOR * COARSE * 40 / 2
    rng = np.random.default_rng(0)
    for point in rng.uniform((0, 0), SIZE_HW[::-1], (500, 2)):
        assert (np.abs(boxes[:, :2] - point).max(axis=1) <= half).any()


def test_the_nearest_window_is_first_and_searches_take_turns_where_there_are_many():
    seen = np.array([100.0, 100.0, 10.0, 10.0])
    searches = [windows((720, 1280), seen, FACTOR, number) for number in range(40)]
    assert all(len(boxes) <= NUM_WINDOWS for boxes in searches)
    distance = np.linalg.norm(xywh_to_cxcywh(np.concatenate(searches))[:, :2] - 105, axis=1)
    turn = int(np.argmax(distance)) + 1
    assert (np.diff(distance[:turn]) >= 0).all()
    np.testing.assert_array_equal(distance[turn : turn + NUM_WINDOWS], distance[:NUM_WINDOWS])


def test_a_target_that_comes_back_elsewhere_is_found_and_tracked():
    engine = SquareEngine(redetect=3)
    outputs = follow(engine, [square(None)] * 4 + [square(FAR)] * 8)
    states = "".join(output.state.value[0] for output in outputs)
    # Lost from the second empty frame on, searched in every third lost frame: frame index 3, then 6.
    assert states == "ulllll" + "u" + "u" * (CONFIRMATIONS - 1) + "tttt"
    np.testing.assert_allclose(outputs[6].box_xywh, FAR, atol=0.5)
    np.testing.assert_allclose(outputs[-1].box_xywh, FAR, atol=0.5)


def test_without_the_setting_it_is_not_found():
    engine = SquareEngine(redetect=0)
    outputs = follow(engine, [square(None)] * 4 + [square(FAR)] * 20)
    assert all(output.state is TargetState.LOST for output in outputs[2:])
    assert {len(boxes) for boxes in engine.calls} == {1}


def test_what_the_next_frames_do_not_confirm_is_given_up():
    engine = SquareEngine(redetect=3, trusts=lambda num_windows: 0.95 if num_windows > 1 else 0.1)
    outputs = follow(engine, [square(None)] * 4 + [square(FAR)] * 8)
    assert TargetState.TRACKED not in [output.state for output in outputs]
    went_over = [output for output in outputs if output.state is TargetState.UNCERTAIN][1:]
    assert went_over and all(np.allclose(output.box_xywh, FAR, atol=0.5) for output in went_over)
    np.testing.assert_array_equal(outputs[7].box_xywh, outputs[5].box_xywh)


def test_a_template_that_a_search_discards_at_once_does_not_count_as_an_update():
    engine = SquareEngine(redetect=3)
    settings = replace(engine.config.tracking, update_interval=7, update_score=0.0)
    tracker = Tracker(engine, settings=settings)
    tracker.start(square(FIRST), FIRST)
    outputs = [tracker.update(picture) for picture in [square(None)] * 4 + [square(FAR)] * 11]
    np.testing.assert_allclose(outputs[6].box_xywh, FAR, atol=0.5)  # found where the update was due
    assert [index for index, output in enumerate(outputs) if output.template_updated] == [13]


def test_the_search_is_coarse_then_fine_and_uses_the_first_template_alone():
    engine = SquareEngine(redetect=3)
    follow(engine, [square(None)] * 4 + [square(FAR)] * 8)
    searches = [number for number, boxes in enumerate(engine.calls) if len(boxes) > NUM_FINALISTS]
    for number in searches:
        np.testing.assert_allclose(engine.calls[number][:, 2:], COARSE * 20)
        assert len(engine.calls[number + 1]) == NUM_FINALISTS
        assert {name for pair in engine.templates[number] for name in pair} == {"template 0"}


def test_targets_of_one_frame_are_searched_by_themselves():
    engine = SquareEngine(redetect=3)
    tracker = Tracker(engine)
    tracker.start(square(FIRST), boxes_xywh=[FIRST, [200, 200, 20, 20]])
    outputs = [tracker.update_all(square(FIRST)) for _ in range(12)]
    assert outputs[-1][0].state is TargetState.TRACKED
    np.testing.assert_allclose(outputs[-1][0].box_xywh, FIRST, atol=0.5)


def test_a_negative_interval_is_refused():
    with pytest.raises(ValueError, match="redetect"):
        TrackingConfig(redetect=-1)


def test_a_window_is_cut_around_a_box_of_the_size_that_was_seen_last():
    boxes = windows(SIZE_HW, cxcywh_to_xywh(np.array([240.0, 180.0, 60.0, 30.0])), FACTOR, 0)
    np.testing.assert_allclose(boxes[:, 2:], [[COARSE * 60, COARSE * 30]] * len(boxes))
