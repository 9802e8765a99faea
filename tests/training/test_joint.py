"""Matching ten queries with one truth, and learning boxes and scores at once."""

import math

import pytest
import torch
from tests.training.tiny import stage, tiny_config, tiny_network, tiny_recipe

from starktrack.config.data import SamplingConfig
from starktrack.config.schema import BoxHeadConfig
from starktrack.config.training import LossConfig, StageConfig
from starktrack.data.samples.batch import Batch
from starktrack.errors import ConfigError
from starktrack.models.frameworks.hungarian import NUM_QUERIES, CandidatesOutput
from starktrack.models.stark import StarkOutput
from starktrack.training.distributed import ALONE
from starktrack.training.joint import joint_loss
from starktrack.training.losses import box_loss, score_loss
from starktrack.training.matching import UNMATCHED_WEIGHT, confidence_loss, matched
from starktrack.training.step import Trainer

WANTED = torch.tensor([[0.5, 0.5, 0.2, 0.2]])
AWAY = torch.tensor([[0.1, 0.1, 0.2, 0.2]])


def answer(boxes, logits):
    return StarkOutput(boxes, logits, None, None, torch.zeros(len(boxes), 8))


def candidates(*at, confident=()):
    """Return a row of ten boxes for each search region, away from the target but for query `at`."""
    boxes = AWAY.repeat(NUM_QUERIES * len(at), 1)
    logits = torch.full((NUM_QUERIES * len(at),), -2.0)
    for region, query in enumerate(at):
        boxes[region * NUM_QUERIES + query] = WANTED[0]
    for row in confident:
        logits[row] = 2.0
    return answer(boxes, logits)


def test_the_query_with_the_right_box_is_matched_in_each_search_region():
    assert matched(candidates(7, 2), WANTED.repeat(2, 1), LossConfig()).tolist() == [7, 12]


def test_of_equal_boxes_the_more_confident_one_is_matched():
    equal = answer(WANTED.repeat(NUM_QUERIES, 1), torch.arange(float(NUM_QUERIES)).flip(0))
    assert matched(equal, WANTED, LossConfig()).tolist() == [0]


def test_the_loss_weights_decide_between_overlap_and_distance():
    boxes = AWAY.repeat(NUM_QUERIES, 1)
    # True edges 0.4 to 0.6. The thin box touches no more but has closer edges than the large one.
    boxes[1], boxes[2] = torch.tensor([0.5, 0.5, 0.6, 0.6]), torch.tensor([0.65, 0.5, 0.1, 0.2])
    both = answer(boxes, torch.zeros(NUM_QUERIES))
    assert matched(both, WANTED, LossConfig(giou=1, l1=0)).tolist() == [1]
    assert matched(both, WANTED, LossConfig(giou=0, l1=1)).tolist() == [2]


def test_confidences_are_one_for_the_matched_query_and_nought_for_the_others():
    logits = torch.zeros(NUM_QUERIES)
    flat = confidence_loss(logits, torch.tensor([3]), torch.ones(1))
    assert flat.total.item() == pytest.approx(math.log(2))
    # Raising the matched one alone: weight 1 of 1 + 9 * 0.1.
    raised = logits.clone()
    raised[3] = 100.0
    share = 9 * UNMATCHED_WEIGHT / (1 + 9 * UNMATCHED_WEIGHT)
    assert confidence_loss(raised, torch.tensor([3]), torch.ones(1)).total.item() == pytest.approx(
        share * math.log(2), abs=1e-6
    )


def test_without_a_target_no_query_may_be_confident():
    loss = confidence_loss(torch.full((NUM_QUERIES,), -100.0), torch.tensor([3]), torch.zeros(1))
    assert loss.total.item() == pytest.approx(0, abs=1e-6) and loss.terms["accuracy"] == 1


def test_the_joint_loss_is_the_sum_of_both_stages():
    output = answer(AWAY, torch.tensor([0.3]))
    loss = joint_loss(output, WANTED, torch.ones(1), LossConfig(), 0.0)
    of_box, of_score = (
        box_loss(output, WANTED, LossConfig(), 0.0),
        score_loss(output.score_logit, torch.ones(1)),
    )
    assert loss.total.item() == pytest.approx(of_box.total.item() + of_score.total.item())
    assert loss.terms["loss"].item() == pytest.approx(loss.total.item())
    assert set(loss.terms) == {"loss", "giou", "l1", "overlap", "bce", "accuracy"}


def test_boxes_of_search_regions_without_a_target_do_not_count():
    both = answer(torch.cat([WANTED, AWAY]), torch.zeros(2))
    loss = joint_loss(both, WANTED.repeat(2, 1), torch.tensor([1.0, 0.0]), LossConfig(), 0.0)
    assert loss.total.item() == pytest.approx(math.log(2), abs=1e-5)
    assert loss.terms["overlap"].item() == pytest.approx(1, abs=1e-5)


def test_a_batch_without_any_target_learns_the_score_alone():
    boxes = AWAY.clone().requires_grad_()
    loss = joint_loss(answer(boxes, torch.zeros(1)), WANTED, torch.zeros(1), LossConfig(), 0.0)
    assert loss.total.item() == pytest.approx(math.log(2))
    assert set(loss.terms) == {"loss", "giou", "l1", "overlap", "bce", "accuracy"}
    loss.total.backward()
    assert (boxes.grad == 0).all(), "a gradient of nought, so that processes do not wait for it"


def test_the_matched_candidate_is_the_one_that_is_judged():
    all_ten = candidates(4, confident=(9,))
    best = all_ten.rows(torch.tensor([9]))
    output = CandidatesOutput(**vars(best), candidates=all_ten)
    loss = joint_loss(output, WANTED, torch.ones(1), LossConfig(), 0.0)
    assert loss.terms["overlap"].item() == pytest.approx(1, abs=1e-5)
    assert loss.terms["giou"].item() == pytest.approx(0, abs=1e-5)


def fixed_batch(model, size=4):
    generator = torch.Generator().manual_seed(3)
    templates = torch.randn(size, model.num_templates, 3, *[model.template.side] * 2, generator=generator)
    search = torch.randn(size, 3, *[model.search.side] * 2, generator=generator)
    masks = [torch.zeros_like(crops[..., 0, :, :], dtype=torch.bool) for crops in (templates, search)]
    boxes = torch.rand(size, 4, generator=generator) * 0.3 + 0.3
    return Batch(templates, masks[0], search, masks[1], boxes, torch.tensor([1.0, 0.0, 1.0, 1.0])[:size], ())


@pytest.mark.parametrize(
    ("framework", "trains"),
    [("stark", "joint"), ("hungarian", "joint"), ("template_query", "box"), ("query_update", "box")],
)
def test_every_framework_learns_a_batch(framework, trains):
    config = tiny_config(framework=framework, num_templates=2, score_head=True)
    learn = stage(epochs=1, trains=trains, frozen_stride=0)
    recipe = tiny_recipe(config=config, stages={"learn": learn})
    trainer = Trainer(tiny_network(recipe), recipe, learn, device=torch.device("cpu"), processes=ALONE)
    batch = fixed_batch(config.model)
    losses = [trainer.step([batch], [0]).losses[0].item() for _ in range(12)]
    assert losses[-1] < 0.8 * losses[0]


def test_a_guided_head_learns_boxes_and_score_at_once():
    head = BoxHeadConfig(kind="guided", width=32, cell_offset=0.5)
    config = tiny_config(num_templates=2, score_head=True, box_head=head)
    learn = stage(epochs=1, trains="joint", frozen_stride=0, loss=LossConfig(centre=0.5))
    recipe = tiny_recipe(config=config, stages={"learn": learn})
    trainer = Trainer(tiny_network(recipe), recipe, learn, device=torch.device("cpu"), processes=ALONE)
    steps = [trainer.step([fixed_batch(config.model)], [0]) for _ in range(12)]
    assert steps[-1].losses[0] < 0.8 * steps[0].losses[0]
    assert {"giou", "heat", "accuracy"} <= set(steps[0].terms)


def test_a_joint_stage_trains_the_score_head_too():
    config = tiny_config(num_templates=2, score_head=True)
    learn = stage(epochs=1, trains="joint", frozen_stride=0)
    recipe = tiny_recipe(config=config, stages={"learn": learn})
    network = tiny_network(recipe)
    Trainer(network, recipe, learn, device=torch.device("cpu"), processes=ALONE)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_joint_stage_may_have_search_regions_without_the_target_and_a_box_stage_may_not():
    sampling = {"negative_share": 0.5}
    assert stage(trains="joint", sampling=sampling).data.sampling == SamplingConfig(min_length=5, **sampling)
    with pytest.raises(ValueError, match="negative_share must be 0 where trains = 'box'"):
        stage(trains="box", sampling=sampling)


@pytest.mark.parametrize(
    ("model", "trains", "text"),
    [
        ({"framework": "hungarian", "score_head": True}, "box", "must be joint for framework hungarian"),
        ({}, "joint", "trains the score head, tiny has none"),
    ],
)
def test_a_stage_that_does_not_fit_the_network_is_refused(model, trains, text):
    with pytest.raises((ConfigError, ValueError), match=text):
        tiny_recipe(config=tiny_config(**model), stages={"learn": StageConfig(trains=trains)})


def test_without_scipy_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(Exception, match=r"starktrack\[ablations\]"):
        matched(candidates(1), WANTED, LossConfig())
