from pathlib import Path

import pytest
import torch
from tests.training.tiny import stage, tiny_config, tiny_job, tiny_network, tiny_recipe

from starktrack.training.estimate import estimate_stage


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
    small, large = (estimates(micro_batch=size, batch_size=8)[1]["localise"] for size in (4, 8))
    assert large.activation_bytes == pytest.approx(2 * small.activation_bytes, rel=0.05)
    assert small.step_seconds > 0 and small.load_seconds > 0


def test_state_is_weights_gradients_and_two_moments():
    network, found = estimates()
    weights = sum(value.nbytes for value in network.state_dict().values())
    assert found["score"].state_bytes == weights + 3 * 4 * found["score"].num_trainable
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())
