import numpy as np
import pytest
import torch

from starktrack.data.samples.augmentation import Augmentation
from starktrack.data.samples.batch import join_augmentations
from starktrack.models.crops import normalise
from starktrack.training.augmentation import add_noise, augment, blurred, mirrored, occluded, recoloured

PLAIN = {
    "flip": False,
    "colour": np.eye(3),
    "shift": 0.0,
    "blur": 0.0,
    "noise": 0.0,
    "noise_seed": 1,
    "occluder_xyxy": np.zeros(4),
}


def augmentations(*changes):
    return join_augmentations([Augmentation(**{**PLAIN, **change}) for change in changes])


def crops(count, side=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def test_a_plain_look_only_normalises():
    images = crops(3)
    shown = augment(images, augmentations({}, {}, {}))
    torch.testing.assert_close(shown, normalise(images), atol=1e-6, rtol=0)
    assert shown.is_contiguous(memory_format=torch.channels_last)


def test_brightness_multiplies_and_stops_at_white():
    images = torch.full((1, 2, 2, 3), 102, dtype=torch.uint8)
    assert recoloured(images, augmentations({"colour": 1.5 * np.eye(3)}))[0, 0, 0, 0].item() == pytest.approx(
        0.6
    )
    assert recoloured(images, augmentations({"colour": 3.0 * np.eye(3)})).max().item() == 1.0


def test_a_colour_matrix_mixes_channels_of_its_own_crop_only():
    images = crops(3)
    swap = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])
    changed = recoloured(images, augmentations({}, {"colour": swap, "shift": 0.0}, {}))
    expected = images.float() / 255
    expected[1] = expected[1][..., [1, 0, 2]]
    torch.testing.assert_close(changed, expected, atol=1e-6, rtol=0)


def test_a_shift_is_added_before_the_range_is_kept():
    images = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    assert recoloured(images, augmentations({"shift": 0.25})).unique().tolist() == [0.25]
    assert recoloured(images, augmentations({"shift": -0.25})).unique().tolist() == [0.0]


def test_mirroring_takes_masks_and_crops_and_leaves_its_input_alone():
    mask = torch.tensor([[[True, False]], [[True, False]]]).repeat(1, 2, 1)
    before = mask.clone()
    turned = mirrored(mask, torch.tensor([False, True]))
    assert turned[:, 0].tolist() == [[True, False], [False, True]]
    assert torch.equal(mask, before)


def test_blur_spreads_a_point_by_the_gaussian_and_keeps_its_light():
    point = torch.zeros(2, 21, 21, 3)
    point[:, 10, 10] = 1.0
    spread = blurred(point, torch.tensor([1.0, 0.0]))
    assert torch.equal(spread[1], point[1])
    torch.testing.assert_close(spread[0].sum((0, 1)), torch.ones(3))
    ratio = (spread[0, 10, 11, 0] / spread[0, 10, 10, 0]).item()
    assert ratio == pytest.approx(np.exp(-0.5), rel=1e-5)
    torch.testing.assert_close(spread[0, 12, 10], spread[0, 10, 12])


def test_noise_depends_on_its_seed_alone_and_has_its_deviation():
    grey = torch.full((3, 64, 64, 3), 0.5)
    noisy = add_noise(
        grey, augmentations({"noise": 0.05, "noise_seed": 4}, {}, {"noise": 0.05, "noise_seed": 4})
    )
    assert torch.equal(noisy[0], noisy[2]) and torch.equal(noisy[1], grey[1])
    assert (noisy[0] - 0.5).std().item() == pytest.approx(0.05, rel=0.03)


def test_an_occluder_covers_the_pixels_whose_centre_it_holds():
    covered = occluded(torch.tensor([[0.25, 0.0, 0.75, 0.5], [0.0, 0.0, 0.0, 0.0]]), 4)
    assert covered[0].int().tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0] * 4, [0] * 4]
    assert not covered[1].any()


def test_what_is_painted_over_has_the_mean_colour():
    shown = augment(crops(2), augmentations({}, {"occluder_xyxy": np.array([0.0, 0.0, 0.5, 1.0])}))
    assert (shown[1, :, :, :4] == 0).all() and (shown[1, :, :, 4:] != 0).any()
    assert (shown[0] != 0).any()


def test_the_look_of_a_crop_does_not_depend_on_its_neighbours():
    changes = [
        {"flip": True, "blur": 1.0, "noise": 0.03},
        {},
        {"colour": np.full((3, 3), 1 / 3), "shift": 0.1},
    ]
    images = crops(3, side=16)
    together = augment(images, augmentations(*changes))
    alone = torch.cat([augment(images[k : k + 1], augmentations(changes[k])) for k in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
