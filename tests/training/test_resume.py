import json
import os
import signal
from dataclasses import replace

import pytest
from tests.training.tiny import losses, same_tensors, stage, tiny_config, tiny_job, tiny_network, tiny_recipe

from starktrack.config.loading import override, to_mapping
from starktrack.config.training import OptimConfig
from starktrack.errors import ConfigError
from starktrack.models.weights import read_weights
from starktrack.training.loop import train
from starktrack.training.metrics_log import read_metrics
from starktrack.training.resume import check_same_recipe, differences


class Killed(BaseException):
    """Stands in for a process that ends in the middle of things."""


def validated(*, dies_in=(), asked_in=()):
    """Return a scorer of three sequences, and the list of its calls; it dies, or is asked to end, in some."""
    calls = []

    def validate(state, config):
        calls.append(len(calls))
        for number in range(3):
            if number == 1 and calls[-1] in dies_in:
                raise Killed
            if number == 1 and calls[-1] in asked_in:
                os.kill(os.getpid(), signal.SIGTERM)
            yield 0.5, float(state["bottleneck.weight"].sum())

    return validate, calls


def validations(out):
    records = read_metrics(out / "metrics.jsonl")
    return [(r["epoch"], r["success"], r["best"]) for r in records if r["kind"] == "validation"]


def recipe(**run):
    optim = OptimConfig(lr=1e-2, ema_decay=0.5)
    return tiny_recipe(stages={"localise": stage(epochs=2, optim=optim)}, validation={"every": 1}, **run)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    out = tmp_path_factory.mktemp("straight")
    train(tiny_job(recipe(), out, validate=validated()[0]), tiny_network(recipe()))
    return out


def assert_same_run(out, straight):
    assert losses(out) == losses(straight) and len(losses(out)) == 6
    assert validations(out) == validations(straight) and len(validations(out)) == 2
    for name in ("weights", "best"):
        ends = [read_weights(folder / f"{name}.safetensors")[1] for folder in (out, straight)]
        assert same_tensors(*ends)


@pytest.mark.parametrize("number", [0, 1], ids=["after the first epoch", "at the end of the stage"])
def test_a_kill_in_the_validation_costs_no_epoch_and_the_validation_is_made_up_for(
    tmp_path, straight, number
):
    validate, _ = validated(dies_in=[number])
    with pytest.raises(Killed):
        train(tiny_job(recipe(), tmp_path, validate=validate), tiny_network(recipe()))
    steps = len(losses(tmp_path))
    again, calls = validated()
    assert (
        train(tiny_job(recipe(), tmp_path, validate=again), tiny_network(recipe(), seed=4), resume=True) == 0
    )
    assert steps == 3 * (number + 1) and len(calls) == 2 - number
    assert_same_run(tmp_path, straight)


def test_a_kill_between_a_validation_and_its_checkpoint_leaves_one_record_of_it(
    tmp_path, straight, monkeypatch
):
    from starktrack.training import loop

    def dying(job, state):
        if state.progress.num_steps == 3 and not state.progress.validation_due:
            raise Killed
        save(job, state)

    save = loop._save
    monkeypatch.setattr(loop, "_save", dying)
    with pytest.raises(Killed):
        train(tiny_job(recipe(), tmp_path, validate=validated()[0]), tiny_network(recipe()))
    monkeypatch.undo()
    assert len(validations(tmp_path)) == 1
    train(tiny_job(recipe(), tmp_path, validate=validated()[0]), tiny_network(recipe()), resume=True)
    assert_same_run(tmp_path, straight)


def test_a_request_in_a_validation_is_obeyed_before_its_next_sequence_and_saves(tmp_path, straight):
    validate, calls = validated(asked_in=[0])
    job = tiny_job(recipe(), tmp_path, validate=validate)
    assert train(job, tiny_network(recipe())) == signal.SIGTERM
    assert calls == [0] and validations(tmp_path) == [] and len(losses(tmp_path)) == 3
    job = tiny_job(recipe(), tmp_path, validate=validated()[0])
    assert train(job, tiny_network(recipe(), seed=4), resume=True) == 0
    assert_same_run(tmp_path, straight)


def test_a_run_without_validation_goes_on_from_where_one_was_due(tmp_path):
    validate, _ = validated(dies_in=[1])
    with pytest.raises(Killed):
        train(tiny_job(recipe(), tmp_path, validate=validate), tiny_network(recipe()))
    assert train(tiny_job(recipe(), tmp_path), tiny_network(recipe()), resume=True) == 0
    assert (tmp_path / "weights.safetensors").exists()


def test_stages_may_be_validated_more_or_less_often(tmp_path):
    plan = tiny_recipe(
        config=tiny_config(score_head=True),
        stages={
            "localise": stage(epochs=3),
            "score": stage(epochs=3, trains="score", sampling={"negative_share": 0.5}, validate_every=2),
        },
        samples_per_epoch=8,
        validation={"every": 1},
    )
    train(tiny_job(plan, tmp_path, validate=validated()[0]), tiny_network(plan))
    assert [epoch for epoch, _, _ in validations(tmp_path)] == [0, 1, 2, 4, 5]


def test_an_untrained_score_never_replaces_a_template(tmp_path):
    plan = tiny_recipe(
        config=tiny_config(score_head=True, num_templates=2),
        stages={
            "localise": stage(epochs=1),
            "score": stage(epochs=1, trains="score", sampling={"negative_share": 0.5}),
        },
        validation={"every": 1},
    )
    limits = []

    def validate(state, config):
        limits.append(config.tracking.update_score)
        yield 0.5, 0.5

    train(tiny_job(plan, tmp_path, validate=validate), tiny_network(plan))
    assert limits == [1.0, 0.5], "no score is above 1"
    assert read_weights(tmp_path / "weights.safetensors")[0] == plan.config

    alone = replace(plan, stages={"localise": stage(epochs=1)})
    train(tiny_job(alone, tmp_path / "alone"), tiny_network(alone))
    assert read_weights(tmp_path / "alone" / "weights.safetensors")[0].tracking.update_score == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("run.batch_size=4", "run.batch_size = 4, not 8"),
        ("run.seed=7", "run.seed = 7, not 42"),
        ("datasets.memory.ratio=2", "datasets.memory.ratio = 2.0, not 1.0"),
        ("stages.localise.optim.lr=1e-4", "stages.localise.optim.lr = 0.0001, not 0.001"),
        ("config.model.num_templates=2", "config.model.num_templates = 2, not 1"),
    ],
)
def test_a_run_refuses_to_go_on_with_another_recipe_and_says_what_differs(tmp_path, change, message):
    plan = tiny_recipe(stages={"localise": stage(epochs=1)})
    train(tiny_job(plan, tmp_path), tiny_network(plan))
    before = (tmp_path / "recipe.json").read_bytes()
    other = override(plan, [change])
    with pytest.raises(ConfigError, match="recipe it was started with") as error:
        train(tiny_job(other, tmp_path), tiny_network(other), resume=True)
    assert message in str(error.value)
    assert (tmp_path / "recipe.json").read_bytes() == before


def test_settings_that_leave_the_weights_alone_may_differ():
    plan = tiny_recipe()
    changes = [
        "run.log_every=9",
        "run.compile=true",
        "validation.every=3",
        "config.tracking.update_score=0.7",
    ]
    changes += ["stages.localise.data.loader.num_workers=5", "stages.localise.epochs=9", "run.imagenet=true"]
    assert differences(plan, override(plan, changes)) == []


def test_epochs_may_be_added_to_the_last_stage_only_and_not_to_a_cosine():
    two = tiny_recipe(stages={"first": stage(), "last": stage()})
    assert differences(two, override(two, ["stages.last.epochs=5"])) == []
    assert differences(two, override(two, ["stages.first.epochs=5"])) == ["stages.first.epochs = 5, not 2"]
    cosine = override(two, ["stages.last.optim.schedule=cosine"])
    longer = override(cosine, ["stages.last.epochs=5"])
    assert differences(cosine, longer) == ["stages.last.epochs = 5, not 2"]


def test_epochs_may_not_be_added_after_averaged_weights_have_become_the_network():
    averaged = tiny_recipe(stages={"last": stage(optim=OptimConfig(ema_decay=0.5))})
    longer = override(averaged, ["stages.last.epochs=5"])
    assert differences(averaged, longer) == ["stages.last.epochs = 5, not 2"]


def test_the_order_of_data_sets_counts():
    plan = tiny_recipe()
    both = replace(plan, datasets={"a": plan.datasets["memory"], "b": plan.datasets["memory"]})
    turned = replace(both, datasets=dict(reversed(both.datasets.items())))
    assert differences(both, turned) == ["datasets = ['b', 'a'], not ['a', 'b']"]


def test_a_setting_that_a_recipe_of_before_lacks_has_its_default(tmp_path):
    plan = tiny_recipe()
    values = to_mapping(plan)
    del values["run"]["seed"]
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps(values))
    check_same_recipe(plan, file)


@pytest.mark.parametrize("content", [None, "{", '{"run": {"speed": 1}}'])
def test_a_recipe_of_the_run_that_cannot_be_read_is_an_error_that_names_it(tmp_path, content):
    file = tmp_path / "recipe.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"the recipe it was started with in .*recipe\.json, got:"):
        check_same_recipe(tiny_recipe(), file)
