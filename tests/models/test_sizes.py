"""Sizes of the published networks (reference: the authors' networks, counted) and of our light one."""

import pytest
import torch

from starktrack.config.presets import preset, presets_of
from starktrack.engines.profile import count
from starktrack.models.build import build_network
from starktrack.models.folding import fold


def built(name):
    with torch.device("meta"):
        return build_network(preset(name).model)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


PARTS = {
    "backbone": 8_512_704,
    "bottleneck": 262_400,
    "encoder": 7_890_432,
    "decoder": 9_473_024 + 256,  # and the query
    "box_head": 1_956_738,
}


@pytest.mark.parametrize(
    ("name", "millions"),
    [("stark_s50", 28.0956), ("stark_st50", 28.2274), ("stark_st101", 47.1673), ("stark_lightning", 2.3500)],
)
def test_a_published_network_has_its_number_of_parameters(name, millions):
    assert parameters(built(name)) / 1e6 == pytest.approx(millions, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("stark_s50", PARTS),
        ("stark_st50", {**PARTS, "score_head": 131_841}),
        ("stark_st101", {**PARTS, "backbone": 27_452_608, "score_head": 131_841}),
        (
            "stark_lightning",
            {
                "backbone": 1_660_320,
                "bottleneck": 24_704,
                "encoder": 329_856,
                "box_head": 331_522,
                "search_position": 2_560,
                "template_position": 1_024,
            },
        ),
    ],
)
def test_each_part_of_a_published_network_has_its_number_of_parameters(name, parts):
    counted = {part: parameters(module) for part, module in built(name).named_children()}
    assert {part: number for part, number in counted.items() if number} == parts


def test_lightning_folds_to_its_deployed_size():
    assert parameters(fold(built("stark_lightning"))) / 1e6 == pytest.approx(2.1512, abs=5e-5)


@pytest.mark.parametrize(("name", "giga"), [("stark_s50", 10.5), ("stark_st50", 10.9), ("stark_st101", 18.5)])
def test_the_papers_count_of_multiply_accumulates_comes_out(name, giga):
    cost = count(preset(name))
    assert cost.paper_macs / 1e9 == pytest.approx(giga, abs=0.05)
    assert cost.frame_macs > cost.paper_macs > 0 and cost.template_macs > 0


def test_our_light_network_stays_within_five_million_parameters_and_one_giga_mac():
    cost = count(preset("stark_mobile"))
    assert cost.parameters <= 5_000_000
    assert cost.frame_macs <= 1_000_000_000


def test_every_preset_is_counted_here():
    assert len(presets_of("tracker")) == 5
