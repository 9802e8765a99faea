import numpy as np
import pytest

from starktrack.data.synthetic.cutouts import cut_out, mean_colour, recolour, silhouette
from starktrack.errors import DatasetError

RED = np.full((40, 60, 3), [200, 40, 20], np.uint8)
BOX = np.array([20.0, 10.0, 16.0, 16.0])


def square_mask():
    mask = np.zeros((40, 60), bool)
    mask[10:26, 20:36] = True
    return mask


def test_a_mask_is_cut_out_with_two_pixels_around_it_and_an_exact_outline():
    cutout = cut_out(RED, BOX, square_mask(), side=16.0, roundness=2.0)
    assert cutout.pixels.shape == (20, 20, 4)
    assert cutout.outline_xy.min(axis=0).tolist() == [2, 2]
    assert cutout.outline_xy.max(axis=0).tolist() == [18, 18]
    assert cutout.pixels[10, 10].tolist() == [200, 40, 20, 255]
    assert cutout.pixels[0, 0, 3] == 0


def test_cutting_scales_to_the_side_that_was_asked_for():
    cutout = cut_out(RED, BOX, square_mask(), side=8.0, roundness=2.0)
    assert np.ptp(cutout.outline_xy, axis=0).tolist() == [8, 8]


@pytest.mark.parametrize(("roundness", "share"), [(2.0, np.pi / 4), (5.0, 0.93)])
def test_without_a_mask_the_outline_is_rounded_and_fills_its_box(roundness, share):
    cutout = cut_out(RED, np.array([10.0, 5.0, 40.0, 30.0]), None, side=1200**0.5, roundness=roundness)
    assert (cutout.pixels[..., 3] >= 128).sum() / 1200 == pytest.approx(share, abs=0.03)
    np.testing.assert_allclose(np.ptp(cutout.outline_xy, axis=0), [40, 30], atol=2.01)


def test_points_are_covered_where_the_object_is_half_opaque():
    cutout = cut_out(RED, BOX, square_mask(), side=16.0, roundness=2.0)
    points = np.array([[10.0, 10.0], [0.5, 0.5], [-3.0, 10.0], [10.0, 99.0]])
    assert cutout.covers(points).tolist() == [True, False, False, False]
    assert cutout.covers(cutout.seeds_xy).all()


def test_recolouring_swaps_channels_and_never_outshines_the_opacity():
    cutout = cut_out(RED, BOX, square_mask(), side=16.0, roundness=2.0)
    swapped = recolour(cutout, np.array([1.0, 1.0, 5.0]), (1, 2, 0))
    assert swapped.pixels[10, 10].tolist() == [40, 20, 255, 255]
    assert (swapped.pixels[..., :3] <= swapped.pixels[..., 3:]).all()
    assert cutout.pixels[10, 10].tolist() == [200, 40, 20, 255]


def test_the_mean_colour_ignores_the_soft_edge():
    cutout = cut_out(RED, BOX, square_mask(), side=16.0, roundness=2.0)
    np.testing.assert_allclose(mean_colour(cutout), [200, 40, 20], atol=1.5)


def test_a_silhouette_has_one_shade():
    pixels = silhouette(cut_out(RED, BOX, square_mask(), side=16.0, roundness=2.0), 255.0).pixels
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 3])


def test_an_empty_mask_is_refused():
    with pytest.raises(DatasetError, match="a mask must hold its object"):
        cut_out(RED, BOX, np.zeros((40, 60), bool), side=16.0, roundness=2.0)


def test_a_box_outside_its_picture_is_refused():
    with pytest.raises(DatasetError, match="inside its picture of 60 x 40"):
        cut_out(RED, np.array([100.0, 10.0, 16.0, 16.0]), None, side=16.0, roundness=2.0)
