from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.tiny import tiny_network, tiny_recipe

from starktrack.config.presets import preset
from starktrack.config.recipes import read_recipe
from starktrack.config.schema import BackboneConfig
from starktrack.config.training import OptimConfig, StageConfig
from starktrack.models.backbone import build_backbone
from starktrack.models.build import build_network
from starktrack.training.optim import (
    build_optimiser,
    learning_rate_factor,
    set_learning_rate,
    start_average,
    update_average,
)
from starktrack.training.trainable import frozen_modules, prepare

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "golden_losses.npz"


@pytest.mark.parametrize(("key", "stage"), [("lr/stage1", "localise"), ("lr/stage2", "score")])
def test_the_learning_rates_of_every_epoch_are_those_of_the_authors(key, stage):
    expected = np.load(GOLDEN)[key]
    config = read_recipe("st50").stages[stage]
    factors = np.array([learning_rate_factor(config, epoch, 0, 468) for epoch in range(config.epochs)])
    np.testing.assert_allclose(factors[:, None] * [config.optim.lr, config.optim.backbone_lr], expected)
    assert len(expected) == config.epochs in (500, 50)


def test_cosine_falls_from_one_to_its_last_share_after_the_warm_up():
    stage = StageConfig(epochs=4, optim=OptimConfig(schedule="cosine", drop_factor=0.1, warmup_steps=10))
    assert learning_rate_factor(stage, 0, 0, 10) == pytest.approx(0.1)
    assert learning_rate_factor(stage, 2, 0, 10) == pytest.approx(0.55)
    assert learning_rate_factor(stage, 4, 0, 10) == pytest.approx(0.1)


def test_the_optimiser_has_the_published_groups():
    network = tiny_network(tiny_recipe())
    optimiser = build_optimiser(network, OptimConfig())
    rest, backbone = optimiser.param_groups
    assert (rest["lr"], backbone["lr"], rest["weight_decay"], backbone["weight_decay"]) == (
        1e-4,
        1e-5,
        1e-4,
        1e-4,
    )
    in_backbone = {id(parameter) for parameter in network.backbone.parameters()}
    assert {id(parameter) for parameter in backbone["params"]} == in_backbone
    set_learning_rate(optimiser, 0.1)
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([1e-5, 1e-6])


@pytest.mark.parametrize(
    ("name", "stride", "first_trained", "last_frozen"),
    [
        ("resnet50", 4, "layer2", "layer1"),
        ("resnet50", 0, "conv1", None),
        ("mobilenetv2_100", 8, "blocks.3", "blocks.2"),
        ("mobilenetv2_100", 2, "blocks.1", "blocks.0"),
        ("test_resnet", 16, None, "layer3"),
    ],
)
def test_a_timm_backbone_is_frozen_up_to_its_stage_of_a_stride(name, stride, first_trained, last_frozen):
    backbone = build_backbone(BackboneConfig(name=name))
    for module in frozen_modules(backbone, stride):
        module.requires_grad_(False)
    flags = [(key, parameter.requires_grad) for key, parameter in backbone.body.named_parameters()]
    trained = [flag for _, flag in flags]
    assert trained == sorted(trained), "what is frozen comes before what is trained"
    assert first_trained is None or next(key for key, flag in flags if flag).startswith(first_trained + ".")
    assert last_frozen is None or [key for key, flag in flags if not flag][-1].startswith(last_frozen + ".")


@pytest.mark.parametrize(("stride", "num_frozen"), [(0, 0), (2, 1), (4, 3), (8, 7), (16, 11)])
def test_repvgg_is_frozen_by_stages(stride, num_frozen):
    backbone = build_network(preset("stark_lightning").model).backbone
    assert len(list(frozen_modules(backbone, stride))) == num_frozen


def test_stage_one_of_st50_trains_layer2_and_3_and_all_but_the_score_head():
    network = build_network(preset("stark_st50").model)
    prepare(network, StageConfig())
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert {name.split(".")[2] for name in trained if name.startswith("backbone.")} == {"layer2", "layer3"}
    assert not any(name.startswith("score_head.") for name in trained)
    assert network.encoder.training and network.box_head.training and not network.score_head.training
    # The score head has 131,841 parameters (SPEC section 1).
    total = sum(parameter.numel() for parameter in network.parameters())
    count = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    stem = sum(
        p.numel() for n, p in network.backbone.body.named_parameters() if n.startswith(("conv1", "layer1"))
    )
    assert total - count == stem + 131_841


def test_stage_two_trains_the_score_head_alone_with_all_else_in_eval_mode():
    network = build_network(preset("stark_st50").model)
    prepare(network, StageConfig(trains="score"))
    trained = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert trained and all(name.startswith("score_head.") for name in trained)
    in_train_mode = {name for name, module in network.named_modules() if name and module.training}
    assert all(name.startswith("score_head") for name in in_train_mode)


def test_averaged_weights_move_by_the_share_they_do_not_keep():
    network = tiny_network(tiny_recipe())
    average = start_average(network)
    before = average["bottleneck.bias"].clone()
    with torch.no_grad():
        network.bottleneck.bias += 1
    update_average(average, network, 0.75, num_updates=1000)
    torch.testing.assert_close(average["bottleneck.bias"], before + 0.25)
    assert not any("num_batches" in name for name in average)


def test_the_first_update_of_averaged_weights_keeps_a_tenth():
    network = tiny_network(tiny_recipe())
    average = start_average(network)
    before = average["bottleneck.bias"].clone()
    with torch.no_grad():
        network.bottleneck.bias += 1
    update_average(average, network, 0.999, num_updates=0)
    torch.testing.assert_close(average["bottleneck.bias"], before + 0.9)
