"""Refinement against a refiner whose answers are made by hand."""

import numpy as np
import pytest
from tests.tracking.test_tracker import FakeEngine, frame

from starktrack.config.schema import Config, RefineModel
from starktrack.errors import StarktrackError
from starktrack.tracking.batch_tracker import BatchTracker, PluginAdapter
from starktrack.tracking.overlay import PALETTE, draw_masks
from starktrack.tracking.protocol import BoxQueries, Refinement, Refiner
from starktrack.tracking.refined_batch_tracker import OutlineBatchTracker, RefinedBatchTracker
from starktrack.tracking.refinement import mask_region, paste_mask, refine
from starktrack.tracking.tracker import Tracker

BOX = (100.0, 100.0, 40.0, 40.0)
"""A crop of twice this box is 80 px from (80, 80)."""


class FakeRefiner:
    """Says that the target is the left half of its crop; remembers what it was asked."""

    def __init__(self, box=(0.25, 0.5, 0.5, 1.0), threshold=0.5):
        self.config = Config(name="fake", model=RefineModel(mask_threshold=threshold))
        self.box = box
        self.embedded, self.found, self.templates = [], None, None

    def embed(self, queries):
        self.embedded += [tuple(box) for box in queries.boxes_xywh]
        return [f"look {number}" for number in range(len(queries))]

    def predict(self, queries, templates):
        self.found, self.templates = queries.boxes_xywh.copy(), [template for (template,) in templates]
        logits = np.full((len(queries), 4, 4), -4.0, np.float32)
        logits[:, :, :2] = 4.0
        return Refinement(np.tile(np.array(self.box, float), (len(queries), 1)), logits)


def queries(*boxes):
    return BoxQueries([frame()], np.zeros(len(boxes), np.int64), np.array(boxes, float))


def test_the_fake_fulfils_the_protocol():
    assert isinstance(FakeRefiner(), Refiner)


def test_box_and_outline_come_back_through_the_crop():
    (found,) = refine(FakeRefiner(), queries(BOX), ["look"])
    assert found.box_xywh.tolist() == [80.0, 80.0, 40.0, 80.0]
    rows, columns = np.flatnonzero(found.mask.any(axis=1)), np.flatnonzero(found.mask.any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (80, 159, 80, 119)
    assert found.mask.shape == (400, 600) and found.mask.sum() == 40 * 80


def test_a_higher_threshold_draws_less():
    # Between the cells' middles the logit falls from 4 to -4 over 20 px; 0.9 is log 9 = 2.2.
    (strict,) = refine(FakeRefiner(threshold=0.9), queries(BOX), ["look"])
    assert np.flatnonzero(strict.mask.any(axis=0))[-1] == 119 - 5


def test_an_outline_ends_where_the_frame_does():
    (found,) = refine(FakeRefiner(), queries((0.0, 380.0, 40.0, 40.0)), ["look"])
    # The crop goes from (-20, 360) to (60, 440): of its left half 20 columns and 40 rows can be seen.
    assert found.mask.sum() == 20 * 40
    assert found.mask[360:, :20].all()
    assert found.box_xywh.tolist() == [0.0, 360.0, 20.0, 40.0]


def test_a_window_beside_the_frame_paints_nothing():
    logits = np.ones((4, 4), np.float32)
    for corner in ((600, 0), (0, 400), (-80, 0), (0, -90)):
        assert not paste_mask(logits, corner, 80, (400, 600), 0.0).any()


def test_weights_whose_corners_do_not_help_leave_the_trackers_box():
    refiner = FakeRefiner()
    refiner.config = Config(name="fake", model=RefineModel(box="tracker"))
    (found,) = refine(refiner, queries(BOX), ["look"])
    assert (found.box_xywh.tolist(), found.mask.sum()) == (list(BOX), 40 * 80)


def test_a_region_is_the_outline_within_its_bounds_or_the_box_where_there_is_none():
    mask = np.zeros((30, 40), bool)
    mask[3:5, 7:10] = True
    mask[4, 9] = False
    box = np.array([10.4, 20.6, 2.2, 3.0])
    outline = mask_region(mask, box)
    assert (outline.pixels.tolist(), outline.corner_xy) == ([[True, True, True], [True, True, False]], (7, 3))
    # Edges 10.4 to 12.6 and 20.6 to 23.6: columns 10 to 12, rows 21 to 23.
    filled = mask_region(np.zeros((30, 40), bool), box)
    assert (filled.pixels.shape, filled.pixels.all(), filled.corner_xy) == ((3, 3), True, (10, 21))


@pytest.mark.parametrize("make", [RefinedBatchTracker, OutlineBatchTracker])
def test_a_team_of_any_kind_is_refined_and_goes_on_from_its_own_boxes(make):
    class Drifting:
        def start(self, image, box_xywh):
            self.box = np.array(box_xywh)

        def update(self, image):
            self.box = self.box + np.array([10.0, 0.0, 0.0, 0.0])
            return self.box

    tracker = make(PluginAdapter(Drifting), FakeRefiner())
    assert (isinstance(tracker, BatchTracker), tracker.capacity) == (True, 1)
    target = tracker.start(frame(), np.array(BOX))
    for step in (1, 2):
        (found,) = tracker.advance([target], [frame()])
        # The crop of the drifted box, and its left half.
        assert (found.box_xywh.tolist(), found.score) == ([80.0 + 10 * step, 80.0, 40.0, 80.0], None)
    # A long evaluation would hold an outline a frame, which nobody asks for.
    corners = [(80, 80), (90, 80), (100, 80)] if make is OutlineBatchTracker else []
    assert [region.corner_xy for region in target.regions] == corners
    assert all(region.pixels.shape == (80, 40) for region in target.regions)


def test_what_is_not_finite_is_refused():
    with pytest.raises(StarktrackError, match="a refiner's answer must be finite, got NaN"):
        refine(FakeRefiner(box=(np.nan, 0.5, 0.5, 0.5)), queries(BOX), ["look"])


def test_a_tracker_answers_what_the_refiner_says_and_goes_on_from_its_own_box():
    engine, refiner = FakeEngine(), FakeRefiner()
    tracker = Tracker(engine, refiner)
    tracker.start(frame(), box_xywh=BOX)
    assert refiner.embedded == [BOX]
    output = tracker.update(frame())
    assert output.box_xywh.tolist() == [80.0, 80.0, 40.0, 80.0]
    assert output.mask.sum() == 40 * 80
    assert (refiner.templates, refiner.found.tolist()) == (["look 0"], [list(BOX)])
    tracker.update(frame())
    assert engine.windows.tolist() == [list(BOX)]
    assert tracker.last_box(0).tolist() == list(BOX)


def test_the_first_frame_keeps_the_given_box_and_gets_an_outline():
    tracker = Tracker(FakeEngine(), FakeRefiner())
    tracker.start(frame(), boxes_xywh=[BOX, (300.0, 200.0, 40.0, 40.0)])
    first = tracker.first_outputs(frame())
    assert first[0].box_xywh.tolist() == list(BOX)
    assert [first[i].mask.sum() for i in (0, 1)] == [3200, 3200]
    assert first[1].mask[180:260, 280:320].all()


def test_each_target_is_refined_with_its_own_look_also_when_others_go():
    refiner = FakeRefiner()
    tracker = Tracker(FakeEngine(), refiner)
    tracker.start(frame(), boxes_xywh=[BOX, (300.0, 200.0, 40.0, 40.0)])
    tracker.remove(0)
    assert set(tracker.update_all(frame())) == {1}
    assert refiner.templates == ["look 1"]


def test_without_a_refiner_there_is_no_outline():
    tracker = Tracker(FakeEngine())
    tracker.start(frame(), box_xywh=BOX)
    assert tracker.first_outputs(frame())[0].mask is None
    assert tracker.update(frame()).mask is None


def test_a_targets_pixels_are_tinted_and_others_are_not():
    mask = np.zeros((40, 60), bool)
    mask[10:30, 20:40] = True
    image = np.full((40, 60, 3), 200, np.uint8)
    tinted = draw_masks(image, {1: mask})
    assert tinted[20, 30].tolist() == [100 + channel // 2 for channel in PALETTE[1]]
    # Lines are smoothed, which rounds their colour.
    np.testing.assert_allclose(tinted[10, 30].astype(int), PALETTE[1], atol=12)
    assert (tinted[:8] == 200).all() and (image == 200).all()
