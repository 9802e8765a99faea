import warnings

import numpy as np
import pytest

from starktrack.data.video.intensity import IntensityScale
from starktrack.errors import InputError, SourceWarning

COUNTS = np.arange(7300, 7300 + 20 * 50, dtype=np.uint16).reshape(20, 50)


def test_the_first_picture_fixes_the_scale_of_all():
    scale = IntensityScale("thermal")
    with pytest.warns(
        SourceWarning, match=r"thermal: .* uint16 .* from 7301 to 8298, the percentiles 0.1 and 99.9"
    ):
        first = scale.to_rgb(COUNTS)
    assert (first.shape, first.dtype, len(np.unique(first))) == ((20, 50, 3), np.uint8, 256)
    np.testing.assert_array_equal(scale.to_rgb(COUNTS[5:10]), first[5:10])
    assert scale.to_rgb(np.full((2, 2), 9000, np.uint16)).min() == 255


def test_given_limits_are_exact_and_need_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = IntensityScale("x", (7300, 7555)).to_rgb(COUNTS)
    np.testing.assert_array_equal(shown[..., 1], np.minimum(COUNTS - 7300, 255))


def test_pictures_of_8_bits_stay_as_they_are():
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert IntensityScale("x").to_rgb(image) is image
    assert IntensityScale("x", (0, 51)).to_rgb(image).max() == 255


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.int32])
def test_every_real_type_is_mapped(kind):
    with pytest.warns(SourceWarning):
        shown = IntensityScale("x").to_rgb(COUNTS.astype(kind))
    assert shown.min() == 0 and shown.max() == 255


def test_what_is_not_finite_is_black_and_does_not_count():
    image = COUNTS.astype(np.float32)
    image[0] = [np.nan, np.inf, -np.inf, *[np.nan] * 47]
    with pytest.warns(SourceWarning):
        shown = IntensityScale("x").to_rgb(image)
    assert shown[0, :3, 0].tolist() == [0, 255, 0] and shown[1:].max() == 255


@pytest.mark.parametrize("image", [np.full((4, 4), 7000, np.uint16), np.full((4, 4), np.nan, np.float32)])
def test_a_picture_without_contrast_is_black(image):
    with pytest.warns(SourceWarning):
        assert IntensityScale("x").to_rgb(image).max() == 0


@pytest.mark.parametrize("limits", [(5, 5), (6, 5), (0, float("inf"))])
def test_limits_out_of_order_are_refused(limits):
    with pytest.raises(InputError, match="a range must be two numbers LOW,HIGH with LOW below HIGH, got"):
        IntensityScale("x", limits)
