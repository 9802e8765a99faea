import json

import pytest

from starktrack.config.ablations import OURS, ROWS, row_recipe, within_budget
from starktrack.config.loading import override, to_mapping
from starktrack.config.recipes import read_recipe
from starktrack.errors import ConfigError


def by_name(name):
    return next(row for row in ROWS if row.name == name)


def test_the_published_numbers_are_those_of_tables_7_and_8():
    assert {row.name: row.published for row in ROWS if 7 in row.tables} == {
        "no_encoder": 61.1,
        "no_decoder": 64.5,
        "no_position": 66.2,
        "mlp": 63.7,
        "no_score": 64.5,
        "ours": 66.4,
    }
    assert {row.name: row.published for row in ROWS if 8 in row.tables} == {
        "template_query": 61.2,
        "hungarian": 63.7,
        "query_update": 64.8,
        "joint": 62.5,
        "ours": 66.4,
    }


@pytest.mark.parametrize("base", ["ablation", "ablation_lasot"])
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_row_is_a_recipe_of_every_base(row, base):
    recipe = row_recipe(row, read_recipe(base), 33_000_000)
    assert recipe.config.name.endswith(row.name) and not recipe.validation.datasets


def differences(before, after, path=""):
    if not isinstance(before, dict) or not isinstance(after, dict):
        return {path} if before != after else set()
    keys = before.keys() | after.keys()
    return set().union(
        *(differences(before.get(key), after.get(key), f"{path}.{key}".lstrip(".")) for key in keys)
    )


EXPECTED = {
    "no_encoder": {"config.model.transformer.num_encoder_layers"},
    "no_decoder": {"config.model.transformer.num_decoder_layers"},
    "no_position": {"config.model.transformer.position"},
    "mlp": {"config.model.box_head.kind"},
    "no_score": {"config.model.score_head", "stages.score"},
    "template_query": {"config.model.framework"},
    "hungarian": {"config.model.framework", "stages.localise.trains", "stages.score"},
    "query_update": {"config.model.framework"},
    "joint": {"stages.localise.trains", "stages.localise.data.sampling.negative_share", "stages.score"},
    "ours": set(),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_row_differs_from_ours_in_nothing_else(name):
    base = read_recipe("st50")
    own, ours = (to_mapping(row_recipe(row, base, 10**6)) for row in (by_name(name), OURS))
    assert differences(ours, own) - {"config.name"} == EXPECTED[name]


def test_a_budget_is_shared_in_proportion_to_the_epochs():
    base = read_recipe("st50")
    # 550 epochs of 128 samples at the least: 1,000,000 / 550 / 128 = 14 steps.
    cut = within_budget(base, 1_000_000)
    assert cut.run.steps_per_epoch == 14 and cut.stages == base.stages
    assert 550 * cut.run.samples_per_epoch <= 1_000_000
    with pytest.raises(ConfigError, match="a budget must be at least 70400 samples"):
        within_budget(base, 70_399)
    assert within_budget(base, 70_400).run.samples_per_epoch == 128


@pytest.mark.parametrize(
    ("base", "changes", "text"),
    [
        ("s50", [], "must have encoder, decoder, corner head and a dynamic template, got stark_s50"),
        ("lightning", [], "got stark_lightning"),
        ("refine", [], "must train a tracker, got a refiner's"),
        ("st50", ["config.model.framework=query_update"], "got stark_st50"),
        (
            "st50",
            ["stages.score.trains=box", "stages.score.data.sampling.negative_share=0"],
            r"got \['box', 'box'\]",
        ),
    ],
)
def test_a_base_without_what_rows_take_away_is_refused(base, changes, text):
    with pytest.raises(ConfigError, match=text):
        row_recipe(OURS, override(read_recipe(base), changes), 10**8)


def test_a_recipe_is_read_back_from_the_json_of_a_run(tmp_path):
    recipe = row_recipe(by_name("joint"), read_recipe("ablation"), 20_000)
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(to_mapping(recipe)), encoding="utf-8")
    assert read_recipe(str(path)) == recipe


@pytest.mark.parametrize("content", [None, "{"])
def test_json_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "recipe.json"
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="a recipe must be a file that can be read"):
        read_recipe(str(path))
