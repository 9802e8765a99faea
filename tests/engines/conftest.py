"""A network small enough to be exported in seconds, whose boxes have an area."""

import pytest
import torch

from starktrack.config.schema import (
    BackboneConfig,
    BoxHeadConfig,
    Config,
    CropConfig,
    ModelConfig,
    TransformerConfig,
)
from starktrack.models.build import build_network


@pytest.fixture(scope="session")
def config():
    transformer = TransformerConfig(
        width=32,
        num_heads=4,
        ffn_width=64,
        num_encoder_layers=1,
        num_decoder_layers=1,
        encoder_queries="search",
    )
    return Config(
        name="tiny",
        model=ModelConfig(
            backbone=BackboneConfig(name="test_efficientnet", padding="same"),
            transformer=transformer,
            box_head=BoxHeadConfig(width=32, cell_offset=0.5),
            search=CropConfig(side=96, factor=4.0),
            template=CropConfig(side=64, factor=2.0),
            num_templates=2,
            score_head=True,
            geometry="exact",
        ),
    )


def sharp_network(config, seed):
    """Return a random network whose corner maps have peaks, so that its boxes depend on what it sees."""
    torch.manual_seed(seed)
    network = build_network(config.model).eval()
    with torch.no_grad():
        for tower in (network.box_head.top_left, network.box_head.bottom_right):
            for block in tower[:-1]:
                block[0].weight.mul_(4)
        network.box_head.top_left[-1].bias.sub_(1)
    return network


@pytest.fixture(scope="session")
def network(config):
    return sharp_network(config, 0)


@pytest.fixture(scope="session")
def other_network(config):
    return sharp_network(config, 1)


@pytest.fixture(scope="session")
def exported(config, network, tmp_path_factory):
    """Return the path of the exported network, and what was found when it was compared with PyTorch."""
    from starktrack.engines.export import export_onnx

    path = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    return path, export_onnx(network, config, path)
