from pathlib import Path

import pytest
import torch
from tests.training.tiny import stage, tiny_config, tiny_job, tiny_network, tiny_recipe

from starktrack.training.estimate import estimate_stage
from starktrack.training.step import Trainer


def estimates(**run):
    recipe = tiny_recipe(
        config=tiny_config(score_head=True),
        stages={"localise": stage(), "score": stage(trains="score")},
        **run,
    )
    network = tiny_network(recipe)
    job = tiny_job(recipe, Path("unused"))
    return network, {name: estimate_stage(job, network, name) for name in recipe.stages}


def test_parameters_are_counted_by_stage():
    network, found = estimates()
    assert found["localise"].num_parameters == sum(p.numel() for p in network.parameters())
    # Three linear layers of width 32: 32 x 32 + 32 twice, 32 + 1.
    assert found["score"].num_trainable == 2 * (32 * 32 + 32) + 33
    assert found["localise"].num_trainable < found["localise"].num_parameters


def test_the_score_stage_keeps_almost_nothing_for_its_backward_pass():
    _, found = estimates()
    assert 0 < found["score"].activation_bytes < 0.05 * found["localise"].activation_bytes


def test_memory_grows_with_the_micro_batch():
    sizes = (2, 4, 8)
    smallest, small, large = (estimates(micro_batch=size, batch_size=8)[1]["localise"] for size in sizes)
    # Beside a part for each sample there is one for all: weights with the norm after them folded in.
    growth = small.activation_bytes - smallest.activation_bytes
    assert large.activation_bytes - small.activation_bytes == pytest.approx(2 * growth, rel=0.05)
    assert growth > 0
    assert small.step_seconds > 0 and small.load_seconds > 0


def test_state_is_weights_gradients_and_two_moments():
    network, found = estimates()
    weights = sum(value.nbytes for value in network.state_dict().values())
    assert found["score"].state_bytes == weights + 3 * 4 * found["score"].num_trainable
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_an_epoch_of_one_micro_batch_can_be_measured():
    recipe = tiny_recipe(batch_size=4, micro_batch=4, samples_per_epoch=4)
    found = estimate_stage(tiny_job(recipe, Path("unused")), tiny_network(recipe), "localise")
    assert found.step_seconds > 0 and found.load_seconds > 0


def test_a_teacher_needs_memory_for_its_weights():
    recipe = tiny_recipe()
    network, teacher = tiny_network(recipe), tiny_network(recipe)
    weights = sum(value.nbytes for value in teacher.state_dict().values())
    alone, taught = (
        estimate_stage(tiny_job(recipe, Path("unused"), teacher=each), network, "localise")
        for each in (None, teacher.eval().requires_grad_(False))
    )
    assert taught.state_bytes == alone.state_bytes + weights


def test_the_whole_micro_batch_is_measured(monkeypatch):
    seen = []
    step = Trainer.step

    def noting(trainer, micro_batches, seeds):
        seen.extend(len(batch) for batch in micro_batches)
        return step(trainer, micro_batches, seeds)

    monkeypatch.setattr(Trainer, "step", noting)
    estimates(batch_size=8, micro_batch=8)
    assert len(seen) >= 4 and set(seen) == {8}
