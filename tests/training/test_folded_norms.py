"""Training with folded norms and turned pictures equals training without them, but for rounding."""

from dataclasses import fields, replace

import pytest
import torch
from tests.training.tiny import stage, tiny_config, tiny_job, tiny_network, tiny_recipe

from starktrack.config.schema import BackboneConfig
from starktrack.models import folding
from starktrack.training import step as step_module
from starktrack.training.distributed import ALONE
from starktrack.training.step import Trainer

SMALL = BackboneConfig(name="test_efficientnet")
MOBILE = BackboneConfig(name="mobilenetv2_100", padding="same")


@pytest.mark.parametrize(
    ("backbone", "frozen_stride", "is_turned"), [(SMALL, 0, False), (SMALL, 8, False), (MOBILE, 8, True)]
)
def test_losses_and_gradients_stay_what_they_were(tmp_path, monkeypatch, backbone, frozen_stride, is_turned):
    recipe = tiny_recipe(
        config=tiny_config(backbone=backbone), stages={"localise": stage(frozen_stride=frozen_stride)}
    )
    only = recipe.stages["localise"]
    batches = tiny_job(recipe, tmp_path).open_batches(only)(0, 0)
    given = [in_double(next(batches)) for _ in range(3)]
    curves = {}
    for name, fold in (("folded", folding.fold_backbones), ("plain", lambda network: network)):
        monkeypatch.setattr(step_module, "fold_backbones", fold)
        network = tiny_network(recipe).double()
        trainer = Trainer(network, recipe, only, device=torch.device("cpu"), processes=ALONE)
        assert network.backbone.is_turned == (is_turned and name == "folded")
        results = [trainer.step([batch], [seed]) for seed, batch in enumerate(given)]
        curves[name] = torch.tensor([[float(r.losses[0]), float(r.gradient_norm)] for r in results])
    # In double precision only what passes through float32 on the way, such as the corner maps, is rounded.
    torch.testing.assert_close(curves["folded"], curves["plain"], rtol=1e-5, atol=0)


def in_double(batch):
    values = {each.name: getattr(batch, each.name) for each in fields(batch)}
    is_float = {
        name: isinstance(each, torch.Tensor) and each.is_floating_point() for name, each in values.items()
    }
    return replace(batch, **{name: each.double() for name, each in values.items() if is_float[name]})


def test_the_statistics_of_a_step_of_one_micro_batch_are_those_of_its_forward_pass(tmp_path):
    recipe = tiny_recipe()
    only = recipe.stages["localise"]
    batch = next(tiny_job(recipe, tmp_path).open_batches(only)(0, 0))
    trainer = Trainer(tiny_network(recipe), recipe, only, device=torch.device("cpu"), processes=ALONE)
    other = Trainer(tiny_network(recipe), recipe, only, device=torch.device("cpu"), processes=ALONE)
    trainer.step([batch], [3])
    torch.manual_seed(3)
    other.loss(batch)
    pairs = [(trainer.network.get_buffer(name), value) for name, value in other.network.named_buffers()]
    assert sum(not torch.equal(each, torch.zeros_like(each)) for each, _ in pairs) > 8
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
