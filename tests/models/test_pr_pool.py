import numpy as np
import pytest
import torch

from starktrack.models.pr_pool import precise_pool


def box(*cxcywh):
    return torch.tensor([cxcywh], dtype=torch.float64)


def interpolated(values, y, x):
    """Return the map at a place in cells: tents around the middle of each cell, 0 outside."""
    rows = np.maximum(0, 1 - np.abs(y - (np.arange(values.shape[0]) + 0.5)))
    columns = np.maximum(0, 1 - np.abs(x - (np.arange(values.shape[1]) + 0.5)))
    return rows @ values @ columns


def test_a_ramp_pools_to_its_value_in_the_middle_of_each_bin():
    # Column j holds j; the interpolated value at x cells is x - 0.5. The box spans 2 to 6 of 8 cells.
    ramp = torch.arange(8.0, dtype=torch.float64).expand(1, 1, 8, 8)
    pooled = precise_pool(ramp, box(0.5, 0.5, 0.5, 0.5), 2)
    np.testing.assert_allclose(pooled[0, 0], [[2.5, 4.5], [2.5, 4.5]])


def test_one_cell_pooled_over_its_own_square_is_three_quarters_squared():
    # The tent's integral over its own cell, from -1/2 to 1/2, is 3/4 along each axis.
    spike = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    spike[0, 0, 1, 2] = 1.0
    pooled = precise_pool(spike, box(2.5 / 4, 1.5 / 4, 1 / 4, 1 / 4), 1)
    assert pooled.item() == pytest.approx(0.75**2)


def test_it_equals_the_mean_of_many_samples_of_the_interpolated_map():
    values = np.random.default_rng(0).normal(size=(5, 7))
    where, bins, num = (0.43, 0.56, 0.61, 0.37), 3, 100
    pooled = precise_pool(torch.from_numpy(values)[None, None], box(*where), bins)[0, 0].numpy()
    left, top = (where[0] - where[2] / 2) * 7, (where[1] - where[3] / 2) * 5
    step_x, step_y = where[2] * 7 / bins, where[3] * 5 / bins
    within = (np.arange(num) + 0.5) / num
    for row in range(bins):
        for column in range(bins):
            places = [
                interpolated(values, top + (row + b) * step_y, left + (column + a) * step_x)
                for a in within
                for b in within
            ]
            # The midpoint rule misses a kink by at most its curvature times the square of the step.
            assert pooled[row, column] == pytest.approx(np.mean(places), abs=1e-3)


def test_gradients_of_map_and_box_are_those_of_the_closed_form():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=generator).requires_grad_()
    boxes = torch.tensor([[0.4, 0.5, 0.5, 0.4], [0.7, 0.3, 0.35, 0.45]], dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda f, b: precise_pool(f, b, 2), (features, boxes))


def test_each_row_of_a_batch_pools_its_own_box():
    features = torch.rand(2, 4, 6, 6)
    boxes = torch.tensor([[0.5, 0.5, 0.4, 0.6], [0.3, 0.6, 0.2, 0.2]])
    both = precise_pool(features, boxes, 3)
    for index in range(2):
        alone = precise_pool(features[index : index + 1], boxes[index : index + 1], 3)
        torch.testing.assert_close(both[index : index + 1], alone)


def test_outside_the_map_lies_nothing():
    ones = torch.ones(1, 1, 4, 4)
    assert precise_pool(ones, torch.tensor([[2.0, 2.0, 0.5, 0.5]]), 2).abs().max() == 0


def test_a_box_without_area_pools_what_lies_there():
    ramp = torch.arange(8.0, dtype=torch.float64).expand(1, 1, 8, 8)
    assert precise_pool(ramp, box(0.5, 0.5, 0.0, 0.0), 1).item() == pytest.approx(3.5, abs=1e-3)
