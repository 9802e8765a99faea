"""The loss of the centre maps against numbers worked by hand."""

import math
from dataclasses import replace

import pytest
import torch
from tests.training.tiny import stage, tiny_config, tiny_job, tiny_network, tiny_recipe

from starktrack.config.schema import BoxHeadConfig
from starktrack.config.training import LossConfig
from starktrack.models.prediction import CentreMaps
from starktrack.training.centre_loss import centre_terms, focal_loss, heat_target, others_heat
from starktrack.training.distributed import ALONE
from starktrack.training.step import Trainer


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


def test_the_heat_of_others_is_one_in_their_middles_and_none_for_rows_that_fill_up():
    others = torch.tensor([[[0.2, 0.2, 0.1, 0.1], [0.8, 0.5, 0.2, 0.2]], [[0.0] * 4] * 2])
    first, second = others_heat(others, 8).unflatten(1, (8, 8))
    assert first[1, 1] == first[4, 6] == 1 and first[7, 0] < 0.01
    assert not second.any()


def test_heat_at_others_counts_as_often_as_asked_and_the_rest_once():
    logits, target = torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]])
    weighted = focal_loss(logits, target, torch.tensor([[3.0, 3.0, 1.0]]))
    # The cell of the true centre counts once whatever its weight.
    assert weighted.item() == pytest.approx(math.log(2) * 0.25 * (1 + 3 + 1), rel=1e-6)
    maps = CentreMaps(
        torch.randn(2, 64, generator=torch.manual_seed(0)), torch.rand(2, 2, 64), torch.rand(2, 2, 64)
    )
    true = torch.tensor([[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.9, 0.9]])
    others = torch.tensor([[[0.8, 0.8, 0.01, 0.01]], [[0.0] * 4]])
    plain, once, thrice = (centre_terms(maps, true, *more)[0] for more in ((), (others, 1.0), (others, 3.0)))
    weight = 1 + 2 * others_heat(others, 8)
    assert torch.equal(plain, once)
    assert torch.equal(thrice, focal_loss(maps.heat_logits, heat_target(true, 8), weight)) and thrice > plain
    assert torch.equal(centre_terms(maps, true, torch.zeros(2, 0, 4), 3.0)[0], plain)


def test_the_weight_of_others_reaches_the_loss_of_a_step(tmp_path):
    recipe = tiny_recipe(
        config=tiny_config(box_head=BoxHeadConfig(kind="centre", width=32)),
        stages={"localise": stage(loss=LossConfig(centre=1.0))},
    )
    heavy = stage(loss=LossConfig(centre=1.0, others=5.0))
    batch = next(tiny_job(recipe, tmp_path).open_batches(recipe.stages["localise"])(0, 0))
    crowded = replace(batch, others=torch.full((len(batch), 1, 4), 0.25))
    network = tiny_network(recipe)

    def loss_of(stage_config, of):
        trainer = Trainer(network, recipe, stage_config, device=torch.device("cpu"), processes=ALONE)
        network.eval()
        return trainer.loss(of).terms["heat"].item()

    plain = recipe.stages["localise"]
    assert loss_of(plain, batch) == loss_of(plain, crowded) == loss_of(heavy, batch)
    assert loss_of(heavy, crowded) > loss_of(plain, crowded)


def test_a_weight_of_others_without_heat_is_refused():
    with pytest.raises(ValueError, match=r"loss\.others must be 1 without loss\.centre"):
        tiny_recipe(stages={"localise": stage(loss=LossConfig(others=2.0))})
