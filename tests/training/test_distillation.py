from dataclasses import replace

import pytest
import torch
from tests.training.tiny import tiny_config, tiny_job, tiny_network, tiny_recipe

from starktrack.config.schema import BackboneConfig, CropConfig
from starktrack.config.training import DistillationConfig
from starktrack.errors import ConfigError
from starktrack.models.weights import save_weights
from starktrack.training.distill import load_teacher
from starktrack.training.journal import read_journal
from starktrack.training.loop import train


def teacher_file(folder, config):
    path = folder / "teacher.safetensors"
    save_weights(path, tiny_network(replace(tiny_recipe(), config=config), seed=8).state_dict(), config)
    return path


def test_a_run_learns_from_its_teacher_and_leaves_it_alone(tmp_path):
    path = teacher_file(tmp_path, tiny_config())
    recipe = replace(tiny_recipe(), distillation=DistillationConfig(teacher=str(path), kl=5, l1=1))
    teacher = load_teacher(path, recipe.config.model)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    train(tiny_job(recipe, tmp_path, teacher=teacher), tiny_network(recipe))
    records = read_journal(tmp_path / "metrics.jsonl")
    assert len(records) == 6
    for record in records:
        parts = 2 * record["giou"] + 5 * record["l1"] + 5 * record["distill_kl"] + record["distill_l1"]
        assert record["loss"] == pytest.approx(parts, rel=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_a_teacher_of_other_crops_is_refused(tmp_path):
    path = teacher_file(tmp_path, tiny_config(search=CropConfig(side=96, factor=4.0)))
    with pytest.raises(
        ConfigError, match=r"a teacher's search must be the student's, .*side=64.*got .*side=96"
    ):
        load_teacher(path, tiny_config().model)


def test_a_teacher_with_other_corner_maps_is_refused(tmp_path):
    path = teacher_file(tmp_path, tiny_config(backbone=BackboneConfig(name="test_efficientnet", stride=8)))
    with pytest.raises(ConfigError, match=r"the student's 4 x 4 cells, got 8 x 8 .*backbone.stride=16"):
        load_teacher(path, tiny_config().model)
