"""What holds for every box, drawn at random."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from starktrack.geometry.boxes import (
    box_of_mask,
    clip_xywh,
    generalised_overlap,
    overlap,
    xywh_to_xyxy,
)
from starktrack.geometry.crop import crop_transform, cut

FEW = settings(max_examples=30, derandomize=True, deadline=None)

PLACES = st.integers(-4000, 8000).map(lambda number: number / 8)
SIDES = st.integers(1, 4000).map(lambda number: number / 8)
BOXES = st.tuples(PLACES, PLACES, SIDES, SIDES).map(lambda box: np.array([box]))


@FEW
@given(BOXES, BOXES, PLACES, SIDES)
def test_overlap_is_symmetric_bounded_and_the_same_wherever_and_however_large(a, b, shift, scale):
    a, b = xywh_to_xyxy(a), xywh_to_xyxy(b)
    (value,), (back,), (itself,) = overlap(a, b), overlap(b, a), overlap(a, a)
    assert 0 <= value <= 1 and value == back and itself == 1
    np.testing.assert_allclose(overlap(a * scale + shift, b * scale + shift), value, atol=1e-9)
    (general,) = generalised_overlap(a, b)
    assert -1 <= general <= value + 1e-12


@FEW
@given(BOXES, st.integers(1, 500), st.integers(1, 500), st.integers(0, 40).map(float))
def test_a_clipped_box_keeps_its_margin_in_the_image_and_clipping_again_changes_nothing(
    box, height, width, margin
):
    clipped = clip_xywh(box, (height, width), margin)
    ((x1, y1, x2, y2),) = xywh_to_xyxy(clipped)
    assert min(x2, width) - max(x1, 0) >= min(margin, width) and x1 >= 0
    assert min(y2, height) - max(y1, 0) >= min(margin, height) and y1 >= 0
    np.testing.assert_array_equal(clip_xywh(clipped, (height, width), margin), clipped)


@FEW
@given(BOXES, BOXES, st.integers(1, 40), st.integers(8, 384))
def test_into_a_crop_and_back_gives_the_same_box(around, box, factor, size):
    transform = crop_transform(around, factor / 4, size)
    np.testing.assert_allclose(transform.to_image(transform.to_crop(box)), box, rtol=1e-9, atol=1e-6)


@FEW
@given(BOXES, st.integers(4, 60), st.integers(4, 60), st.integers(4, 32))
def test_a_crop_shows_the_image_and_is_black_where_it_is_padding(box, height, width, size):
    image = np.full((height, width, 3), 200, np.uint8)
    crop = cut(image, crop_transform(box, 2.0, size), "exact")
    assert crop.image.shape == (size, size, 3) and crop.padding_mask.shape == (size, size)
    assert crop.image[crop.padding_mask].max(initial=0) <= 100, "at most half of a masked pixel is image"
    assert crop.image[~crop.padding_mask].min(initial=200) >= 99


@FEW
@given(st.integers(1, 30), st.integers(1, 30), st.data())
def test_the_box_of_a_mask_is_the_smallest_that_holds_it(height, width, data):
    mask = np.zeros((height, width), bool)
    for _ in range(data.draw(st.integers(1, 4))):
        mask[data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))] = True
    x, y, w, h = map(int, box_of_mask(mask))
    inside = mask[y : y + h, x : x + w]
    assert inside.sum() == mask.sum()
    assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
