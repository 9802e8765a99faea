from dataclasses import replace

import pytest
import torch
from tests.training.tiny import stage, tiny_config, tiny_job, tiny_network, tiny_recipe

from starktrack.config.schema import BackboneConfig, BoxHeadConfig, CropConfig
from starktrack.config.training import DistillationConfig, LossConfig
from starktrack.errors import ConfigError
from starktrack.models.build import build_network
from starktrack.models.weights import save_weights
from starktrack.training.distill import load_teacher
from starktrack.training.loop import train
from starktrack.training.metrics_log import read_metrics


def teacher_file(folder, config):
    path = folder / "teacher.safetensors"
    torch.manual_seed(8)
    save_weights(path, build_network(config.model).state_dict(), config)
    return path


def test_a_run_learns_from_its_teacher_and_leaves_it_alone(tmp_path):
    path = teacher_file(tmp_path, tiny_config())
    recipe = replace(tiny_recipe(), distillation=DistillationConfig(teacher=str(path), kl=5, l1=1))
    teacher = load_teacher(path, recipe.config.model)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    train(tiny_job(recipe, tmp_path, teacher=teacher), tiny_network(recipe))
    records = read_metrics(tmp_path / "metrics.jsonl")
    assert len(records) == 6
    for record in records:
        parts = 2 * record["giou"] + 5 * record["l1"] + 5 * record["distill_kl"] + record["distill_l1"]
        assert record["loss"] == pytest.approx(parts, rel=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_a_guided_head_learns_from_a_guided_teacher(tmp_path):
    config = tiny_config(box_head=BoxHeadConfig(kind="guided", width=32, cell_offset=0.5))
    path = teacher_file(tmp_path, config)
    recipe = tiny_recipe(config=config, stages={"localise": stage(loss=LossConfig(centre=0.5))})
    recipe = replace(recipe, distillation=DistillationConfig(teacher=str(path), kl=5, l1=1))
    job = tiny_job(recipe, tmp_path, teacher=load_teacher(path, config.model))
    train(job, tiny_network(recipe))
    for record in read_metrics(tmp_path / "metrics.jsonl"):
        taught = 5 * record["distill_kl"] + record["distill_l1"]
        assert taught > 0 and record["heat"] > 0
        assert record["loss"] > 2 * record["giou"] + 5 * record["l1"] + taught


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
