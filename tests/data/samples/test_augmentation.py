import numpy as np
import pytest

from starktrack.config.data import AugmentConfig
from starktrack.data.samples.augmentation import draw_augmentations, flip_box

CENTRED = np.array([[0.5, 0.5, 0.5, 0.5], [0.4, 0.6, 0.2, 0.3]])
NOTHING = AugmentConfig(grayscale=0, joint_flip=0, flip=0, brightness=0)


def many(config, count=400):
    return [draw_augmentations(config, CENTRED, np.random.default_rng([7, k])) for k in range(count)]


def test_nothing_configured_changes_nothing():
    for augmentation in draw_augmentations(NOTHING, CENTRED, np.random.default_rng(0)):
        assert not augmentation.flip and augmentation.blur == augmentation.noise == augmentation.shift == 0
        np.testing.assert_array_equal(augmentation.colour, np.eye(3))
        np.testing.assert_array_equal(augmentation.occluder_xyxy, np.zeros(4))


def test_published_looks_are_a_brightness_for_each_crop_and_a_shared_loss_of_colour():
    augmentations = many(AugmentConfig(flip=0))
    grey = np.array([[augmentation.colour[0, 1] != 0 for augmentation in row] for row in augmentations])
    flips = np.array([[augmentation.flip for augmentation in row] for row in augmentations])
    gains = np.array([[augmentation.colour.sum() / 3 for augmentation in row] for row in augmentations])
    assert (grey[:, 0] == grey[:, 1]).all() and 0.02 < grey.mean() < 0.08
    assert (flips[:, 0] == flips[:, 1]).all() and 0.4 < flips.mean() < 0.6
    assert 0.8 <= gains.min() < 0.81 and 1.19 < gains.max() <= 1.2
    assert abs(np.corrcoef(gains.T)[0, 1]) < 0.15


def test_the_last_flip_is_drawn_for_each_crop():
    flips = np.array(
        [[augmentation.flip for augmentation in row] for row in many(AugmentConfig(joint_flip=0))]
    )
    assert 0.4 < (flips[:, 0] != flips[:, 1]).mean() < 0.6


def test_a_grey_crop_has_three_equal_channels_with_the_luminance_of_the_colour():
    augmentation = draw_augmentations(
        AugmentConfig(grayscale=1, brightness=0), CENTRED, np.random.default_rng(0)
    )[0]
    np.testing.assert_allclose(augmentation.colour @ [1.0, 0.5, 0.0], [0.299 + 0.2935] * 3)


def test_contrast_keeps_mid_grey_where_it_is():
    config = AugmentConfig(grayscale=0, brightness=0, contrast=0.5)
    for row in many(config, 20):
        np.testing.assert_allclose(row[0].colour @ np.full(3, 0.5) + row[0].shift, 0.5)


def test_the_occluder_lies_on_the_target_and_leaves_some_of_it():
    config = AugmentConfig(search_occlusion=1, template_occlusion=0)
    for templates, search in many(config, 100):
        assert not templates.occluder_xyxy.any()
        cx, cy, w, h = flip_box(CENTRED[1]) if search.flip else CENTRED[1]
        left, top, right, bottom = search.occluder_xyxy
        assert cx - w / 2 <= left < right <= cx + w / 2 and cy - h / 2 <= top < bottom <= cy + h / 2
        assert 0.09 <= (right - left) * (bottom - top) / (w * h) <= 0.49


def test_blur_and_noise_stay_in_their_ranges():
    drawn = [each for row in many(AugmentConfig(blur=0.5, noise=0.5)) for each in row]
    blur, noise = (
        np.array([each.blur for each in drawn]),
        np.array([each.noise for each in drawn]),
    )
    assert 0.4 < (blur > 0).mean() < 0.6 and 0.4 < (noise > 0).mean() < 0.6
    assert blur[blur > 0].min() >= 0.5 and blur.max() <= 2.0 and noise.max() <= 0.06


def test_flipping_a_box_moves_its_centre_to_the_other_side():
    np.testing.assert_allclose(flip_box(np.array([0.2, 0.3, 0.1, 0.4])), [0.8, 0.3, 0.1, 0.4])


def test_switching_one_variation_on_leaves_the_others_as_they_were():
    plain = draw_augmentations(AugmentConfig(), CENTRED, np.random.default_rng(3))
    noisy = draw_augmentations(AugmentConfig(noise=1, blur=1), CENTRED, np.random.default_rng(3))
    for before, after in zip(plain, noisy, strict=True):
        np.testing.assert_array_equal(before.colour, after.colour)
        assert before.flip == after.flip


@pytest.mark.parametrize("strength", [-0.1, 1.0])
def test_a_strength_outside_its_range_is_refused(strength):
    from starktrack.config.loading import from_mapping
    from starktrack.errors import ConfigError

    with pytest.raises(ConfigError, match="brightness"):
        from_mapping(AugmentConfig, {"brightness": strength})
