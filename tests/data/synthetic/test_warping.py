"""A search region bent out of shape: its new box is where the target's pixels are."""

from dataclasses import replace

import numpy as np
import pytest
from tests.data.samples.test_distractors import BOX, MODEL, RED, red_pixels, red_target, samples
from tests.memory import MemoryCollection

from starktrack.config.data import DistractorConfig
from starktrack.config.schema import CropConfig
from starktrack.data.synthetic import warping
from starktrack.data.synthetic.warping import MEAN_COLOUR, warped
from starktrack.data.video_sequence import VideoSequence
from starktrack.geometry.boxes import cxcywh_to_xywh
from starktrack.geometry.crop import cut
from starktrack.models.crops import PIXEL_MEAN


def round_target(size_hw=(200, 240)):
    """A grey frame with a red ellipse, its mask, and a box that is exact."""
    box = np.array([100.0, 70.0, 48.0, 36.0])
    view = red_target(size_hw, box)
    columns, rows = np.meshgrid(np.arange(size_hw[1]) + 0.5, np.arange(size_hw[0]) + 0.5)
    mask = ((columns - 124) / 24) ** 2 + ((rows - 88) / 18) ** 2 <= 1
    frame = np.where(mask[..., None], RED, np.uint8(100))
    return replace(view, frame=frame, mask=mask)


class Still:
    """A picture or a mask as a video of one frame."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return 1

    def read(self, index):
        return self.values


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
        np.testing.assert_allclose(masked.box_xywh, boxed.box_xywh, atol=4.5)


def in_crop(view):
    return view.window.to_crop(view.box_xywh[None])[0]


def no_bend(monkeypatch):
    for name in ("TURN", "ASPECT", "SHEAR", "BEND"):
        monkeypatch.setattr(warping, name, 0.0)


def test_a_mask_that_lacks_what_is_hidden_does_not_make_the_box_smaller(monkeypatch):
    no_bend(monkeypatch)
    whole = round_target()
    half = replace(whole, mask=whole.mask & (np.arange(240) < 120))
    for view in (whole, half, replace(whole, mask=np.zeros_like(whole.mask))):
        bent = warped(view, np.random.default_rng(0))
        np.testing.assert_allclose(in_crop(bent), in_crop(view), atol=0.006)


def test_a_bend_that_does_nothing_gives_the_region_back(monkeypatch):
    no_bend(monkeypatch)
    view = red_target(size_hw=(400, 400), box=BOX + np.array([100, 100, 0, 0]))
    bent = warped(view, np.random.default_rng(0))
    before, after = cut(view.frame, view.window, "exact"), cut(bent.frame, bent.window, "exact")
    np.testing.assert_allclose(before.image.astype(int), after.image, atol=1)
    np.testing.assert_allclose(in_crop(bent), in_crop(view), atol=0.006)


def test_the_mask_stays_on_the_target():
    for seed in range(5):
        bent = warped(round_target(), np.random.default_rng(seed))
        red = (bent.frame[..., 0].astype(int) - bent.frame[..., 1]) > 75
        assert (bent.mask != red).sum() < 0.1 * red.sum() and red.sum() > 500


@pytest.mark.parametrize(
    "view",
    [
        red_target(around=BOX + np.array([45.0, 0, 0, 0])),  # the target lies mostly outside the region
        red_target(size_hw=(90, 110)),  # the region lies partly outside the frame: padding stays padding
        red_target((40, 40), np.array([0.0, 0.0, 4000.0, 4000.0])),  # as large as nobody needs
    ],
)
def test_what_cannot_be_bent_is_left_alone(view):
    assert warped(view, np.random.default_rng(0)) is view


def test_a_large_region_is_bent_at_the_size_that_the_crop_needs():
    view = red_target((1200, 1200), np.array([500.0, 500.0, 200.0, 160.0]))
    bent = warped(view, np.random.default_rng(0))
    assert bent.frame.shape == (128, 128, 3) and bent.window.side.tolist() == [128.0]
    np.testing.assert_allclose(bent.box_xywh, found_box(bent.frame), atol=3)


def test_beyond_the_frame_is_what_the_network_sees_as_nothing():
    assert tuple(round(255 * value) for value in PIXEL_MEAN) == MEAN_COLOUR
    view = red_target((66, 100), np.array([40.0, 25.0, 20.0, 16.0]))
    bent = warped(view, np.random.default_rng(1))
    colours = {tuple(colour) for colour in bent.frame.reshape(-1, 3).tolist()}
    assert bent is not view and MEAN_COLOUR in colours


@pytest.mark.parametrize("geometry", ["exact", "published"])
@pytest.mark.parametrize("flip", [0, 1])
def test_labels_of_samples_are_where_the_target_is_in_the_crop(geometry, flip):
    """A red target in otherwise grey frames: its pixels in the crop tell where the label must be."""
    view = round_target((200, 240))
    picture = VideoSequence(
        "red", Still(view.frame), view.box_xywh[None], np.ones(1, bool), masks=Still(view.mask)
    )
    model = replace(MODEL, geometry=geometry, search=CropConfig(side=256, factor=4.0))
    moved = []
    for warps in (0.0, 1.0):
        every = samples(DistractorConfig(warps=warps), MemoryCollection([picture]), model, flip=flip)
        for index in range(6):
            sample = every[0, index]
            crop = cut(sample.frames[sample.frame_index[-1]], sample.windows[-1], geometry).image
            crop = crop[:, ::-1] if sample.augmentations[-1].flip else crop
            true = found_box(crop) / 256
            label = cxcywh_to_xywh(sample.box_cxcywh)
            assert sample.augmentations[-1].flip == bool(flip)
            np.testing.assert_allclose(label, true, atol=0.012)
            moved.append(label)
    assert np.ptp(moved[:6], axis=0).max() < 1e-9 and np.ptp(moved[6:], axis=0).max() > 0.04
