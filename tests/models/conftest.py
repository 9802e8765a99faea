"""A network small enough for a test, in any configuration."""

import re

import pytest
import torch

from starktrack.config.schema import ModelConfig
from starktrack.models.build import build_network


@pytest.fixture
def small_network(small_model):
    """Return a small network in eval mode, the same for the same changes."""

    def build(*changes: str):
        torch.manual_seed(0)
        return build_network(small_model(*changes)).eval()

    return build


@pytest.fixture
def crops_for():
    """Return random (templates, template masks, search, search mask); the masks are None without `padded`."""

    def make(model: ModelConfig, batch: int = 2, *, padded: str | None = None):
        generator = torch.Generator().manual_seed(1)
        templates = torch.randn(
            batch, model.num_templates, 3, *[model.template.side] * 2, generator=generator
        )
        search = torch.randn(batch, 3, *[model.search.side] * 2, generator=generator)
        if padded is None:
            return templates, None, search, None
        masks = [torch.zeros_like(crop[..., 0, :, :], dtype=torch.bool) for crop in (templates, search)]
        for mask in masks:
            mask[..., mask.shape[-1] // 2 if padded == "half" else 0 :] = padded != "nowhere"
        return templates, masks[0], search, masks[1]

    return make


WITHOUT_GRADIENT = re.compile(
    # A constant added to every key, or to every cell of a corner map, is lost in the softmax.
    r"\.key\.bias$|box_head\.(top_left|bottom_right)\.4\.bias$|box_head\.tower\.2\.bias$"
    # One query that attends to itself does so with weight one, whatever query and key are; it starts at zero.
    r"|decoder\.layers\.\d+\.self_attention\.(query|key)\."
    r"|decoder\.layers\.0\.self_attention\.value\.weight$"
)
"""Parameters that, by the published design, cannot change the output."""


@pytest.fixture(scope="session")
def assert_gradient_reaches_all():
    """Return the check that every parameter has a finite gradient, not zero but where it is so by design."""

    def check(network: torch.nn.Module) -> int:
        parameters = dict(network.named_parameters())
        missing = [name for name, parameter in parameters.items() if parameter.grad is None]
        assert missing == []
        assert all(torch.isfinite(parameter.grad).all() for parameter in parameters.values())
        largest = {name: parameter.grad.abs().max().item() for name, parameter in parameters.items()}
        expected = [name for name in parameters if not WITHOUT_GRADIENT.search(name)]
        assert [name for name in expected if largest[name] < 1e-12] == []
        return len(expected)

    return check
