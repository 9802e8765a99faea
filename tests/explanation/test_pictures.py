from dataclasses import replace

import numpy as np
import pytest

from starktrack.explanation.engine import Explanation
from starktrack.explanation.film import film_frame
from starktrack.explanation.pictures import (
    CURVE_COLOUR,
    TILE,
    attention_tile,
    corner_tile,
    head_tiles,
    score_curve,
    search_tile,
    summary_tiles,
    tinted,
)

GREY = np.full((64, 64, 3), 100, np.uint8)


@pytest.fixture
def explanation():
    return Explanation(
        search=GREY,
        templates=[GREY[:32, :32]] * 2,
        cells=4,
        position_xy=(0.5, 0.5),
        encoder=np.full((2, 3, 24), 1 / 24),
        decoder=np.full((2, 3, 24), 1 / 24),
        corners=np.full((2, 4, 4), 1 / 16),
        centre=None,
        box_cxcywh=np.array([0.5, 0.5, 0.5, 0.25]),
        score=0.7,
    )


def brightest(picture):
    row, column = np.unravel_index(picture.sum(axis=2).argmax(), picture.shape[:2])
    return int(row), int(column)


def weights_of(token):
    return np.eye(24)[token]


def test_the_cell_that_gets_the_weight_is_the_bright_one(explanation):
    # Search cell (2, 1): tokens of two templates with four cells each come before it.
    row, column = brightest(attention_tile(explanation, weights_of(8 + 2 * 4 + 1)))
    assert (row, column - TILE // 2) == pytest.approx((2.5 * TILE / 4, 1.5 * TILE / 4), abs=2)


def test_templates_stand_on_the_left_the_initial_one_on_top(explanation):
    # Cell (1, 0) of the second template.
    row, column = brightest(attention_tile(explanation, weights_of(4 + 2)))
    assert TILE // 2 + TILE // 4 < row < TILE and column < TILE // 4 + 2


def test_a_template_that_was_not_shown_stays_dark(explanation):
    tile = attention_tile(explanation, np.ones(16))
    assert tile[:, : TILE // 2].max() < tile[:, TILE // 2 :].min()


def test_one_template_leaves_the_place_below_it_black(explanation):
    alone = replace(explanation, templates=explanation.templates[:1])
    tile = attention_tile(alone, np.ones(4 + 16))
    assert tile[TILE // 2 :, : TILE // 2].max() == 0 and tile[: TILE // 2, : TILE // 2].min() > 0


def test_weights_of_zero_make_no_error(explanation):
    assert attention_tile(explanation, np.zeros(24)).shape == (TILE, TILE * 3 // 2, 3)


def test_the_box_is_drawn_where_it_was_found(explanation):
    tile = search_tile(explanation)[:, TILE // 2 :]
    rows, columns = np.where(tile.min(axis=2) > 190)  # lines are smoothed, and the rest is darker
    # cxcywh (0.5, 0.5, 0.5, 0.25): from x 1/4 to 3/4, y 3/8 to 5/8.
    assert (columns.min(), columns.max()) == pytest.approx((TILE / 4, 3 * TILE / 4), abs=1)
    assert (rows.min(), rows.max()) == pytest.approx((3 * TILE / 8, 5 * TILE / 8), abs=1)


@pytest.mark.parametrize(("corner", "x", "y"), [(0, 1 / 4, 3 / 8), (1, 3 / 4, 5 / 8)])
def test_the_expectation_of_a_corner_is_a_cross(explanation, corner, x, y):
    tile = corner_tile(explanation, corner)[:, TILE // 2 :]
    rows, columns = np.where(tile.min(axis=2) > 190)  # lines are smoothed, and the rest is darker
    assert (columns.mean(), rows.mean()) == pytest.approx((TILE * x, TILE * y), abs=1)


def test_a_box_far_outside_is_drawn_without_an_error(explanation):
    far = replace(explanation, box_cxcywh=np.array([1e9, -1e9, 5.0, 5.0]))
    assert search_tile(far).shape == corner_tile(far, 0).shape == (TILE, TILE * 3 // 2, 3)


def test_tiles_are_of_what_there_is(explanation):
    assert list(summary_tiles(explanation)) == [
        "search region",
        "encoder, last layer",
        "decoder, last layer",
        "top-left corner",
        "bottom-right corner",
    ]
    bare = replace(explanation, encoder=None, decoder=None, corners=None)
    assert list(summary_tiles(bare)) == ["search region"]
    assert list(summary_tiles(replace(bare, centre=np.eye(4)))) == ["search region", "centre"]
    assert len(head_tiles(explanation, explanation.encoder)) == 2 * 3


def test_a_share_of_nothing_is_dark_and_grey_and_a_full_one_is_coloured():
    dark, bright = tinted(GREY, np.zeros((4, 4)), 32), tinted(GREY, np.ones((4, 4)), 32)
    assert (dark == 35).all()  # 0.35 of 100
    assert np.ptp(bright[0, 0].astype(int)) > 40 and bright.mean() > 100


def test_the_curve_of_a_falling_score_falls():
    curve = score_curve([1.0, 0.0], (101, 201), 0.5)
    rows, columns = np.where((curve == CURVE_COLOUR).all(axis=2))
    assert rows[columns == 20].mean() == pytest.approx(10, abs=1.5)
    assert rows[columns == 180].mean() == pytest.approx(90, abs=1.5)


def test_a_frame_without_a_score_leaves_a_gap():
    curve = score_curve([1.0, 1.0, None, 1.0, 1.0], (101, 201), 0.5)
    _, columns = np.where((curve == CURVE_COLOUR).all(axis=2))
    assert not ((columns > 60) & (columns < 140)).any() and (columns < 50).any() and (columns > 150).any()


@pytest.mark.parametrize("scores", [[], [0.4], [None, None]])
def test_a_curve_of_too_few_scores_is_empty(scores):
    assert not (score_curve(scores, (50, 60), 0.5) == CURVE_COLOUR).all(axis=2).any()


def test_a_film_keeps_its_even_size_and_has_no_curve_without_scores(explanation):
    tracked = np.zeros((77, 133, 3), np.uint8)
    first, second = (film_frame(tracked, explanation, [0.7] * n, 0.5) for n in (1, 40))
    assert first.shape == second.shape and first.shape[0] % 2 == first.shape[1] % 2 == 0
    without = film_frame(tracked, replace(explanation, score=None), [None], 0.5)
    assert without.shape[0] < first.shape[0]
