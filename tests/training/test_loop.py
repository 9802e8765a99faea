import json
import os
import signal
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from tests.training.tiny import losses, same_tensors, stage, tiny_config, tiny_job, tiny_network, tiny_recipe

from starktrack.config.loading import from_mapping
from starktrack.config.training import OptimConfig, Recipe
from starktrack.errors import ConfigError, TrainingError
from starktrack.models.weights import read_weights
from starktrack.training.distributed import Processes
from starktrack.training.failure import check_finite, check_skipped, recent_steps
from starktrack.training.loop import train
from starktrack.training.metrics_log import read_metrics
from starktrack.training.pictures import write_picture
from starktrack.training.state import Progress, enter_stage, take_snapshot
from starktrack.training.step import StepResult, Trainer

TWO_STAGES = {
    "localise": stage(epochs=1, optim=OptimConfig(lr=1e-3, ema_decay=0.5)),
    "score": stage(epochs=2, trains="score", sampling={"negative_share": 0.5}),
}


def two_stages():
    return tiny_recipe(config=tiny_config(score_head=True), stages=TWO_STAGES)


def stop_after(number):
    """Return a listener that asks the process to end once so many training records were written."""
    seen = []

    def listen(record):
        seen.append(record)
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGTERM)

    return listen


def run_in_pieces(recipe, out, stops):
    for number in stops:
        job = tiny_job(recipe, out, callback=stop_after(number))
        assert train(job, tiny_network(recipe, seed=5), resume=True) == signal.SIGTERM
    assert train(tiny_job(recipe, out), tiny_network(recipe, seed=6), resume=True) == 0


def test_a_run_writes_losses_checkpoints_and_weights(tmp_path):
    recipe = tiny_recipe()
    network = tiny_network(recipe)
    assert train(tiny_job(recipe, tmp_path), network) == 0
    curve = losses(tmp_path)
    assert len(curve) == 6 and np.isfinite(curve).all() and len(set(curve)) == 6
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == [
        "step-000000003.safetensors",
        "step-000000006.safetensors",
    ]
    assert from_mapping(Recipe, json.loads((tmp_path / "recipe.json").read_text())) == recipe
    config, state = read_weights(tmp_path / "weights.safetensors")
    assert config == recipe.config and same_tensors(state, network.state_dict())


def test_records_name_their_place_and_their_speed(tmp_path):
    recipe = tiny_recipe(log_every=2)
    train(tiny_job(recipe, tmp_path), tiny_network(recipe))
    records = read_metrics(tmp_path / "metrics.jsonl")
    assert [(r["epoch"], r["step"]) for r in records] == [(0, 2), (0, 3), (1, 4), (1, 6)]
    assert {"loss", "giou", "l1", "overlap", "gradient_norm", "lr_rest", "samples_per_second"} <= set(
        records[0]
    )
    assert 0 <= records[0]["waiting"] <= 1


@pytest.mark.parametrize("stops", [[1], [2, 1, 3]])
def test_a_run_that_was_stopped_gives_the_losses_and_weights_of_one_that_never_was(tmp_path, stops):
    recipe = two_stages()
    straight, pieces = tmp_path / "straight", tmp_path / "pieces"
    network = tiny_network(recipe)
    train(tiny_job(recipe, straight), network)
    first = tiny_network(recipe)
    job = tiny_job(recipe, pieces, callback=stop_after(stops[0]))
    assert train(job, first) == signal.SIGTERM
    run_in_pieces(recipe, pieces, stops[1:])
    assert len(losses(straight)) == 9 and losses(pieces) == losses(straight)
    assert same_tensors(
        read_weights(straight / "weights.safetensors")[1], read_weights(pieces / "weights.safetensors")[1]
    )


def test_what_comes_back_lies_in_memory_like_the_parameters_it_belongs_to(tmp_path):
    plan = tiny_recipe(stages={"localise": stage(optim=OptimConfig(ema_decay=0.5))})
    learn, device = plan.stages["localise"], torch.device("cpu")
    network = tiny_network(plan).to(memory_format=torch.channels_last)
    before = Trainer(network, plan, learn, device=device, processes=Processes())
    for parameter in before.trainable:
        parameter.grad = torch.randn_like(parameter)
    before.optimiser.step()
    saved = take_snapshot(enter_stage(before, Progress(), "localise", None))
    packed = replace(saved, tensors={name: value.contiguous() for name, value in saved.tensors.items()})
    after = Trainer(network, plan, learn, device=device, processes=Processes())
    state = enter_stage(after, Progress("localise"), "localise", packed)
    for parameter in after.trainable:
        moments = after.optimiser.state[parameter]
        assert moments["exp_avg"].stride() == moments["exp_avg_sq"].stride() == parameter.stride()
        assert torch.equal(moments["exp_avg"], before.optimiser.state[parameter]["exp_avg"])
    for name, value in network.state_dict().items():
        assert name not in state.average or state.average[name].stride() == value.stride()
    assert any(not parameter.is_contiguous() for parameter in after.trainable)


def test_a_mean_over_several_steps_survives_a_stop_between_them(tmp_path):
    recipe = tiny_recipe(log_every=3, checkpoint_every=1)
    train(tiny_job(recipe, tmp_path / "straight"), tiny_network(recipe))
    broken = tiny_job(recipe, tmp_path / "pieces")
    calls = []

    def open_batches(stage_config):
        batches = tiny_job(recipe, tmp_path).open_batches(stage_config)

        def failing(epoch, step):
            for batch in batches(epoch, step):
                calls.append(1)
                if len(calls) == 3:
                    os.kill(os.getpid(), signal.SIGTERM)
                yield batch

        return failing

    job = tiny_job(recipe, broken.out, open_batches=open_batches)
    assert train(job, tiny_network(recipe)) == signal.SIGTERM
    assert losses(broken.out) == [], "the first record is due after the third step"
    run_in_pieces(recipe, broken.out, [])
    assert losses(broken.out) == losses(tmp_path / "straight")


def test_stage_two_changes_the_score_head_alone_and_resuming_keeps_it(tmp_path):
    recipe = two_stages()
    first = tiny_network(recipe)
    assert train(tiny_job(recipe, tmp_path, callback=stop_after(6)), first) == signal.SIGTERM
    head = {n: v.clone() for n, v in first.state_dict().items() if n.startswith("score_head.")}
    rest = {n: v.clone() for n, v in first.state_dict().items() if not n.startswith("score_head.")}
    fresh = tiny_network(recipe)
    assert not same_tensors(head, {n: fresh.state_dict()[n] for n in head}), "the head has learnt"

    again = tiny_network(recipe, seed=9)
    job = tiny_job(recipe, tmp_path, callback=stop_after(1))
    assert train(job, again, resume=True) == signal.SIGTERM
    assert same_tensors(rest, {n: again.state_dict()[n] for n in rest})
    distance = sum((again.state_dict()[n] - head[n]).norm() for n in head)
    assert 0 < distance < 0.1 * sum(value.norm() for value in head.values()), "one step on, not reset"


def test_stage_one_leaves_the_score_head_and_the_frozen_stages_alone(tmp_path):
    recipe = tiny_recipe(config=tiny_config(score_head=True))
    network = tiny_network(recipe)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    train(tiny_job(recipe, tmp_path), network)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert not any(
        name.startswith(("score_head.", "backbone.body.conv_stem", "backbone.body.blocks.1."))
        for name in changed
    )
    assert {name.split(".")[0] for name in changed} >= {
        "backbone",
        "bottleneck",
        "encoder",
        "decoder",
        "box_head",
    }


def test_results_do_not_depend_on_the_number_of_loader_workers(tmp_path):
    curves = []
    for workers in (0, 2):
        recipe = tiny_recipe(stages={"localise": stage(epochs=1, loader={"num_workers": workers})})
        train(tiny_job(recipe, tmp_path / str(workers)), tiny_network(recipe))
        curves.append(losses(tmp_path / str(workers)))
    assert len(curves[0]) == 3 and curves[0] == curves[1]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_and_clips(tmp_path, precision):
    recipe = tiny_recipe(precision=precision)
    network = tiny_network(recipe)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    train(tiny_job(recipe, tmp_path), network)
    assert np.isfinite(losses(tmp_path)).all()
    assert not same_tensors(before, network.state_dict())


def test_accumulated_micro_batches_share_one_step(tmp_path):
    recipe = tiny_recipe(micro_batch=2)
    train(tiny_job(recipe, tmp_path), tiny_network(recipe))
    assert len(losses(tmp_path)) == 6


def test_validation_is_recorded_and_the_best_weights_are_kept(tmp_path):
    recipe = tiny_recipe(stages={"localise": stage(epochs=3)}, validation={"every": 1})
    scores = iter([0.2, 0.6, 0.4])
    seen = []

    def validate(state, config):
        seen.append({name: value.clone() for name, value in state.items()})
        return [(0.5, next(scores)), (0.7, 0.0)]

    train(tiny_job(recipe, tmp_path, validate=validate), tiny_network(recipe))
    records = [r for r in read_metrics(tmp_path / "metrics.jsonl") if r["kind"] == "validation"]
    assert [r["success"] for r in records] == pytest.approx([0.1, 0.3, 0.2])
    assert [r["overlap"] for r in records] == pytest.approx([0.6] * 3)
    assert [r["best"] for r in records] == [True, True, False]
    assert [(r["epoch"], r["step"]) for r in records] == [(0, 3), (1, 6), (2, 9)], "as those of its steps"
    assert same_tensors(read_weights(tmp_path / "best.safetensors")[1], seen[1])


def test_the_best_weights_are_those_of_the_last_stage(tmp_path):
    recipe = tiny_recipe(config=tiny_config(score_head=True), stages=TWO_STAGES, validation={"every": 1})
    seen = []

    def validate(state, config):
        seen.append({name: value.clone() for name, value in state.items()})
        return [(0.5, 0.5)]

    train(tiny_job(recipe, tmp_path, validate=validate), tiny_network(recipe))
    best = read_weights(tmp_path / "best.safetensors")[1]
    records = [r for r in read_metrics(tmp_path / "metrics.jsonl") if r["kind"] == "validation"]
    first_of_score = [record["stage"] for record in records].index("score")
    assert records[first_of_score]["best"]
    assert same_tensors(best, seen[first_of_score])


def test_averaged_weights_are_validated_and_saved_and_change_nothing_else(tmp_path):
    seen = {}
    for decay in (0.0, 0.9):
        out = tmp_path / str(decay)
        optim = OptimConfig(lr=1e-2, ema_decay=decay)
        recipe = tiny_recipe(stages={"localise": stage(epochs=1, optim=optim)}, validation={"every": 1})

        def validate(state, config, decay=decay):
            seen[decay] = {name: value.clone() for name, value in state.items()}
            return [(0.5, 0.5)]

        train(tiny_job(recipe, out, validate=validate), tiny_network(recipe))
        assert same_tensors(seen[decay], read_weights(out / "weights.safetensors")[1])
    assert losses(tmp_path / "0.0") == losses(tmp_path / "0.9")
    assert not torch.equal(seen[0.0]["bottleneck.weight"], seen[0.9]["bottleneck.weight"])


def test_a_picture_of_the_crops_is_written(tmp_path):
    import cv2

    recipe = tiny_recipe(picture_every=2)
    train(tiny_job(recipe, tmp_path), tiny_network(recipe))
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["epoch-0001.jpg"]
    assert cv2.imread(str(tmp_path / "pictures" / "epoch-0001.jpg")).shape == (64, 4 * (32 + 64 + 8), 3)


def test_a_picture_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    (tmp_path / "pictures").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"a picture of the crops must be written, .*a\.jpg could not be"):
        write_picture(tmp_path / "pictures" / "a.jpg", np.zeros((4, 4, 3), np.uint8))


def test_micro_batches_that_cannot_be_shared_evenly_are_refused(tmp_path):
    recipe = tiny_recipe()
    with pytest.raises(ConfigError, match=r"2 micro-batches must be a multiple of the 3 processes"):
        train(tiny_job(recipe, tmp_path, processes=Processes(0, 3)), tiny_network(recipe))


def test_too_many_unreadable_frames_stop_the_run(tmp_path):
    from tests.memory import MemoryCollection, moving_video

    from starktrack.data.samples.drawing import Mixture

    broken = MemoryCollection([moving_video(1, broken=range(0, 30, 2)), moving_video(2)])
    recipe = tiny_recipe(stages={"localise": stage(epochs=30)}, max_corrupt=0.02)
    job = tiny_job(recipe, tmp_path, mixture=Mixture((broken,), (1.0,)))
    with pytest.raises(TrainingError, match=r"at most 2.0% of the samples may be unreadable"):
        train(job, tiny_network(recipe))
    assert sum(r["skipped"] for r in read_metrics(tmp_path / "metrics.jsonl")) > 15


def test_a_nan_loss_saves_and_names_its_batch(tmp_path):
    from safetensors import safe_open
    from safetensors.torch import load_file

    recipe = tiny_recipe()
    batches_of = tiny_job(recipe, tmp_path).open_batches
    poisoned = []

    def open_batches(stage_config):
        batches = batches_of(stage_config)

        def poisoning(epoch, step):
            for number, batch in enumerate(batches(epoch, step)):
                if (epoch, number) == (1, 3):
                    poisoned.append(batch)
                    batch = replace(batch, search=batch.search * float("nan"))
                yield batch

        return poisoning

    network = tiny_network(recipe)
    with pytest.raises(TrainingError, match=r"in epoch 1, step 1, samples 12 to 15 \(video-\d+, "):
        train(tiny_job(recipe, tmp_path, open_batches=open_batches), network)
    saved = load_file(tmp_path / "bad-batch-epoch-1-sample-12.safetensors")
    assert torch.isnan(saved["search"]).all()
    with safe_open(tmp_path / "bad-batch-epoch-1-sample-12.safetensors", framework="pt") as file:
        named = file.metadata()["names"].split(", ")
    assert named == list(poisoned[0].names) and len(named) == 4
    assert torch.equal(saved["box_cxcywh"], poisoned[0].box_cxcywh)
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters()), "no step was taken"


def step_of(num_skipped):
    return {"skipped": float(num_skipped), "gradient_norm": 1.0}


def overflow(job):
    """Return what a step says whose losses are finite and whose gradient is not."""
    batches = job.open_batches(job.recipe.stages["localise"])
    own = list(islice(batches(0, 0), job.micro_batches_per_step))
    means = {"loss": 1.0, "gradient_norm": float("nan"), "skipped": 0.0}
    losses = [torch.tensor(1.0)] * len(own)
    return means, StepResult(losses, {"loss": losses[0]}, torch.tensor(float("nan"))), own


def test_a_gradient_that_is_not_finite_saves_all_micro_batches_and_accuses_none(tmp_path):
    job = tiny_job(tiny_recipe(), tmp_path)
    message = r"one of this process's samples 0 to 3 \(.*\) in .*; samples 4 to 7 \("
    with pytest.raises(TrainingError, match=message):
        check_finite(job, Progress(), *overflow(job))
    assert sorted(path.name for path in tmp_path.glob("bad-batch*")) == [
        "bad-batch-epoch-0-sample-0.safetensors",
        "bad-batch-epoch-0-sample-4.safetensors",
    ]


def test_half_precision_may_leave_out_49_steps_in_a_row_and_not_50(tmp_path):
    job, progress = tiny_job(tiny_recipe(precision="fp16"), tmp_path), Progress()
    means, result, own = overflow(job)
    for _ in range(49):
        check_finite(job, progress, means, result, own)
        progress.count_step(means, 10)
    with pytest.raises(TrainingError, match=r"gradient must be finite, got 1\.0 and nan"):
        check_finite(job, progress, means, result, own)
    progress.count_step(step_of(0) | {"loss": 1.0}, 10)
    check_finite(job, progress, means, result, own)


def test_a_disk_that_goes_bad_late_is_noticed_as_soon_as_one_at_the_start(tmp_path):
    recipe = tiny_recipe(batch_size=100, micro_batch=100, samples_per_epoch=100)
    job = tiny_job(recipe, tmp_path)
    progress, recent = Progress(), recent_steps(recipe.run)
    for _ in range(20_000):
        progress.count_step(step_of(0), recent)
    for _ in range(5):
        progress.count_step(step_of(20), recent)
    check_skipped(job, progress)
    progress.count_step(step_of(20), recent)
    with pytest.raises(TrainingError, match=r"at most 1.0%.*got 120 of the latest 10000"):
        check_skipped(job, progress)
    assert progress.num_skipped == 120 and len(progress.recent_skipped) == 100


def test_a_few_unreadable_samples_at_the_start_are_no_rate(tmp_path):
    job, progress = tiny_job(tiny_recipe(), tmp_path), Progress()
    progress.count_step(step_of(8), 1250)
    check_skipped(job, progress)
