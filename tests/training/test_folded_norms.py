"""Training with frozen norms folded into convolutions equals training with norms of their own, but for rounding."""

import pytest
import torch
from tests.training.tiny import stage, tiny_job, tiny_network, tiny_recipe

from starktrack.training import step as step_module
from starktrack.training.distributed import ALONE
from starktrack.training.step import Trainer


@pytest.mark.parametrize("frozen_stride", [0, 8])
def test_losses_and_gradients_stay_what_they_were(tmp_path, monkeypatch, frozen_stride):
    recipe = tiny_recipe(stages={"localise": stage(frozen_stride=frozen_stride)})
    only = recipe.stages["localise"]
    batches = tiny_job(recipe, tmp_path).open_batches(only)(0, 0)
    given = [next(batches) for _ in range(3)]
    curves = {}
    for name, fold in (("folded", step_module.fold_backbones), ("plain", lambda network: network)):
        monkeypatch.setattr(step_module, "fold_backbones", fold)
        trainer = Trainer(tiny_network(recipe), recipe, only, device=torch.device("cpu"), processes=ALONE)
        results = [trainer.step([batch], [seed]) for seed, batch in enumerate(given)]
        curves[name] = torch.tensor([[float(r.losses[0]), float(r.gradient_norm)] for r in results])
    torch.testing.assert_close(curves["folded"], curves["plain"], rtol=2e-4, atol=0)
