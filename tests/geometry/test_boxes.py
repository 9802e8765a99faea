import warnings

import numpy as np
import pytest
import torch

from starktrack.errors import BoxError, SourceWarning
from starktrack.geometry import boxes as module
from starktrack.geometry.boxes import (
    area,
    check_box,
    clip_xywh,
    cxcywh_to_xywh,
    cxcywh_to_xyxy,
    generalised_overlap,
    intersection,
    overlap,
    xywh_to_cxcywh,
    xywh_to_xyxy,
    xyxy_to_cxcywh,
    xyxy_to_xywh,
)

ARRAYS = pytest.mark.parametrize("array", [np.float64, torch.float64], ids=["numpy", "torch"])


def make(values, kind):
    return torch.tensor(values, dtype=kind) if isinstance(kind, torch.dtype) else np.array(values, kind)


FORMS = {"xywh": [10.0, 20.0, 4.0, 6.0], "xyxy": [10.0, 20.0, 14.0, 26.0], "cxcywh": [12.0, 23.0, 4.0, 6.0]}
PAIRS = [(a, b) for a in FORMS for b in FORMS if a != b]


@ARRAYS
@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_each_form_of_a_box_becomes_each_other_form(before, after, array):
    converted = getattr(module, f"{before}_to_{after}")(make(FORMS[before], array))
    assert converted.tolist() == FORMS[after]
    assert type(converted) is type(make([0.0], array))


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_forms_there_and_back_give_the_same_boxes_with_their_batch_axes(before, after):
    there, back = getattr(module, f"{before}_to_{after}"), getattr(module, f"{after}_to_{before}")
    boxes = np.random.default_rng(0).uniform(-50, 50, (3, 5, 4))
    np.testing.assert_allclose(back(there(boxes)), boxes, atol=1e-12)


def test_an_inverted_box_has_negative_sizes():
    assert xyxy_to_xywh(np.array([3.0, 5.0, 1.0, 1.0])).tolist() == [3.0, 5.0, -2.0, -4.0]
    assert xyxy_to_cxcywh(np.array([3.0, 5.0, 1.0, 1.0])).tolist() == [2.0, 3.0, -2.0, -4.0]


@ARRAYS
def test_area_is_width_times_height_and_never_negative(array):
    boxes = make(
        [[0.0, 0.0, 2.0, 3.0], [2.0, 0.0, 0.0, 3.0], [2.0, 3.0, 0.0, 0.0], [1.0, 1.0, 1.0, 4.0]], array
    )
    assert area(boxes).tolist() == [6.0, 0.0, 0.0, 0.0]


# a, b, shared area, overlap, generalised overlap; worked by hand
CASES = {
    "equal": ([0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0], 4, 1, 1),
    "quarter": ([0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0], 1, 1 / 7, 1 / 7 - 2 / 9),
    "inside": ([0.0, 0.0, 4.0, 4.0], [1.0, 1.0, 2.0, 2.0], 1, 1 / 16, 1 / 16),
    "apart": ([0.0, 0.0, 1.0, 1.0], [2.0, 0.0, 3.0, 1.0], 0, 0, -1 / 3),
    "touching": ([0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0], 0, 0, 0),
    "first inverted": ([2.0, 2.0, 0.0, 0.0], [1.0, 1.0, 3.0, 3.0], 0, 0, -5 / 9),
    "second inverted": ([1.0, 1.0, 3.0, 3.0], [2.0, 2.0, 0.0, 0.0], 0, 0, -5 / 9),
    "inverted within": ([2.0, 2.0, 1.0, 1.0], [0.0, 0.0, 3.0, 3.0], 0, 0, 0),
    "the same point": ([1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], 0, 0, 0),
    "two points": ([0.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0], 0, 0, -1),
}


@ARRAYS
@pytest.mark.parametrize("case", CASES)
def test_overlaps_by_hand(case, array):
    a, b, shared, iou, giou = CASES[case]
    a, b = make(a, array), make(b, array)
    assert float(intersection(a, b)) == shared
    assert float(overlap(a, b)) == pytest.approx(iou, abs=1e-12)
    assert float(generalised_overlap(a, b)) == pytest.approx(giou, abs=1e-12)


def test_overlaps_do_not_depend_on_the_order_and_stay_in_their_range():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(-1, 1, (2, 500, 4))
    for measure, lowest in ((overlap, 0), (generalised_overlap, -1)):
        values = measure(a, b)
        np.testing.assert_allclose(values, measure(b, a), atol=1e-12)
        assert values.min() >= lowest and values.max() <= 1


@pytest.mark.parametrize("shape", [(4,), (0, 4), (1, 4), (2, 3, 4)])
def test_overlap_keeps_the_batch_axes(shape):
    boxes = np.ones(shape)
    assert overlap(boxes, boxes).shape == generalised_overlap(boxes, boxes).shape == shape[:-1]


def test_generalised_overlap_equals_the_golden_numbers(golden):
    numbers = golden("golden_boxes_losses")
    compared = 0
    for name in "abc":
        predicted = cxcywh_to_xyxy(torch.from_numpy(numbers[f"loss_{name}/pred_cxcywh"]))
        true = xywh_to_xyxy(torch.from_numpy(numbers[f"loss_{name}/gt_xywh"])).clamp(0, 1)
        for measure, key in ((overlap, "iou_each"), (generalised_overlap, "giou_each")):
            np.testing.assert_allclose(measure(predicted, true), numbers[f"loss_{name}/{key}"], atol=2e-6)
            compared += len(predicted)
    assert compared == 2 * (16 + 1 + 64)


def test_the_gradient_of_an_inverted_box_turns_it_round():
    predicted = torch.tensor([[0.9, 0.9, 0.1, 0.1]], requires_grad=True)
    generalised_overlap(predicted, torch.tensor([[0.2, 0.2, 0.8, 0.8]])).sum().backward()
    assert torch.isfinite(predicted.grad).all()
    assert (predicted.grad[0, :2] < 0).all(), "the first corner goes left and up"
    assert (predicted.grad[0, 2:] > 0).all(), "the second corner goes right and down"


def test_the_gradient_at_an_empty_union_is_finite():
    point = torch.tensor([[0.5, 0.5, 0.5, 0.5]], requires_grad=True)
    generalised_overlap(point, torch.tensor([[0.5, 0.5, 0.5, 0.5]])).sum().backward()
    assert torch.isfinite(point.grad).all()


def test_clipping_equals_the_golden_numbers(golden):
    numbers = golden("golden_boxes_losses")
    size = (int(numbers["clip_H"]), int(numbers["clip_W"]))
    np.testing.assert_allclose(clip_xywh(numbers["map_out"], size, 10.0), numbers["clip_out"], atol=1e-9)
    for margin in (0.0, 10.0):
        clipped = clip_xywh(numbers["clip_ex_in"], size, margin)
        np.testing.assert_array_equal(clipped, numbers[f"clip_ex_margin{margin:.0f}"])
    assert len(numbers["map_out"]) == 200 and len(numbers["clip_ex_in"]) == 9


@pytest.mark.parametrize(
    ("size_hw", "expected"),
    [
        ((6, 480), [100.0, 0.0, 20.0, 6.0]),
        ((360, 4), [0.0, 100.0, 4.0, 20.0]),
        ((3, 2), [0.0, 0.0, 2.0, 3.0]),
    ],
)
def test_in_a_frame_smaller_than_the_margin_a_box_fills_it(size_hw, expected):
    assert clip_xywh(np.array([[100.0, 100.0, 20.0, 20.0]]), size_hw, 10.0).tolist() == [expected]


def test_each_box_is_clipped_to_its_own_frame():
    boxes = np.array([[90.0, 40.0, 30.0, 30.0]] * 2)
    sizes = (np.array([50, 500]), np.array([100, 500]))
    assert clip_xywh(boxes, sizes, 10.0).tolist() == [[90.0, 40.0, 10.0, 10.0], [90.0, 40.0, 30.0, 30.0]]


@pytest.mark.parametrize(
    "box", [(1, 2, 3, 4), [1, 2, 3, 4], np.array([1, 2, 3, 4]), (-2, -1, 3, 4), (99, 49, 9, 9)]
)
def test_a_box_that_shows_in_the_frame_is_accepted_as_float64(box):
    checked = check_box(box, (50, 100))
    assert checked.dtype == np.float64 and checked.tolist() == [float(value) for value in box]


REFUSED = {
    "three numbers": ((1, 2, 3), "must be four numbers x,y,w,h, got (1, 2, 3)"),
    "a batch": ([[1, 2, 3, 4]], "must be four numbers x,y,w,h, got [[1, 2, 3, 4]]"),
    "words": (("a", 2, 3, 4), "must be four numbers x,y,w,h, got ('a', 2, 3, 4)"),
    "ragged": ((1, [2, 3], 3, 4), "must be four numbers x,y,w,h"),
    "nothing": (None, "must be four numbers x,y,w,h, got None"),
    "NaN": ((1, float("nan"), 3, 4), "must be finite, got 1,nan,3,4; give x,y,w,h in pixels"),
    "infinite": ((1, 2, float("inf"), 4), "must be finite, got 1,2,inf,4"),
    "shares of the frame": (
        (0.1, 0.2, 0.3, 0.4),
        "must be at least 1 pixel wide and high, got 0.1,0.2,0.3,0.4; these are shares of the frame: multiply by 100",
    ),
    "half a pixel": (
        (20, 10, 0.5, 8),
        "at least 1 pixel wide and high, got 20,10,0.5,8; give x,y,w,h in pixels",
    ),
    "no width": ((1, 2, 0, 4), "must have positive width and height, got 1,2,0,4; the order is x,y,w,h"),
    "negative height": ((1, 2, 3, -4), "must have positive width and height, got 1,2,3,-4"),
    "right of the frame": ((100, 2, 3, 4), "must overlap the frame of 100 x 50 pixels, got 100,2,3,4"),
    "a thousand pixels outside": ((1100, 2, 3, 4), "must overlap the frame of 100 x 50 pixels"),
    "left of the frame": ((-3, 2, 3, 4), "must overlap the frame of 100 x 50 pixels"),
    "above the frame": ((1, -4, 3, 4), "x,y is its top-left corner in pixels"),
    "below the frame": ((1, 50, 3, 4), "must overlap the frame of 100 x 50 pixels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_box_that_cannot_be_tracked_is_refused_with_the_rule(case):
    box, text = REFUSED[case]
    with pytest.raises(BoxError) as refusal:
        check_box(box, (50, 100))
    assert text in str(refusal.value)


def test_two_corners_in_place_of_a_size_are_said():
    with pytest.warns(
        SourceWarning, match=r"box 60,20,90,45 reaches out of .* as x,y,w,h they are 60,20,30,25"
    ):
        check_box((60, 20, 90, 45), (50, 100))


@pytest.mark.parametrize("box", [(10, 10, 90, 40), (60, 20, 40, 30), (60, 20, 55, 45), (-5, 2, 90, 60)])
def test_boxes_that_may_well_be_meant_are_not(box):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_box(box, (50, 100))


def test_the_margin_may_be_that_of_each_box_and_side():
    boxes = np.array([[50.0, 50.0, 1.0, 1.0]] * 2)
    clipped = clip_xywh(boxes, (100, 100), np.array([[4.0, 6.0], [10.0, 2.0]]))
    assert clipped[:, 2:].tolist() == [[4.0, 6.0], [10.0, 2.0]]


def test_the_other_conversions_leave_their_input_alone():
    boxes = np.array([[1.0, 2.0, 3.0, 4.0]])
    for convert in (xywh_to_cxcywh, cxcywh_to_xywh, cxcywh_to_xyxy, xywh_to_xyxy):
        convert(boxes)
    clip_xywh(boxes, (3, 3), 1.0)
    assert boxes.tolist() == [[1.0, 2.0, 3.0, 4.0]]
