import cv2
import numpy as np
import pytest

from starktrack.geometry.sampling import bilinear_taps, blend, fixed_point, resample

SIZES = (1, 2, 7, 16, 64, 128, 320)
SIDES = (1, 2, 3, 5, 8, 16, 31, 64, 100, 127, 139, 255, 320, 333, 640)


def test_taps_by_hand():
    first, second, weight = bilinear_taps(4, 2)
    assert (first.tolist(), second.tolist(), weight.tolist()) == ([0, 2], [1, 3], [0.5, 0.5])


def test_beyond_the_outer_pixel_centres_both_taps_are_the_border_pixel():
    first, second, _ = bilinear_taps(2, 8)
    assert (first[0], second[0], first[-1], second[-1]) == (0, 0, 1, 1)
    assert first.min() == 0 and second.max() == 1


def test_taps_of_several_windows_are_those_of_each():
    together = bilinear_taps(np.array([[4], [9]]), 6)
    for row, side in enumerate((4, 9)):
        for batched, alone in zip(together, bilinear_taps(side, 6), strict=True):
            np.testing.assert_array_equal(batched[row], alone)


def test_weights_become_integers_that_sum_to_one():
    first, second = fixed_point(np.linspace(0, 1, 999))
    assert (first[0], second[0], first[-1], second[-1]) == (2048, 0, 0, 2048)
    assert set((first + second).tolist()) <= {2047, 2048, 2049}


def test_blending_by_hand():
    corners = tuple(np.array([value]) for value in (0, 100, 200, 40))
    half = (np.array([1024]), np.array([1024]))
    whole = (np.array([2048]), np.array([0]))
    assert blend(corners, half, half).tolist() == [85]
    assert blend(corners, whole, half).tolist() == [50]
    assert blend(corners, whole, whole).tolist() == [0]


def test_resampling_gives_the_bytes_of_opencv():
    rng = np.random.default_rng(0)
    swept = 0
    for side in SIDES:
        image = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        for size in SIZES:
            ours = resample(image, (0, 0), side, (0, side), (0, side), size)
            theirs = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
            np.testing.assert_array_equal(ours, theirs, err_msg=f"{side} to {size}")
            swept += 1
    assert swept == len(SIDES) * len(SIZES) == 105


@pytest.mark.parametrize("corner", [(-5, 3), (20, -9), (30, 30), (-60, 0)])
def test_resampling_a_window_gives_the_bytes_of_opencv_on_a_padded_image(corner):
    image = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    padded = np.zeros((240, 250, 3), np.uint8)
    padded[100:140, 100:150] = image
    window = padded[100 + corner[0] : 145 + corner[0], 100 + corner[1] : 145 + corner[1]]
    ours = resample(image, corner, 45, (0, 40), (0, 50), 32)
    np.testing.assert_array_equal(ours, cv2.resize(window, (32, 32), interpolation=cv2.INTER_LINEAR))
