"""A search region bent out of shape: its new box is where the target's pixels are."""

from dataclasses import replace

import numpy as np
from tests.data.test_staging import BOX, RED, red_pixels, red_target, samples

from starktrack.config.data import StagingConfig
from starktrack.data import warping
from starktrack.data.warping import warped
from starktrack.geometry.crop import cut


def round_target(size_hw=(200, 240)):
    """A grey frame with a red ellipse, its mask, and a box that is exact."""
    box = np.array([100.0, 70.0, 48.0, 36.0])
    view = red_target(size_hw, box)
    columns, rows = np.meshgrid(np.arange(size_hw[1]) + 0.5, np.arange(size_hw[0]) + 0.5)
    mask = ((columns - 124) / 24) ** 2 + ((rows - 88) / 18) ** 2 <= 1
    frame = np.where(mask[..., None], RED, np.uint8(100))
    return replace(view, frame=frame, mask=mask)


def found_box(frame):
    points = red_pixels(frame)
    low, high = points.min(axis=0) - 0.5, points.max(axis=0) + 0.5
    return np.concatenate([low, high - low])


def test_the_new_box_holds_the_pixels_of_the_target():
    view, sizes = round_target(), []
    for seed in range(20):
        bent = warped(view, np.random.default_rng(seed))
        np.testing.assert_allclose(bent.box_xywh, found_box(bent.frame), atol=1.6)
        sizes.append(bent.box_xywh[2:] / view.box_xywh[2:])
    assert np.std(sizes, axis=0).min() > 0.04  # shapes do change


def test_without_a_mask_the_box_follows_the_same_bend():
    view = round_target()
    for seed in range(20):
        masked, boxed = (
            warped(each, np.random.default_rng(seed)) for each in (view, replace(view, mask=None))
        )
        np.testing.assert_array_equal(masked.frame, boxed.frame)
        # a box knows nothing of the corners that an ellipse lacks
        np.testing.assert_allclose(masked.box_xywh, boxed.box_xywh, atol=8)


def test_a_bend_that_does_nothing_gives_the_region_back(monkeypatch):
    for name in ("TURN", "ASPECT", "SHEAR", "BEND"):
        monkeypatch.setattr(warping, name, 0.0)
    view = red_target(size_hw=(400, 400), box=BOX + np.array([100, 100, 0, 0]))
    bent = warped(view, np.random.default_rng(0))
    before, after = cut(view.frame, view.window, "exact"), cut(bent.frame, bent.window, "exact")
    np.testing.assert_allclose(before.image.astype(int), after.image, atol=1)
    np.testing.assert_allclose(
        bent.window.to_crop(bent.box_xywh[None]), view.window.to_crop(view.box_xywh[None]), atol=0.006
    )


def test_the_mask_stays_on_the_target():
    bent = warped(round_target(), np.random.default_rng(1))
    red = (bent.frame[..., 0].astype(int) - bent.frame[..., 1]) > 75
    assert (bent.mask != red).mean() < 0.01 and bent.mask.any()


def test_a_target_that_lies_mostly_outside_the_region_is_left_alone():
    away = red_target(around=BOX + np.array([45.0, 0, 0, 0]))
    assert warped(away, np.random.default_rng(0)) is away


def test_labels_of_samples_follow_the_bend():
    plain, bent = samples(StagingConfig()), samples(StagingConfig(warps=1))
    moved = 0
    for index in range(12):
        one, other = plain[0, index], bent[0, index]
        crop = cut(other.frames[other.frame_index[-1]], other.windows[-1], "exact")
        moved += bool(np.abs(one.box_cxcywh - other.box_cxcywh).max() > 0.005)
        assert other.windows[-1].size == one.windows[-1].size and not crop.padding_mask.any()
        for before, after in zip(one.windows[:-1], other.windows[:-1], strict=True):
            np.testing.assert_array_equal(before.origin_xy, after.origin_xy)
    assert moved >= 10
