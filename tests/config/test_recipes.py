import re
import textwrap
from pathlib import Path

import pytest

from starktrack.config.loading import from_mapping, override, to_mapping
from starktrack.config.recipes import read_recipe, recipe_names
from starktrack.config.training import Recipe
from starktrack.errors import ConfigError

PUBLISHED = {
    "lightning",
    "s50",
    "s50_got10k_only",
    "st101",
    "st101_got10k_only",
    "st50",
    "st50_got10k_only",
}


def test_there_is_a_recipe_for_every_published_run():
    assert set(recipe_names()) == PUBLISHED | {"mobile", "finetune", "refine", "ablation", "ablation_lasot"}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_published_recipe_has_the_published_numbers(name):
    recipe = read_recipe(name)
    first = next(iter(recipe.stages.values()))
    assert (first.epochs, first.trains, first.optim.drop_epoch) == (500, "box", 400)
    assert (first.optim.lr, first.optim.backbone_lr, first.optim.weight_decay) == (1e-4, 1e-5, 1e-4)
    assert (first.loss.giou, first.loss.l1, first.loss.corner, first.optim.clip_norm) == (2, 5, 0, 0.1)
    assert (recipe.run.batch_size, recipe.run.micro_batch, recipe.run.samples_per_epoch) == (128, 16, 60_000)
    assert recipe.run.steps_per_epoch == 468
    assert first.data.sampling.max_gap == 200


@pytest.mark.parametrize("name", ["st50", "st101", "st50_got10k_only", "st101_got10k_only"])
def test_spatio_temporal_recipes_run_both_stages_in_one_go(name):
    (start, _, localise), (second_start, _, score) = read_recipe(name).stage_starts()
    assert (start, second_start) == (0, 500)
    assert localise.data.sampling.mode == score.data.sampling.mode == "trident_pro"
    assert (score.trains, score.epochs, score.optim.drop_epoch) == ("score", 50, 40)
    assert score.data.sampling.negative_share == 0.5


def test_got10k_only_recipes_train_on_nothing_else():
    for name in ("s50_got10k_only", "st50_got10k_only", "st101_got10k_only"):
        recipe = read_recipe(name)
        assert [(d.source, d.split) for d in recipe.datasets.values()] == [("got10k", "train")]
        assert recipe.config.name == "stark_" + name.removesuffix("_got10k_only")


def test_lightning_freezes_its_first_stage_and_names_no_teacher():
    recipe = read_recipe("lightning")
    assert recipe.stages["localise"].frozen_stride == 2
    assert (recipe.distillation.teacher, recipe.distillation.kl) == ("", 5.0)


def test_overrides_reach_stages_and_data_sets_by_name():
    changed = override(read_recipe("st50"), ["stages.score.epochs=3", "datasets.coco.ratio=2", "run.seed=7"])
    assert (changed.stages["score"].epochs, changed.datasets["coco"].ratio, changed.run.seed) == (3, 2, 7)


def test_a_recipe_survives_the_round_trip_through_plain_values():
    recipe = read_recipe("st50")
    assert from_mapping(Recipe, to_mapping(recipe)) == recipe


def test_a_recipe_may_be_called_as_its_file_is_in_the_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_recipe("recipes/refine.toml") == read_recipe("refine")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "refine.toml").write_text('base = "mobile"\n')
    assert read_recipe("recipes/refine.toml") == read_recipe("mobile"), "one's own file comes first"
    with pytest.raises(ConfigError, match=r"recipes/mine\.toml"):
        read_recipe("recipes/mine.toml")


def test_a_wrong_recipe_name_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"got 's5O'; did you mean 's50'\?"):
        read_recipe("s5O")


def test_a_wrong_key_within_a_stage_is_answered_with_the_nearest(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('base = "s50"\n[stages.localise]\nepoch = 3\n')
    with pytest.raises(ConfigError, match=r"unknown key 'stages.localise.epoch'; did you mean 'epochs'\?"):
        read_recipe(str(path))


def test_a_wrong_key_in_an_override_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"did you mean 'localise'\?"):
        override(read_recipe("s50"), ["stages.localize.epochs=3"])


def test_a_recipe_that_is_its_own_base_is_refused(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(f'base = "{path.as_posix()}"\n')
    with pytest.raises(ConfigError, match="must not be its own base"):
        read_recipe(str(path))


@pytest.mark.parametrize(
    ("assignments", "text"),
    [
        (["run.batch_size=100"], "batch_size must be a multiple of micro_batch=16, got 100; use 96"),
        (["run.samples_per_epoch=64"], "samples_per_epoch must be at least batch_size=128, got 64"),
        (["stages.localise.data.sampling.negative_share=0.5"], "negative_share must be 0"),
        (["stages.localise.trains=score"], "stark_s50 has none"),
        (["stages.localise.optim.lr=inf"], "stages.localise.optim.lr must be a finite number, got inf"),
        (["stages.localise.data.jitter.search_scale=nan"], "search_scale must be a finite number, got nan"),
    ],
)
def test_values_that_do_not_go_together_are_refused(assignments, text):
    with pytest.raises(ConfigError, match=text):
        override(read_recipe("s50"), assignments)


@pytest.mark.parametrize(
    "name", sorted(PUBLISHED | {"mobile", "finetune", "refine", "ablation", "ablation_lasot"})
)
def test_every_recipe_names_data_sets_and_splits_that_exist_and_builds_its_network(name):
    from starktrack.data.sources import SOURCES
    from starktrack.kinds import kind_of
    from starktrack.training.optim import build_optimiser
    from starktrack.training.trainable import prepare

    recipe = read_recipe(name)
    for dataset in (*recipe.datasets.values(), *recipe.validation.datasets.values()):
        if dataset.source != "synthetic":
            splits = SOURCES[dataset.source].splits
            assert dataset.split in splits or "*" in splits
    network = kind_of(recipe.config).build(recipe.config.model)
    for stage in recipe.stages.values():
        prepare(network, stage)
        assert build_optimiser(network, stage.optim).param_groups[0]["params"]


def test_a_refiners_recipe_and_a_trackers_do_not_mix():
    assert read_recipe("refine").config.model.kind == "refiner"
    with pytest.raises(ConfigError, match=r"loss.mask must be 0 for a tracker, got 1.0; refiners have masks"):
        override(read_recipe("mobile"), ["stages.localise.loss.mask=1.0"])
    with pytest.raises(ConfigError, match=r"stages.heads of a refiner must have trains = 'box'"):
        override(read_recipe("refine"), ["stages.heads.trains=score"])
    with pytest.raises(ConfigError, match=r"a refiner must have no validation.datasets"):
        override(read_recipe("refine"), ["distillation.teacher=teacher.safetensors"])


@pytest.mark.parametrize("name", ["st50", "st101", "st50_got10k_only", "st101_got10k_only"])
def test_the_score_stage_is_validated_as_often_as_the_authors_did(name):
    recipe = read_recipe(name)
    assert (recipe.validation.every, recipe.stages["score"].validate_every) == (20, 10)
    assert recipe.validates
    assert not override(recipe, ["validation.every=0", "stages.score.validate_every=0"]).validates


def test_synthetic_videos_that_no_stage_could_use_are_refused():
    with pytest.raises(ConfigError, match=r"num_frames must be at least .*min_length=20 .*got 12"):
        override(
            read_recipe("mobile"),
            ["datasets.synthetic.synthetic.num_frames=12", "stages.score.data.sampling.min_length=20"],
        )


def test_every_recipe_in_the_documentation_can_be_read(tmp_path):
    text = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    blocks = [textwrap.dedent(block) for block in re.findall(r"^ *```toml\n(.*?)^ *```", text, re.S | re.M)]
    assert len(blocks) == 3
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.toml"
        path.write_text(block)
        assert "mine" in read_recipe(str(path)).datasets


def test_mobile_is_validated_on_whole_sequences_that_it_never_trains_on():
    recipe = read_recipe("mobile")
    assert recipe.validation.max_frames == 0
    held_out = {(each.source, each.root): each.only for each in recipe.validation.datasets.values()}
    assert held_out == {("videos", "dev"): (), ("davis", "davis"): ("goat", "car-shadow")}
    assert recipe.datasets["davis"].exclude == ("goat", "car-shadow")
    assert "dev" not in {each.root for each in recipe.datasets.values()}
    assert [stage.loss.others for stage in recipe.stages.values()] == [2.0, 4.0, 1.0]
    assert recipe.stages["score"].data.sampling.neighbour_share == 0.6


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_papers_recipes_have_none_of_our_look_alikes(name):
    for stage in read_recipe(name).stages.values():
        sampling = stage.data.sampling
        assert (sampling.near_share, sampling.neighbour_share, sampling.far_share) == (0, 0, 0)
        assert (sampling.mistake_share, stage.data.jitter.motion_share, stage.loss.others) == (0, 0, 1)
        assert not stage.data.augment.degrades and not stage.data.distractors.changes_anything


def test_a_recipe_nested_a_thousand_deep_is_refused(tmp_path):
    for name, text in (("a.toml", "x = " + "[" * 3000), ("a.json", "[" * 100_000)):
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError):
            read_recipe(str(tmp_path / name))
    with pytest.raises(ConfigError, match="batch_size"):
        override(read_recipe("s50"), ["run.batch_size=" + "[" * 3000])
