"""Turned pictures: the same maps and gradients as with padded copies, and no copies."""

import copy

import pytest
import timm
import torch
from tests.models.test_norm import assert_maps_agree, scrambled
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from starktrack.config.schema import BackboneConfig
from starktrack.models import norm as norm_module
from starktrack.models.backbone import build_backbone, build_pyramid
from starktrack.models.folding import fold_backbones, fold_for_export
from starktrack.models.norm import FoldedConv, FrozenNorm, fold_norms, freeze_norms
from starktrack.models.turning import turn_back, turn_convolutions, turned

MOBILE = BackboneConfig(name="mobilenetv2_100", padding="same")


def refuse_to_pad(*arguments):
    raise AssertionError("a padded copy was made")


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_a_turned_convolution_by_itself(size, stride, dilation):
    torch.manual_seed(0)
    plain = Conv2dSame(2, 3, size, stride=stride, dilation=dilation)
    for values in plain.parameters():  # whole numbers, whose sums have no rounding
        nn.init.uniform_(values, -9, 9).data.round_()
    norm = FrozenNorm(3, eps=0.0)
    body = nn.Sequential(FoldedConv(plain, norm))
    assert turn_convolutions(body)
    num_sizes = 0
    for height, width in ((8, 8), (7, 9), (6, 11), (1, 2)):
        picture = torch.randint(-9, 10, (2, 2, height, width)).float()
        assert torch.equal(turned(body(turned(picture))), plain(picture))
        num_sizes += 1
    assert num_sizes == 4
    turn_back(body)
    assert torch.equal(body(picture), plain(picture))


@pytest.mark.parametrize(
    ("kernel", "stride"),
    [(1, 2), (4, 2), (2, 1), (3, 3)],
    ids=["pixel", "even", "even with stride 1", "stride 3"],
)
def test_what_would_give_other_maps_is_not_turned(kernel, stride):
    conv = FoldedConv(Conv2dSame(1, 1, kernel, stride=stride), FrozenNorm(1))
    assert not turn_convolutions(nn.Sequential(conv)) and not conv.is_turned


def test_a_body_with_anything_else_in_it_is_not_turned():
    conv = FoldedConv(Conv2dSame(1, 1, 3, stride=2), FrozenNorm(1))
    symmetric = FoldedConv(nn.Conv2d(1, 1, 3, stride=2, padding=1), FrozenNorm(1))
    for other in (nn.MaxPool2d(2), nn.Conv2d(1, 1, 1), symmetric):
        assert not turn_convolutions(nn.Sequential(conv, other)) and not conv.is_turned
    resnet = fold_norms(freeze_norms(timm.create_model("test_resnet", features_only=True)))
    assert not turn_convolutions(resnet)


@pytest.mark.parametrize("build", [build_backbone, lambda config: build_pyramid(config, (4, 8, 16))])
def test_maps_and_gradients_stay_the_same_and_nothing_is_padded(monkeypatch, build):
    plain = scrambled(build(MOBILE)).train()
    folded = fold_backbones(copy.deepcopy(plain))
    assert folded.is_turned and not plain.is_turned
    picture = torch.rand(2, 3, 64, 96).to(memory_format=torch.channels_last)
    maps = []
    for network in (plain, folded):
        if network is folded:
            monkeypatch.setattr(norm_module, "pad_same", refuse_to_pad)
        found = network(picture)
        found = [found] if isinstance(found, torch.Tensor) else list(found)
        # A weight for each cell, so that a map that stays turned has other gradients.
        sum((each * torch.linspace(0, 1, each.shape[-1])).square().mean() for each in found).backward()
        maps.append(found)
    assert len(maps[0]) == len(maps[1]) > 0
    for ours, theirs in zip(*maps, strict=True):
        assert_maps_agree(ours, theirs)
    pairs = list(zip(plain.named_parameters(), folded.parameters(), strict=True))
    assert len(pairs) > 30
    for (_, ours), theirs in pairs:
        limit = 1e-3 * float(theirs.grad.abs().max())
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=limit)


def test_a_network_that_is_exported_takes_pictures_as_they_are():
    network = nn.Sequential(build_backbone(MOBILE)).eval()
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(picture)
        assert fold_backbones(network)[0].is_turned
        settled = fold_for_export(network)
        assert not settled[0].is_turned
        assert_maps_agree(settled(picture), expected)
        assert_maps_agree(fold_backbones(settled)(picture), expected)
