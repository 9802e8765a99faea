"""A stage on smaller crops trains the same weights, and a run through both sizes resumes bit for bit."""

import signal

import pytest
import torch
from tests.training.test_loop import stop_after
from tests.training.tiny import losses, same_tensors, stage, tiny_config, tiny_job, tiny_network, tiny_recipe

from starktrack.config.presets import preset
from starktrack.config.schema import TransformerConfig
from starktrack.config.training import DistillationConfig, OptimConfig, Recipe
from starktrack.models.weights import read_weights
from starktrack.training.loop import train
from starktrack.training.resolution import at_resolution

SMALL_THEN_LARGE = {
    "small": stage(epochs=1, resolution=0.5, optim=OptimConfig(lr=1e-3, ema_decay=0.5)),
    "large": stage(epochs=1, optim=OptimConfig(lr=1e-3, ema_decay=0.5)),
}


def test_sides_are_multiples_of_the_stride_and_regions_stay():
    model = preset("stark_mobile").model
    smaller = model.at_resolution(0.75)
    assert (smaller.search.side, smaller.template.side) == (192, 96)
    assert (smaller.search.factor, smaller.template.factor) == (model.search.factor, model.template.factor)
    assert model.at_resolution(0.7).search.side == 176  # 179.2
    assert model.at_resolution(1.0) == model
    refiner = preset("refine_mobile").model
    assert refiner.at_resolution(0.5).crop.side == 128


def test_a_full_size_stage_gets_the_network_itself():
    recipe = tiny_recipe()
    network = tiny_network(recipe)
    assert at_resolution(network, recipe, recipe.stages["localise"]) is network


def test_the_smaller_network_has_the_same_weights_in_the_same_memory():
    recipe = tiny_recipe(config=tiny_config(score_head=True), stages=SMALL_THEN_LARGE)
    network = tiny_network(recipe)
    smaller = at_resolution(network, recipe, recipe.stages["small"])
    places = {name: value.data_ptr() for name, value in network.state_dict().items()}
    assert {name: value.data_ptr() for name, value in smaller.state_dict().items()} == places
    templates, search = torch.rand(2, 1, 3, 16, 16), torch.rand(2, 3, 32, 32)
    assert smaller(templates, None, search, None).box_cxcywh.shape == (2, 4)


def test_batches_of_a_stage_have_its_size(tmp_path):
    recipe = tiny_recipe(stages=SMALL_THEN_LARGE)
    job = tiny_job(recipe, tmp_path)
    sides = {}
    for name, each in recipe.stages.items():
        batch = next(job.open_batches(each)(0, 0))
        sides[name] = (batch.templates.shape[-1], batch.search.shape[-1])
    assert sides == {"small": (16, 32), "large": (32, 64)}


def test_a_run_through_both_sizes_trains_one_network_and_resumes_bit_for_bit(tmp_path):
    recipe = tiny_recipe(stages=SMALL_THEN_LARGE)
    straight, pieces = tmp_path / "straight", tmp_path / "pieces"
    network = tiny_network(recipe)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    train(tiny_job(recipe, straight), network)
    config, weights = read_weights(straight / "weights.safetensors")
    assert config.model == recipe.config.model
    assert same_tensors(weights, network.state_dict()) and not same_tensors(weights, before)
    for seed in (0, 5):  # stops in the middle of the first stage and of the second
        job = tiny_job(recipe, pieces, callback=stop_after(2))
        assert train(job, tiny_network(recipe, seed=seed), resume=True) == signal.SIGTERM
    assert train(tiny_job(recipe, pieces), tiny_network(recipe, seed=9), resume=True) == 0
    assert losses(pieces) == losses(straight)
    assert same_tensors(weights, read_weights(pieces / "weights.safetensors")[1])


@pytest.mark.parametrize(
    ("config", "distillation", "message"),
    [
        (
            tiny_config(transformer=TransformerConfig(width=32, num_heads=4, position="learned")),
            {},
            "learned",
        ),
        (tiny_config(), {"teacher": "teacher.safetensors"}, "teacher"),
    ],
)
def test_what_belongs_to_one_size_is_refused(config, distillation, message):
    with pytest.raises(ValueError, match=rf"stages\.small\.resolution must be 1 .*{message}"):
        Recipe(
            config=config,
            datasets=tiny_recipe().datasets,
            stages=SMALL_THEN_LARGE,
            distillation=DistillationConfig(**distillation),
        )
