"""The loss of the centre maps against numbers worked by hand."""

import math

import pytest
import torch

from starktrack.models.prediction import CentreMaps
from starktrack.training.centre_loss import centre_terms, focal_loss, heat_target


def test_the_heat_is_one_in_the_cell_of_the_centre_and_falls_off_with_the_box():
    wide, small = heat_target(torch.tensor([[0.0, 0.25, 1.0, 0.5], [0.3, 0.3, 0.31, 0.31]]), 8).unflatten(
        1, (8, 8)
    )
    assert wide.argmax() == 3 * 8 + 4 and wide.max() == 1
    assert wide[3, 5].item() == pytest.approx(math.exp(-0.5 * (1 / 0.96) ** 2), rel=1e-5)
    assert wide[2, 4].item() == pytest.approx(math.exp(-0.5 * (1 / 0.5) ** 2), rel=1e-5)
    assert small[2, 2] == 1 and small.sum() < 1.7


def test_a_box_whose_centre_lies_on_the_far_edge_is_in_the_last_cell():
    assert heat_target(torch.tensor([[1.0, 1.0, 1.0, 1.0]]), 4)[0].argmax() == 15


def test_the_focal_loss_by_hand():
    logits = torch.tensor([[0.0, 0.0, 0.0]])
    target = torch.tensor([[1.0, 0.5, 0.0]])
    expected = math.log(2) * (0.25 + 0.25 * 0.5**4 + 0.25)
    assert focal_loss(logits, target).item() == pytest.approx(expected, rel=1e-6)


def test_certain_and_right_costs_nothing_certain_and_wrong_costs_much():
    target = heat_target(torch.tensor([[0.4, 0.4, 0.6, 0.6]]), 4)
    right = torch.where(target == 1, 20.0, -20.0)
    assert focal_loss(right, target) < 1e-6
    assert focal_loss(-right, target) > 20


def test_the_box_is_read_where_the_centre_is_not_where_the_heat_peaks():
    heat = torch.zeros(1, 16)
    heat[0, 15] = 9.0
    maps = CentreMaps(heat, torch.full((1, 2, 16), 0.5), torch.full((1, 2, 16), 0.25))
    _, box = centre_terms(maps, torch.tensor([[0.0, 0.0, 0.25, 0.25]]))
    assert box.tolist() == [[0.0, 0.0, 0.25, 0.25]]
