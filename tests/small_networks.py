"""Networks small enough to be exported in seconds, whose boxes have an area and depend on what they see."""

from dataclasses import replace

import torch
from tests.data.samples.test_outline import MODEL
from tests.training.tiny import tiny_config

from starktrack.config.schema import BackboneConfig, Config, CropConfig
from starktrack.models.build import build_network
from starktrack.models.refine import build_refiner

TRACKER = tiny_config(
    backbone=BackboneConfig(name="test_efficientnet", padding="same"),
    transformer=replace(tiny_config().model.transformer, encoder_queries="search"),
    search=CropConfig(side=96, factor=4.0),
    template=CropConfig(side=64, factor=2.0),
    num_templates=2,
    score_head=True,
)
REFINER = Config(name="small", model=MODEL)


def sharp_tracker(seed):
    """Return a random network whose corner maps have peaks."""
    torch.manual_seed(seed)
    network = build_network(TRACKER.model).eval()
    with torch.no_grad():
        sharpen(network.box_head.top_left, network.box_head.bottom_right)
        network.box_head.top_left[-1].bias.sub_(1)
    return network


def sharp_refiner(seed, model=MODEL):
    """Return a random refiner whose corner maps have peaks."""
    torch.manual_seed(seed)
    network = build_refiner(model).eval()
    with torch.no_grad():
        sharpen(network.corners.top_left, network.corners.bottom_right)
    return network


def sharpen(*towers):
    for tower in towers:
        for block in tower[:-1]:
            block[0].weight.mul_(4)
