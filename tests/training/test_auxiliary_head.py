"""An auxiliary centre head is trained with the network, saved with the run, and not saved."""

from dataclasses import replace

import pytest
from tests.training.tiny import stage, tiny_network, tiny_recipe

from starktrack.config.loading import override
from starktrack.config.recipes import read_recipe
from starktrack.config.training import LossConfig
from starktrack.errors import ConfigError
from starktrack.models.build import build_network
from starktrack.models.stark import AUXILIARY
from starktrack.training.state import without_auxiliary
from starktrack.training.trainable import prepare

CORNERS = ["config.model.box_head.kind=corner"]


def test_a_recipe_with_a_centre_loss_trains_an_auxiliary_head():
    recipe = read_recipe("mobile")
    assert override(recipe, CORNERS).has_auxiliary_head
    assert not read_recipe("s50").has_auxiliary_head
    assert not recipe.has_auxiliary_head  # its guided head has a centre head of its own
    assert not override(
        recipe,
        [
            "config.model.box_head.kind=centre",
            *(f"stages.{name}.loss.corner=0" for name in ("localise", "harden")),
        ],
    ).has_auxiliary_head


@pytest.mark.parametrize(("centre", "is_trained"), [(1.0, True), (0.0, False)])
def test_a_stage_without_its_loss_freezes_the_auxiliary_head_and_trains_the_rest(centre, is_trained):
    recipe = tiny_recipe(stages={"with": stage(loss=LossConfig(centre=1.0)), "last": stage()})
    network = tiny_network(recipe)
    prepare(network, stage(loss=LossConfig(centre=centre)))
    assert {p.requires_grad for p in network.auxiliary_head.parameters()} == {is_trained}
    assert network.auxiliary_head.training == is_trained
    assert all(p.requires_grad for p in network.box_head.parameters())


@pytest.mark.parametrize("trains", ["box", "score", "joint"])
def test_roles_of_templates_are_trained_with_the_box(trains):
    recipe = override(read_recipe("mobile"), ["config.model.role_embedding=true"])
    network = build_network(recipe.config.model)
    prepare(network, replace(recipe.stages["localise"], trains=trains))
    assert network.role_embedding.requires_grad == (trains != "score")
    assert all(each.requires_grad == (trains != "box") for each in network.score_head.parameters())


def test_final_weights_fit_a_network_without_it():
    model = override(read_recipe("mobile"), CORNERS).config.model
    weights = build_network(model, auxiliary_head=True).state_dict()
    assert any(name.startswith(AUXILIARY) for name in weights)
    build_network(model).load_state_dict(without_auxiliary(weights))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["config.model.box_head.kind=centre"], "loss.corner must be 0"),
        (
            [
                "config.model.box_head.kind=mlp",
                "config.model.score_from=embedding",
                "stages.localise.loss.corner=0",
            ],
            "loss.centre must be 0",
        ),
        (["config.model.box_head.kind=mlp"], "score_from must be embedding"),
        (
            [
                "config.model.box_head.kind=centre",
                "stages.localise.loss.corner=0",
                "stages.localise.loss.centre=0",
                "stages.localise.loss.others=1",
            ],
            "loss.centre must be above 0",
        ),
        (
            ["stages.localise.loss.centre=0", "stages.localise.loss.others=1"],
            "loss.centre must be above 0 for box_head.kind = 'guided', got 0",
        ),
    ],
)
def test_losses_without_their_maps_and_heads_without_their_loss_are_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        override(read_recipe("mobile"), overrides)
