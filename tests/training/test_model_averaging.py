"""The mean of several runs' weights."""

from dataclasses import replace

import pytest
import torch
from tests.training.tiny import tiny_config

from starktrack.config.schema import TrackingConfig
from starktrack.errors import CheckpointError
from starktrack.kinds import load_network
from starktrack.models.build import build_network
from starktrack.models.weights import read_weights, save_weights
from starktrack.training.model_averaging import average_weights


def write(folder, seed, config=None):
    config = config or tiny_config()
    torch.manual_seed(seed)
    path = folder / f"{seed}.safetensors"
    save_weights(path, build_network(config.model).state_dict(), config)
    return path


def test_every_weight_is_the_mean_and_the_network_loads(tmp_path):
    files = [write(tmp_path, seed) for seed in range(3)]
    config, mean = average_weights(files)
    states = [read_weights(file)[1] for file in files]
    assert config == tiny_config() and mean.keys() == states[0].keys()
    changed = 0
    for name, value in mean.items():
        parts = [state[name] for state in states]
        assert value.dtype == parts[0].dtype
        if value.is_floating_point():
            torch.testing.assert_close(value, sum(parts) / 3)
            changed += not torch.equal(value, parts[0])
        else:
            torch.testing.assert_close(value, parts[0])
    assert changed > 10
    save_weights(tmp_path / "mean.safetensors", mean, config)
    load_network(tmp_path / "mean.safetensors")


def test_how_they_track_is_that_of_the_first(tmp_path):
    slow = replace(tiny_config(), tracking=TrackingConfig(update_interval=7))
    config, _ = average_weights([write(tmp_path, 0, slow), write(tmp_path, 1)])
    assert config == slow


def test_different_networks_are_refused(tmp_path):
    files = [write(tmp_path, 0), write(tmp_path, 1, tiny_config(num_templates=2, score_head=True))]
    with pytest.raises(
        CheckpointError,
        match=r"must be of one network .*1\.safetensors differs from .*, model\.num_templates = 2, not 1",
    ):
        average_weights(files)


def test_one_file_is_no_average(tmp_path):
    with pytest.raises(CheckpointError, match="two checkpoints or more, got 1"):
        average_weights([write(tmp_path, 0)])


def numbers(folder, name, **tensors):
    path = folder / f"{name}.safetensors"
    save_weights(path, {key: torch.tensor(value) for key, value in tensors.items()}, tiny_config())
    return path


def test_a_mean_by_hand(tmp_path):
    files = [numbers(tmp_path, "a", w=[1.0, 4.0], n=3), numbers(tmp_path, "b", w=[2.0, -4.0], n=5)]
    _, mean = average_weights(files)
    assert mean["w"].tolist() == [1.5, 0.0] and mean["n"].item() == 3


def test_other_shapes_and_other_names_are_refused(tmp_path):
    one = numbers(tmp_path, "a", w=[1.0])
    for other in (numbers(tmp_path, "b", w=[1.0, 2.0]), numbers(tmp_path, "c", v=[1.0])):
        with pytest.raises(CheckpointError, match=r"differs from .* in (w|v)"):
            average_weights([one, other])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.safetensors"):
        average_weights([write(tmp_path, 0), tmp_path / "gone.safetensors"])
