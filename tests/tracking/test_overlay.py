import numpy as np
import pytest

from starktrack.tracking.overlay import PALETTE, draw_boxes, image_grid
from starktrack.tracking.presence import TargetState

BLACK = np.zeros((240, 320, 3), np.uint8)
BOX = np.array([100.0, 80.0, 60.0, 40.0])


def touched(picture):
    rows, columns = np.nonzero(picture.any(axis=2))
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_a_box_is_drawn_on_its_edges_in_the_colour_of_its_target():
    picture = draw_boxes(BLACK, {1: BOX})
    # The right edge x = 160 lies between pixels 159 and 160: they share the light of the line equally.
    outside, left, right, beyond = picture[100, 158:162].astype(int)
    assert left.tolist() == pytest.approx(right, abs=8)  # OpenCV antialiases to about 1 / 32
    assert left / left.max() == pytest.approx(np.array(PALETTE[1]) / max(PALETTE[1]), abs=0.02)
    assert outside.max() < 10
    assert beyond.max() < 10
    assert not picture[100, 110:150].any()


def test_the_image_given_is_not_changed():
    image = BLACK.copy()
    draw_boxes(image, {0: BOX}, {0: 0.1})
    np.testing.assert_array_equal(image, BLACK)


def test_without_boxes_the_image_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw_boxes(image, {}), image)


def test_a_target_that_is_not_tracked_has_a_faint_box():
    states = (TargetState.TRACKED, TargetState.LOST, None)
    sure, doubted, silent = (draw_boxes(BLACK, {1: BOX}, states={1: state}) for state in states)
    assert doubted[110, 159].max() == pytest.approx(sure[110, 159].max() / 2, abs=1)
    np.testing.assert_array_equal(silent[110, 159], sure[110, 159])


def test_only_doubted_boxes_cost_a_blend_of_the_whole_image(monkeypatch):
    blended = []
    monkeypatch.setattr("cv2.addWeighted", lambda *values: blended.append(values) or values[0])
    for state in (TargetState.TRACKED, None):
        assert draw_boxes(BLACK, {1: BOX}, states={1: state}).any()
    assert not blended
    draw_boxes(BLACK, {1: BOX, 2: BOX}, states={1: TargetState.LOST, 2: TargetState.TRACKED})
    assert len(blended) == 1


def test_the_score_lengthens_the_label():
    below = 10  # columns of the label above the box
    with_score, without = (draw_boxes(BLACK, {1: BOX}, scores)[: 80 - below] for scores in ({1: 0.9}, None))
    assert touched(with_score)[2] > touched(without)[2]


def test_the_label_says_that_a_target_is_lost():
    lost, tracked = (
        draw_boxes(BLACK, {1: BOX}, states={1: TargetState(state)})[:70] for state in ("lost", "tracked")
    )
    assert touched(lost)[2] > touched(tracked)[2]


def test_the_label_stays_inside_the_image():
    picture = draw_boxes(BLACK, {1: np.array([300.0, -5.0, 60.0, 40.0])}, {1: 0.93})
    label = picture[:12]
    assert touched(label)[0] < 290
    assert (label == PALETTE[1]).all(axis=2).sum() > 100


def test_lines_grow_with_the_image():
    large = np.zeros((2160, 3840, 3), np.uint8)
    picture = draw_boxes(large, {1: np.array([1000.0, 800.0, 600.0, 400.0])})
    widths = [
        column.any(axis=1).sum()
        for column in (picture[1000, 1580:1620], draw_boxes(BLACK, {1: BOX})[100, 140:180])
    ]
    assert widths[0] > 3 * widths[1]


@pytest.mark.parametrize("box", [[1e12, -1e12, 1e15, 1e15], [-1e9, -1e9, 2e9, 2e9], [5, 5, 0, 0]])
def test_any_finite_box_can_be_drawn(box):
    assert draw_boxes(BLACK, {0: np.array(box, float)}).shape == BLACK.shape


def test_a_box_with_nan_is_left_out():
    np.testing.assert_array_equal(draw_boxes(BLACK, {0: np.array([np.nan, 1, 2, 3])}, {0: 0.9}), BLACK)


def test_targets_beyond_the_palette_begin_again():
    first, again = (draw_boxes(BLACK, {target: BOX})[110, 159] for target in (2, 2 + len(PALETTE)))
    np.testing.assert_array_equal(first, again)


def test_a_strip_has_the_pictures_in_rows():
    images = [np.full((30, 40, 3), level, np.uint8) for level in (10, 60, 110, 160, 210)]
    strip = image_grid(images, 3, width=80)
    assert strip.shape == (2 * (60 + 6) + 6, 3 * (80 + 6) + 6, 3)
    centres = [strip[36 + 66 * (i // 3), 46 + 86 * (i % 3), 0] for i in range(6)]
    assert centres == [10, 60, 110, 160, 210, 255]


def test_a_strip_takes_pictures_of_any_size_and_writes_captions():
    images = [np.zeros((30, 40, 3), np.uint8), np.zeros((80, 40, 3), np.uint8)]
    plain, captioned = image_grid(images, 4, width=80), image_grid(images, 4, ["first"], width=80)
    assert captioned.shape[0] == plain.shape[0] + 28
    assert (captioned[-34:, :86] < 100).any()
    assert not (captioned[-34:, 92:] < 100).any()
