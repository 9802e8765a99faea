import copy

import pytest
import timm
import torch
from torch import nn

from starktrack.models.norm import FoldedConv, FrozenNorm, fold_norms, freeze_norms


def scrambled(model):
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    return model


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
def test_a_frozen_network_gives_the_features_of_eval_mode_in_train_mode(name):
    model = scrambled(timm.create_model(name, features_only=True)).eval()
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = model(image)[-1]
        frozen = freeze_norms(model).train()
        torch.testing.assert_close(frozen(image)[-1], expected)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in frozen.modules())


def test_a_frozen_norm_by_hand():
    norm = FrozenNorm(1, eps=0.0, activation=nn.ReLU())
    values = {"weight": 2.0, "bias": 1.0, "running_mean": 3.0, "running_var": 4.0}
    norm.load_state_dict({name: torch.tensor([value]) for name, value in values.items()})
    assert norm(torch.tensor([5.0, -5.0]).view(2, 1, 1, 1)).flatten().tolist() == [3.0, 0.0]


def test_nothing_of_a_frozen_norm_is_trained():
    norm = FrozenNorm(3).train()
    assert not list(norm.parameters())
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    norm(torch.randn(4, 3, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_half_precision_features_stay_half_precision():
    with torch.autocast("cpu", torch.bfloat16):
        assert FrozenNorm(3)(torch.randn(1, 3, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


def assert_maps_agree(ours, theirs):
    # Sums of hundreds of products, in another order of rounding.
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


BODIES = ["mobilenetv2_100", "test_resnet", "resnetv2_50", "densenet121", "ghostnet_100", "repvgg_a0"]
"""Convolution first; with a shortcut; norm first; concatenated; a map before its norm; norms without convolution."""


@pytest.mark.parametrize("name", BODIES)
def test_a_folded_network_gives_the_same_maps_and_has_the_same_state(name):
    frozen = freeze_norms(scrambled(timm.create_model(name, features_only=True))).eval()
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected, keys = frozen(image), list(frozen.state_dict())
        folded = fold_norms(frozen)
        again = [folded(image), folded(image)]
        convolutions = [module for module in folded.modules() if isinstance(module, FoldedConv)]
        for module in convolutions:
            module.settle()
        settled = folded(image)
    assert convolutions
    for maps in (*again, settled):
        for ours, theirs in zip(maps, expected, strict=True):
            assert_maps_agree(ours, theirs)
    assert set(keys) <= set(folded.state_dict())


def test_folding_changes_neither_gradient_nor_the_effect_of_new_weights():
    torch.manual_seed(0)
    plain = freeze_norms(scrambled(timm.create_model("test_efficientnet", features_only=True))).train()
    folded = fold_norms(copy.deepcopy(plain))
    image = torch.rand(2, 3, 64, 64)
    for network in (plain, folded):
        network(image)[-1].square().mean().backward()
    pairs = list(zip(plain.named_parameters(), folded.parameters(), strict=True))
    assert len(pairs) > 10
    for (_, ours), theirs in pairs:
        torch.testing.assert_close(
            ours.grad, theirs.grad, rtol=1e-3, atol=1e-3 * float(theirs.grad.abs().max())
        )
    with torch.no_grad():
        folded(image)
        for (_, ours), theirs in pairs:
            ours.mul_(1.5)
            theirs.mul_(1.5)
        assert_maps_agree(folded(image)[-1], plain(image)[-1])
        for network in (plain, folded):
            network.load_state_dict({key: value * 0.9 for key, value in network.state_dict().items()})
        assert_maps_agree(folded(image)[-1], plain(image)[-1])


def test_a_copy_of_a_folded_network_has_statistics_of_its_own():
    body = fold_norms(freeze_norms(scrambled(timm.create_model("test_resnet", features_only=True)))).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = body(image)[-1].clone()
        other = copy.deepcopy(body)
        for module in other.modules():
            if isinstance(module, FrozenNorm):
                module.bias.add_(1)
        assert not torch.allclose(other(image)[-1], before)
        torch.testing.assert_close(body(image)[-1], before, rtol=0, atol=0)
