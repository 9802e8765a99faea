"""Boxes are drawn like the one that was given, by the network's own box in the first frame."""

import numpy as np
import pytest

from starktrack.config.schema import Config, CropConfig, ModelConfig, TrackingConfig
from starktrack.geometry.boxes import cxcywh_to_xywh, xywh_to_cxcywh
from starktrack.geometry.crop import decode_transform
from starktrack.tracking.batch_tracker import NetworkTracker
from starktrack.tracking.box_fit import MIN_OVERLAP, fit_boxes
from starktrack.tracking.protocol import BoxQueries, Prediction, Template
from starktrack.tracking.tracker import Tracker

SIZE_HW = (300, 400)
GIVEN = np.array([100.0, 80.0, 40.0, 60.0])
STEPS_XYWH = [np.array([100.0 + 4 * i, 80.0 + 3 * i, 40, 60]) for i in range(6)]


class BiasedEngine:
    """Draws every target a quarter wider, a fifth lower and a little to the right; images are frame numbers."""

    SCALE, SHIFT = np.array([1.25, 0.8]), np.array([0.05, -0.02])

    def __init__(self, box_fit, answer=None):
        model = ModelConfig(score_head=True, search=CropConfig(side=256, factor=4.0), geometry="exact")
        self.config = Config(name="x", model=model, tracking=TrackingConfig(box_fit=box_fit))
        self.answer, self.num_predicted = answer, 0

    def embed(self, queries: BoxQueries) -> list[Template]:
        return [None] * len(queries)

    def biased(self, box_xywh):
        true = xywh_to_cxcywh(box_xywh)
        size = true[2:] * self.SCALE
        return cxcywh_to_xywh(np.concatenate([true[:2] + self.SHIFT * size, size]))

    def predict(self, queries: BoxQueries, templates) -> Prediction:
        self.num_predicted += 1
        search, geometry = self.config.model.search, self.config.model.geometry
        transform = decode_transform(queries.boxes_xywh, search.factor, search.side, geometry)
        frames = [int(queries.images[index][0, 0, 0]) for index in queries.image_index]
        seen = transform.to_crop(np.stack([self.biased(STEPS_XYWH[frame]) for frame in frames]))
        return Prediction(seen if self.answer is None else np.tile(self.answer, (len(queries), 1)), None)


def frame(index: int) -> np.ndarray:
    return np.full((*SIZE_HW, 3), index, np.uint8)


def follow(engine):
    tracker = Tracker(engine)
    tracker.start(frame(0), GIVEN)
    return np.stack([tracker.update(frame(index)).box_xywh for index in range(1, len(STEPS_XYWH))])


def test_boxes_are_drawn_like_the_given_one_in_every_frame():
    np.testing.assert_allclose(follow(BiasedEngine(box_fit=1.0)), STEPS_XYWH[1:], atol=1e-6)


def test_without_it_boxes_are_the_networks_and_the_first_frame_is_not_searched():
    engine = BiasedEngine(box_fit=0.0)
    boxes = follow(engine)
    np.testing.assert_allclose(boxes, [engine.biased(box) for box in STEPS_XYWH[1:]], atol=1e-6)
    assert engine.num_predicted == len(boxes)


def test_a_share_of_the_difference_is_corrected():
    engine = BiasedEngine(box_fit=0.5)
    sizes = follow(engine)[:, 2:]
    np.testing.assert_allclose(
        sizes / np.stack(STEPS_XYWH[1:])[:, 2:], np.tile(engine.SCALE**0.5, (len(sizes), 1))
    )


def test_many_videos_are_corrected_as_one():
    engine = BiasedEngine(box_fit=0.75)
    tracker = NetworkTracker(engine, 4)
    target = tracker.start(frame(0), GIVEN)
    boxes = [tracker.advance([target], [frame(index)])[0].box_xywh for index in range(1, len(STEPS_XYWH))]
    np.testing.assert_array_equal(boxes, follow(BiasedEngine(box_fit=0.75)))


def test_the_correction_fades_as_size_and_shape_change():
    fit = fit_boxes(GIVEN, np.array([100.0, 80, 50, 60]), 1.0)
    assert fit is not None

    def corrected(w, h):
        return w / fit.apply(np.array([100.0, 80, w, h]))[2]

    assert corrected(50, 60) == pytest.approx(1.25)
    assert (
        corrected(100, 120) == corrected(25, 30) == pytest.approx(1.25**0.5)
    )  # half as much at twice the size
    assert corrected(100, 60) == corrected(50, 120) == pytest.approx(1.25 ** (0.5 * 0.5**0.5))
    assert 1 < corrected(5000, 60) < 1.001


def test_a_box_without_an_area_stays_as_it_is():
    fit = fit_boxes(GIVEN, np.array([100.0, 80, 50, 60]), 1.0)
    for box in ([100.0, 80, 0, 60], [100.0, 80, 50, -1]):
        np.testing.assert_array_equal(fit.apply(np.array(box)), box)


@pytest.mark.parametrize(
    "found", [[300.0, 200, 40, 60], [100.0, 80, 160, 60], [np.nan] * 4, [100.0, 80, 0, 0]]
)
def test_a_box_of_something_else_corrects_nothing(found):
    assert fit_boxes(GIVEN, np.array(found), 1.0) is None


def test_the_least_overlap_is_enough():
    wide = GIVEN * [1, 1, 1 / MIN_OVERLAP, 1]
    np.testing.assert_allclose(fit_boxes(GIVEN, wide, 1.0).apply(wide), GIVEN)


def test_an_answer_that_is_not_finite_is_an_error_in_the_next_frame_as_ever():
    tracker = Tracker(BiasedEngine(box_fit=1.0, answer=[np.nan] * 4))
    tracker.start(frame(0), GIVEN)
    with pytest.raises(Exception, match="boxes must be finite"):
        tracker.update(frame(1))
