import numpy as np
import pytest

from starktrack.geometry.jitter import jitter_box

BOX = np.array([10.0, 20.0, 30.0, 40.0])


def test_jitter_is_the_published_formula_worked_by_hand():
    draws = np.random.default_rng(0)
    normal, uniform = draws.standard_normal(2), draws.uniform(-0.5, 0.5, 2)
    width, height = 30 * np.exp(0.5 * normal[0]), 40 * np.exp(0.5 * normal[1])
    reach = 4.5 * np.sqrt(width * height)
    centre_x, centre_y = 25 + reach * uniform[0], 40 + reach * uniform[1]
    expected = [centre_x - width / 2, centre_y - height / 2, width, height]
    got = jitter_box(BOX, np.random.default_rng(0), scale=0.5, centre=4.5)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_zero_jitter_returns_the_same_box():
    got = jitter_box(BOX, np.random.default_rng(1), scale=0.0, centre=0.0)
    np.testing.assert_allclose(got, BOX, rtol=1e-12)


def test_the_target_stays_within_the_reach_of_its_new_size():
    rng = np.random.default_rng(2)
    jittered = np.stack([jitter_box(BOX, rng, scale=0.5, centre=4.5) for _ in range(2000)])
    centre = jittered[:, :2] + jittered[:, 2:] / 2
    distance = np.abs(centre - [25, 40]).max(axis=1) / np.sqrt(jittered[:, 2:].prod(axis=1))
    assert 2.1 < distance.max() <= 2.25
    assert np.log(jittered[:, 2] / 30).std() == pytest.approx(0.5, abs=0.03)


def test_concentration_keeps_the_reach_and_draws_to_the_middle():
    wide, narrow = (
        np.stack(
            [
                jitter_box(BOX, np.random.default_rng(seed), scale=0.0, centre=4.0, concentration=power)[:2]
                for seed in range(400)
            ]
        )
        for power in (1.0, 2.0)
    )
    wide, narrow = ((drawn - BOX[:2]) / (2 * np.sqrt(30 * 40)) for drawn in (wide, narrow))
    np.testing.assert_allclose(narrow, wide * np.abs(wide), atol=1e-9)
    assert np.median(np.abs(narrow)) < 0.3 < 0.45 < np.median(np.abs(wide))
