import numpy as np
import pytest

from starktrack.errors import BoxError
from starktrack.geometry import crop as module
from starktrack.geometry.boxes import xywh_to_cxcywh
from starktrack.geometry.crop import (
    CropTransform,
    crop_transform,
    cut,
    decode_transform,
    label_transform,
    padded_pixels,
    visible_range,
)

GEOMETRIES = pytest.mark.parametrize("geometry", ["published", "exact"])
BOX = np.array([[200.0, 140.0, 80.0, 60.0]])
"""sqrt(80 * 60) * 2 = 138.6, so its template window is 139 px, centred on (240, 170)."""


def window(left, top, side, size):
    return CropTransform(np.array([[float(left), float(top)]]), np.array([float(side)]), size)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (height, width, 3), dtype=np.uint8)


def test_a_window_is_the_factor_times_the_root_of_the_area_on_whole_pixels():
    transform = crop_transform(BOX, 2.0, 128)
    assert transform.side.tolist() == [139.0]
    assert transform.origin_xy.tolist() == [[170.0, 100.0]], "halves are rounded to even: 170.5 and 100.5"
    assert transform.size == 128


def test_a_box_in_the_image_has_a_place_in_the_crop():
    boxes = window(100, 50, 200, 320).to_crop(np.array([[150.0, 100.0, 20.0, 40.0]]))
    assert boxes.tolist() == pytest.approx(np.array([[0.3, 0.35, 0.1, 0.2]]))


def test_crop_then_back_returns_the_same_boxes():
    rng = np.random.default_rng(0)
    boxes = np.concatenate([rng.uniform(-300, 900, (64, 2)), rng.uniform(1, 400, (64, 2))], axis=1)
    others = boxes + rng.uniform(0, 30, (64, 4))
    for make in (decode_transform, label_transform):
        for geometry in ("published", "exact"):
            transform = make(boxes, 5.0, 320, geometry)
            np.testing.assert_allclose(transform.to_image(transform.to_crop(others)), others, atol=1e-9)


@pytest.mark.parametrize("make", [decode_transform, label_transform])
def test_exact_geometry_reads_labels_and_predictions_where_the_window_was_cut(make):
    cut_here, read_here = crop_transform(BOX, 5.0, 320), make(BOX, 5.0, 320, "exact")
    np.testing.assert_array_equal(read_here.origin_xy, cut_here.origin_xy)
    np.testing.assert_array_equal(read_here.side, cut_here.side)


def test_published_quirk_decoding_forgets_that_the_corner_was_rounded():
    decoded = decode_transform(BOX, 2.0, 128, "published")
    assert decoded.origin_xy.tolist() == [[170.5, 100.5]]
    assert crop_transform(BOX, 2.0, 128).origin_xy.tolist() == [[170.0, 100.0]]
    np.testing.assert_allclose(decoded.to_crop(BOX)[0, :2], 0.5, err_msg="its own box is in the very middle")


def test_published_quirk_labels_have_the_cropped_box_half_a_pixel_before_the_middle():
    label = label_transform(BOX, 2.0, 128, "published").to_crop(BOX)[0]
    np.testing.assert_allclose(label[:2] * 128, [63.5, 63.5])
    np.testing.assert_allclose(label[2:] * 139, [80, 60])


def test_labels_equal_the_golden_numbers(golden):
    numbers = golden("golden_boxes_losses")
    cropped = numbers["i2c_extract"]
    transform = label_transform(cropped, 5.0, 320, "published")
    # The golden windows were not rounded up to whole pixels, so the labels are compared as image pixels.
    golden_side = 5 * np.sqrt(cropped[:, 2:3] * cropped[:, 3:])
    middle = np.array([[159.5 / 320, 159.5 / 320, 0, 0]])
    ours = (transform.to_crop(numbers["i2c_in"]) - middle) * transform.side[:, None]
    theirs = (xywh_to_cxcywh(numbers["i2c_out"]) - middle) * golden_side
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    assert len(ours) == 50


@pytest.mark.parametrize(
    ("start", "side", "published", "exact"),
    [
        (-2, 5, (0, 3), (0, 3)),
        (3, 4, (3, 7), (3, 7)),
        (6, 4, (6, 9), (6, 10)),
        (5, 4, (5, 9), (5, 9)),
        (8, 5, (8, 9), (8, 10)),
        (20, 5, (10, 10), (10, 10)),
        (-20, 5, (0, 0), (0, 0)),
        (-5, 20, (0, 9), (0, 10)),
    ],
)
def test_what_a_window_shows_of_ten_pixels_by_hand(start, side, published, exact):
    assert tuple(map(int, visible_range(start, side, 10, "published"))) == published
    assert tuple(map(int, visible_range(start, side, 10, "exact"))) == exact


def test_published_quirk_the_mask_grows_over_every_pixel_that_padding_touches():
    # Four pixels become eight; the second half is padding. Crop pixel 3 takes a quarter of it, 4 three.
    published, exact = (padded_pixels((0, 2), 0, 4, 8, geometry) for geometry in ("published", "exact"))
    assert published.tolist() == [False] * 3 + [True] * 5
    assert exact.tolist() == [False] * 4 + [True] * 4


def test_published_quirk_one_pixel_of_the_image_is_lost_at_the_right_and_bottom_border():
    image = np.full((10, 12, 3), 200, np.uint8)
    published, exact = (cut(image, window(6, 4, 6, 6), geometry) for geometry in ("published", "exact"))
    assert not exact.padding_mask.any() and (exact.image == 200).all()
    assert published.padding_mask[-1].all() and published.padding_mask[:, -1].all()
    assert not published.padding_mask[:-1, :-1].any()
    assert not published.image[-1].any() and (published.image[:-1, :-1] == 200).all()


@GEOMETRIES
def test_a_crop_inside_the_image_shows_its_pixels(geometry):
    image = noise(20, 30)
    crop = cut(image, window(5, 7, 8, 8), geometry)
    np.testing.assert_array_equal(crop.image, image[7:15, 5:13])
    assert not crop.padding_mask.any()
    assert crop.transform.origin_xy.tolist() == [[5.0, 7.0]]


@GEOMETRIES
@pytest.mark.parametrize("limit", [4096, 1])
@pytest.mark.parametrize("corner", [(-100, 5), (5, -100), (40, 5), (5, 40), (1000, 1000), (-1000, -1000)])
def test_a_window_outside_the_image_is_black_and_all_masked(corner, limit, geometry, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_PADDED_SIDE", limit)
    crop = cut(noise(40, 40), window(*corner, 30, 16), geometry)
    assert not crop.image.any() and crop.padding_mask.all()
    assert crop.image.shape == (16, 16, 3) and crop.padding_mask.shape == (16, 16)


@GEOMETRIES
def test_large_windows_are_sampled_to_the_bytes_of_padded_ones(geometry, monkeypatch):
    image, rng, swept = noise(48, 64), np.random.default_rng(2), 0
    for left, top in rng.integers(-80, 90, (40, 2)):
        place = window(left, top, rng.integers(1, 200), 32)
        padded = cut(image, place, geometry)
        with monkeypatch.context() as patch:
            patch.setattr(module, "LARGEST_PADDED_SIDE", 0)
            sampled = cut(image, place, geometry)
        np.testing.assert_array_equal(sampled.image, padded.image)
        np.testing.assert_array_equal(sampled.padding_mask, padded.padding_mask)
        swept += 0.02 < padded.padding_mask.mean() < 0.98
    assert swept >= 15, "the sweep must hold windows at the border"


@GEOMETRIES
def test_a_window_far_larger_than_memory_is_cut(geometry):
    crop = cut(noise(40, 40), window(-(10**6), -(10**6), 2 * 10**6, 64), geometry)
    assert crop.padding_mask.mean() > 0.99


def test_window_index_picks_one_of_a_batch():
    image = noise(40, 40)
    both = CropTransform(np.array([[0.0, 0.0], [9.0, 3.0]]), np.array([8.0, 8.0]), 8)
    crop = cut(image, both, "exact", 1)
    np.testing.assert_array_equal(crop.image, image[3:11, 9:17])
    assert crop.transform.side.shape == (1,)


@pytest.mark.parametrize("size", [(0.0, 5.0), (5.0, -1.0), (0.0, 0.0)])
def test_a_box_without_area_has_no_window(size):
    with pytest.raises(BoxError, match="must have positive width and height"):
        crop_transform(np.array([[10.0, 10.0, *size]]), 2.0, 128)


@pytest.mark.parametrize(("factor", "size", "step", "key"), [(2.0, 128, 1, "f2"), (5.0, 320, 5, "f5")])
def test_crops_equal_the_golden_bytes(factor, size, step, key, golden, golden_image):
    numbers, compared = golden("golden_sample_target"), 0
    for name, box in zip(numbers["names"], numbers["boxes"], strict=True):
        transform = crop_transform(box[None], factor, size)
        crop = cut(golden_image, transform, "published")
        stem = f"{name}/{key}"
        assert size / transform.side[0] == numbers[f"{stem}/rf"], stem
        np.testing.assert_array_equal(crop.image[::step, ::step], numbers[f"{stem}/crop"], err_msg=stem)
        pixels = crop.image.astype(np.int64)
        np.testing.assert_array_equal(pixels.sum((0, 1)), numbers[f"{stem}/crop_sum"], err_msg=stem)
        assert (pixels**2).sum() == numbers[f"{stem}/crop_sq_sum"], stem
        assert np.packbits(crop.padding_mask).tobytes() == numbers[f"{stem}/mask_bits"].tobytes(), stem
        cells = crop.padding_mask[::16, ::16]
        np.testing.assert_array_equal(cells, numbers[f"{stem}/mask_down16"], err_msg=stem)
        compared += 1
    assert compared == 17


def test_the_networks_golden_inputs_are_cut_to_the_byte(golden, golden_image):
    numbers = golden("golden_inputs")
    for name, box, factor, size in zip(
        ("z1", "z2", "x", "xc"), numbers["boxes"], (2.0, 2.0, 5.0, 5.0), (128, 128, 320, 320), strict=True
    ):
        crop = cut(golden_image, crop_transform(box[None], factor, size), "published")
        np.testing.assert_array_equal(crop.image, numbers[f"{name}_crop"])
        assert np.packbits(crop.padding_mask).tobytes() == numbers[f"{name}_mask"].tobytes()


def test_a_box_too_small_for_its_area_to_be_a_number_has_a_window_of_one_pixel():
    assert crop_transform(np.array([[10.0, 10.0, 1e-200, 1e-200]]), 2.0, 128).side.tolist() == [1.0]
