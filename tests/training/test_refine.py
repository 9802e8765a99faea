from dataclasses import replace

import pytest
import torch
from tests.data.samples.test_outline import MODEL, masked_video
from tests.memory import MemoryCollection, moving_video
from tests.training.tiny import losses, same_tensors, stage, tiny_job

from starktrack.config.data import JitterConfig
from starktrack.config.schema import Config
from starktrack.config.training import DatasetConfig, LossConfig, Recipe, RunConfig
from starktrack.data.samples.batch import Outlines
from starktrack.data.samples.drawing import Mixture
from starktrack.kinds import load_network
from starktrack.models.refine import RefineOutput, build_refiner
from starktrack.training.loop import train
from starktrack.training.refine_loss import cell_shares, mask_cross_entropy, mask_overlap, refine_loss


def outlines(pixels, known):
    return Outlines(torch.full((len(known), 4), 0.5), pixels, torch.tensor(known))


def test_a_cell_counts_by_the_share_that_is_covered():
    pixels = torch.zeros(1, 4, 4, dtype=torch.bool)
    pixels[0, :2, :1] = True
    assert cell_shares(pixels, 2).tolist() == [[[0.5, 0.0], [0.0, 0.0]]]


def test_the_outlines_loss_is_the_mean_over_cells_of_crops_that_have_one():
    pixels = torch.zeros(2, 2, 2, dtype=torch.bool)
    pixels[0, 0, 0] = True
    logit = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[9.0, 9.0], [9.0, 9.0]]])
    # log 2 everywhere in the first; the second is not known.
    assert mask_cross_entropy(logit, outlines(pixels, [True, False])).item() == pytest.approx(0.693147)
    assert mask_cross_entropy(logit, outlines(pixels, [False, False])).item() == 0


def test_the_overlap_of_outlines_is_shared_over_joint_cells():
    pixels = torch.zeros(1, 2, 2, dtype=torch.bool)
    pixels[0, 0] = True
    found = torch.tensor([[[True, False], [True, True]]])
    assert mask_overlap(found, outlines(pixels, [True])).item() == pytest.approx(1 / 4)


def test_the_total_is_the_weighted_sum_of_the_terms():
    torch.manual_seed(0)
    output = RefineOutput(torch.tensor([[0.5, 0.5, 0.5, 0.5]]), torch.randn(1, 2, 16), torch.randn(1, 2, 2))
    true = torch.tensor([[0.5, 0.5, 0.5, 0.25]])
    found = refine_loss(
        output,
        true,
        outlines(torch.ones(1, 4, 4, dtype=torch.bool), [True]),
        LossConfig(corner=0.5, mask=3.0),
    )
    # The box is half covered: both overlaps are 1/2; two edges are 1/8 off, two are right.
    assert found.terms["giou"].item() == pytest.approx(0.5)
    assert found.terms["l1"].item() == pytest.approx(1 / 16)
    assert found.terms["overlap"].item() == pytest.approx(0.5)
    expected = 2 * 0.5 + 5 / 16 + 0.5 * found.terms["corner"] + 3 * found.terms["mask"]
    assert found.total.item() == pytest.approx(expected.item())


def recipe(**run):
    refine = stage(loss=LossConfig(corner=0.5, mask=5.0), frozen_stride=16)
    refine = replace(refine, data=replace(refine.data, jitter=JitterConfig(search_centre=0.5)))
    values = {"batch_size": 8, "micro_batch": 4, "samples_per_epoch": 24, "log_every": 1, "picture_every": 1}
    return Recipe(
        config=Config(name="small", model=MODEL),
        datasets={"memory": DatasetConfig(source="memory")},
        stages={"refine": refine},
        run=RunConfig(**values, imagenet=False, **run),
    )


def run(out, *, resume=False, **changes):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    plan = recipe(**changes)
    mixture = Mixture((MemoryCollection([masked_video(0), masked_video(1), moving_video(2)]),), (1.0,))
    return train(tiny_job(plan, out, mixture=mixture), build_refiner(MODEL), resume=resume)


def test_a_refiner_trains_in_the_same_loop_and_its_weights_load(tmp_path):
    assert run(tmp_path) == 0
    assert len(losses(tmp_path)) == 6
    assert losses(tmp_path)[-1] < losses(tmp_path)[0]
    config, network = load_network(tmp_path / "weights.safetensors")
    assert config.name == "small"
    assert network.bins == 3
    assert (tmp_path / "pictures" / "epoch-0001.jpg").stat().st_size > 1000


def test_a_resumed_run_equals_one_that_never_stopped(tmp_path):
    import shutil

    run(tmp_path / "straight", checkpoint_every=1, keep=10)
    shutil.copytree(tmp_path / "straight", tmp_path / "resumed")
    for path in sorted((tmp_path / "resumed" / "checkpoints").iterdir())[2:]:
        path.unlink()
    run(tmp_path / "resumed", checkpoint_every=1, keep=10, resume=True)
    first, second = (
        load_network(tmp_path / name / "weights.safetensors")[1] for name in ("straight", "resumed")
    )
    assert same_tensors(first.state_dict(), second.state_dict())
    assert losses(tmp_path / "straight") == losses(tmp_path / "resumed")
