"""A lost target is searched around its last sure box in a growing, bounded region."""

import numpy as np
import pytest

from starktrack.config.schema import Config, CropConfig, ModelConfig, TrackingConfig
from starktrack.tracking.presence import TargetState
from starktrack.tracking.protocol import BoxQueries, Prediction, Template
from starktrack.tracking.search_growth import RATE, SearchGrowth
from starktrack.tracking.tracker import Tracker

SIZE_HW = (400, 600)
SEEN, LATEST = np.array([290.0, 190.0, 20.0, 20.0]), np.array([10.0, 20.0, 30.0, 40.0])


def config(growth=2.0):
    model = ModelConfig(score_head=True, search=CropConfig(side=320, factor=5.0), geometry="exact")
    tracking = TrackingConfig(search_growth=growth, lost_after=2)
    return Config(name="x", model=model, tracking=tracking)


def test_a_target_that_is_not_lost_is_searched_around_its_latest_box():
    assert SearchGrowth(SEEN).around(LATEST, SIZE_HW, 2.0, 5.0) is LATEST


def test_a_lost_target_is_searched_around_its_last_sure_box_a_little_wider_every_frame():
    # One frame: 20 px grow to 21, around the same centre (300, 200).
    np.testing.assert_allclose(
        SearchGrowth(SEEN, 1).around(LATEST, SIZE_HW, 2.0, 5.0), [289.5, 189.5, 21, 21]
    )
    two = SearchGrowth(SEEN, 2).around(LATEST, SIZE_HW, 2.0, 5.0)
    np.testing.assert_allclose(two[2:], 20 * RATE**2)


def test_growth_ends_at_its_bound():
    np.testing.assert_allclose(SearchGrowth(SEEN, 500).around(LATEST, SIZE_HW, 2.0, 5.0), [280, 180, 40, 40])


def test_the_region_grows_no_further_than_to_show_the_whole_image():
    # Centre (300, 200) of 600 x 400: 600 px wide shows all, 5 * 20 = 100 px is the usual width, so 6 times.
    around = SearchGrowth(SEEN, 500).around(LATEST, SIZE_HW, 10.0, 5.0)
    np.testing.assert_allclose(around[2:], [120, 120])


def test_a_region_that_shows_all_already_does_not_shrink():
    large = np.array([100.0, 100.0, 300.0, 200.0])
    np.testing.assert_allclose(SearchGrowth(large, 9).around(LATEST, SIZE_HW, 2.0, 5.0), large)


def test_growth_of_one_is_off():
    assert SearchGrowth(SEEN, 50).around(LATEST, SIZE_HW, 1.0, 5.0) is LATEST


@pytest.mark.parametrize(
    ("state", "seen", "num_lost"),
    [(TargetState.TRACKED, LATEST, 0), (TargetState.UNCERTAIN, SEEN, 0), (TargetState.LOST, SEEN, 4)],
)
def test_only_a_sure_box_is_remembered_and_only_lost_frames_count(state, seen, num_lost):
    after = SearchGrowth(SEEN, 3).after(LATEST, state)
    assert after.seen_xywh is seen and after.num_lost == num_lost


class Engine:
    """Answers the middle of every window, with the scores that were given; remembers the windows."""

    def __init__(self, scores, growth):
        self.config, self.scores, self.windows = config(growth), list(scores), []

    def embed(self, queries: BoxQueries) -> list[Template]:
        return [None] * len(queries)

    def predict(self, queries: BoxQueries, templates) -> Prediction:
        self.windows.append(queries.boxes_xywh[0])
        return Prediction(np.array([[0.75, 0.5, 0.2, 0.2]]), np.array([self.scores.pop(0)]))


def run(growth):
    engine = Engine([0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9], growth)
    tracker = Tracker(engine)
    tracker.start(np.zeros((*SIZE_HW, 3), np.uint8), box_xywh=SEEN)
    outputs = [tracker.update(np.zeros((*SIZE_HW, 3), np.uint8)) for _ in range(7)]
    return engine.windows, outputs


def test_a_tracker_goes_back_to_where_it_was_sure_and_looks_further_until_it_is_sure_again():
    windows, outputs = run(growth=2.0)
    assert [output.state.value[0] for output in outputs] == list("tullltt")
    sure = outputs[0].box_xywh
    np.testing.assert_array_equal(windows[2], outputs[1].box_xywh)  # uncertain: the latest box
    for frame, times in ((3, RATE), (4, RATE**2), (5, RATE**3)):
        np.testing.assert_allclose(windows[frame][2:], sure[2:] * times)
        np.testing.assert_allclose(windows[frame][:2] + windows[frame][2:] / 2, sure[:2] + sure[2:] / 2)
    np.testing.assert_array_equal(windows[6], outputs[5].box_xywh)  # found: around where it is


def test_without_growth_every_window_lies_around_the_latest_box():
    windows, outputs = run(growth=1.0)
    for window, before in zip(windows[1:], outputs, strict=False):
        np.testing.assert_array_equal(window, before.box_xywh)


def test_shrinking_is_refused():
    with pytest.raises(ValueError, match="search_growth"):
        TrackingConfig(search_growth=0.5)
