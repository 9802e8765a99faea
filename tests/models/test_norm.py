import pytest
import timm
import torch
from torch import nn

from starktrack.models.norm import FrozenNorm, freeze_norms


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
