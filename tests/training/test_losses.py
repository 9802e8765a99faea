from pathlib import Path

import numpy as np
import pytest
import torch

from starktrack.config.training import DistillationConfig, LossConfig
from starktrack.geometry.boxes import cxcywh_to_xyxy, xywh_to_cxcywh
from starktrack.models.stark import StarkOutput
from starktrack.training.distill import add_distillation, corner_divergence
from starktrack.training.losses import (
    box_loss,
    corner_cross_entropy,
    corner_target,
    score_loss,
)

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "golden_losses.npz"


def output(box_cxcywh, corner_logits=None):
    return StarkOutput(box_cxcywh, None, corner_logits, None, torch.zeros(len(box_cxcywh), 8))


def golden_case(name):
    data = np.load(GOLDEN)
    predicted = torch.from_numpy(data[f"{name}/pred_cxcywh"]).requires_grad_()
    true = xywh_to_cxcywh(torch.from_numpy(data[f"{name}/gt_xywh"]))
    return data, predicted, box_loss(output(predicted), true, LossConfig(), 0.0)


@pytest.mark.parametrize("name", ["loss_a", "loss_b", "loss_c"])
def test_box_loss_and_its_gradient_are_those_of_the_authors(name):
    data, predicted, loss = golden_case(name)
    total, giou, l1, overlap = data[f"{name}/vals_total_giou_l1_iou"]
    assert loss.total.item() == pytest.approx(total, abs=1e-5)
    assert loss.terms["giou"].item() == pytest.approx(giou, abs=1e-5)
    assert loss.terms["l1"].item() == pytest.approx(l1, abs=1e-5)
    assert loss.terms["overlap"].item() == pytest.approx(overlap, abs=1e-5)
    loss.total.backward()
    # Gradients reach 5 where boxes are thin; float32 rounding of 1 / area is relative to that.
    np.testing.assert_allclose(predicted.grad.numpy(), data[f"{name}/grad"], atol=2e-5, rtol=2e-4)


def test_an_inverted_box_keeps_the_generalised_overlap_of_its_batch():
    data, predicted, loss = golden_case("loss_negsize")
    total, giou, l1, _ = data["loss_negsize/vals_total_giou_l1_iou"]
    assert giou == 0 and total == pytest.approx(5 * l1), (
        "the authors' code drops the term for the whole batch"
    )
    assert loss.terms["l1"].item() == pytest.approx(l1, abs=1e-5)
    assert loss.terms["giou"].item() > 0.5
    loss.total.backward()
    inverted = (predicted[:, 2:] < 0).any(dim=1)
    assert inverted.any() and (predicted.grad[inverted].abs().sum(dim=1) > 0).all()


def test_true_boxes_are_clamped_to_the_crop():
    predicted = torch.tensor([[0.5, 0.5, 1.0, 1.0]])
    beyond = torch.tensor([[0.5, 0.5, 3.0, 3.0]])
    assert box_loss(output(predicted), beyond, LossConfig(), 0.0).total.item() == pytest.approx(0, abs=1e-6)


def test_box_loss_of_two_halves_by_hand():
    left, whole = torch.tensor([[0.25, 0.5, 0.5, 1.0]]), torch.tensor([[0.5, 0.5, 1.0, 1.0]])
    loss = box_loss(output(left), whole, LossConfig(), 0.0)
    # Overlap 1/2, the hull is the whole, one of four edges is off by 1/2.
    assert loss.total.item() == pytest.approx(2 * 0.5 + 5 * 0.125)


def test_score_loss_is_that_of_the_authors():
    data = np.load(GOLDEN)
    loss = score_loss(torch.from_numpy(data["bce/logits"]), torch.from_numpy(data["bce/labels"]))
    assert loss.total.item() == pytest.approx(float(data["bce/loss"]), abs=1e-6)


def test_score_accuracy_counts_the_right_side_of_one_half():
    loss = score_loss(torch.tensor([2.0, -1.0, 3.0, -0.5]), torch.tensor([1.0, 0.0, 0.0, 0.0]))
    assert loss.terms["accuracy"].item() == 0.75


@pytest.mark.parametrize("cell_offset", [0.0, 0.5])
def test_the_expectation_of_a_corner_target_is_the_corner(cell_offset):
    boxes = torch.tensor([[0.21, 0.33, 0.64, 0.87], [0.125, 0.5, 0.5, 0.75]])
    target = corner_target(boxes, 8, cell_offset)
    place = (torch.arange(8) + cell_offset) / 8
    x = (target * place.repeat(8)).sum(-1)
    y = (target * place.repeat_interleave(8)).sum(-1)
    torch.testing.assert_close(target.sum(-1), torch.ones(2, 2))
    torch.testing.assert_close(torch.stack([x, y], -1).flatten(1), boxes)


def test_a_corner_beyond_the_last_cell_lies_on_it():
    target = corner_target(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), 4, 0.0)
    assert target[0, 1].argmax().item() == 15 and target[0, 1].max().item() == 1


def test_corner_cross_entropy_of_a_flat_map_is_the_logarithm_of_its_cells():
    loss = corner_cross_entropy(torch.zeros(3, 2, 64), torch.rand(3, 4), 0.5)
    assert loss.item() == pytest.approx(np.log(64), abs=1e-5)


def test_the_corner_term_is_added_with_its_weight():
    boxes, maps = torch.tensor([[0.5, 0.5, 0.2, 0.2]]), torch.zeros(1, 2, 64)
    without = box_loss(output(boxes, maps), boxes, LossConfig(), 0.5).total
    with_term = box_loss(output(boxes, maps), boxes, LossConfig(corner=0.25), 0.5).total
    assert (with_term - without).item() == pytest.approx(0.25 * np.log(64), abs=1e-5)


def test_divergence_of_a_certain_teacher_from_a_flat_student_by_hand():
    teacher = torch.full((1, 2, 4), -1000.0)
    teacher[:, :, 1] = 0
    assert corner_divergence(torch.zeros(1, 2, 4), teacher).item() == pytest.approx(np.log(4), abs=1e-6)
    assert corner_divergence(teacher, teacher).item() == pytest.approx(0, abs=1e-6)


def test_distillation_adds_its_weighted_terms():
    boxes, maps = torch.tensor([[0.5, 0.5, 0.2, 0.2]]), torch.zeros(1, 2, 4)
    teacher_maps = torch.full((1, 2, 4), -1000.0)
    teacher_maps[:, :, 1] = 0
    moved = boxes + torch.tensor([0.1, 0.0, 0.0, 0.0])
    plain = box_loss(output(boxes, maps), boxes, LossConfig(), 0.0)
    weights = DistillationConfig(teacher="t", kl=5, l1=2)
    loss = add_distillation(plain, output(boxes, maps), output(moved, teacher_maps), weights)
    # Two of four edges of the teacher's box are off by 0.1.
    assert (loss.total - plain.total).item() == pytest.approx(5 * np.log(4) + 2 * 0.05, abs=1e-4)
    assert set(loss.terms) >= {"giou", "l1", "distill_kl", "distill_l1"}
    assert loss.terms["loss"].item() == pytest.approx(loss.total.item())


def test_golden_boxes_are_not_all_inside_the_crop():
    true = cxcywh_to_xyxy(xywh_to_cxcywh(torch.from_numpy(np.load(GOLDEN)["loss_c/gt_xywh"])))
    assert true.max() <= 1.5
