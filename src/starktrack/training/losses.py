"""The loss as named terms: generalised overlap and L1 for boxes, cross-entropy for corners and scores."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from starktrack.config.training import LossConfig
from starktrack.geometry.boxes import cxcywh_to_xyxy, generalised_overlap, overlap
from starktrack.models.stark import StarkOutput
from starktrack.training.centre_loss import centre_terms


@dataclass(frozen=True)
class LossTerms:
    """A loss and its terms.

    Attributes:
        total: The weighted sum, to be differentiated.
        terms: Every term by name, unweighted and detached, and the mean overlap or accuracy for the log.
    """

    total: Float[Tensor, ""]
    terms: Mapping[str, Float[Tensor, ""]]


def box_loss(
    output: StarkOutput,
    true_cxcywh: Float[Tensor, "batch 4"],
    weights: LossConfig,
    cell_offset: float,
    others_cxcywh: Float[Tensor, "batch num_others 4"] | None = None,
) -> LossTerms:
    """Return the loss of stage 1.

    Convention: L1 is the mean over the four edges; true boxes are clamped to the crop. An inverted box keeps
    a defined generalised overlap that pulls its corners apart; the authors' code drops the term for the
    whole batch instead.

    Args:
        output: The network's output.
        true_cxcywh: Crop units.
        weights: Weights of the terms.
        cell_offset: Where in its cell a corner lies, see `BoxHeadConfig`.
        others_cxcywh: Boxes of other targets, as in `Batch.others`.

    Source: section 3.1 equation 1.
    """
    predicted = cxcywh_to_xyxy(output.box_cxcywh.float())
    true = cxcywh_to_xyxy(true_cxcywh).clamp(0, 1)
    terms, total = {}, predicted.new_zeros(())
    if output.corner_logits is not None or output.centre is None:
        terms, total = _box_terms(predicted, true, weights)
    if weights.corner:
        assert output.corner_logits is not None, "`Config` refuses a corner loss without corner maps"
        terms["corner"] = corner_cross_entropy(output.corner_logits, true, cell_offset)
        total = total + weights.corner * terms["corner"]
    if weights.centre:
        assert output.centre is not None, "a recipe with this loss has a centre head or an auxiliary one"
        heat, at_centre = centre_terms(output.centre, true, others_cxcywh, weights.others)
        there, of_box = _box_terms(at_centre, true, weights)
        terms |= {"heat": heat, "centre_giou": there["giou"], "centre_l1": there["l1"]}
        total = total + weights.centre * (heat + of_box)
    return _named(total, terms, overlap=overlap(predicted.detach(), true).mean())


def _box_terms(predicted: Tensor, true: Tensor, weights: LossConfig) -> tuple[dict[str, Tensor], Tensor]:
    terms = {"giou": (1 - generalised_overlap(predicted, true)).mean(), "l1": (predicted - true).abs().mean()}
    return terms, weights.giou * terms["giou"] + weights.l1 * terms["l1"]


def score_loss(score_logit: Float[Tensor, " batch"], label: Float[Tensor, " batch"]) -> LossTerms:
    """Return the loss of stage 2: binary cross-entropy.

    Source: section 3.2 equation 3.
    """
    total = functional.binary_cross_entropy_with_logits(score_logit.float(), label)
    correct = ((score_logit > 0) == (label > 0.5)).float().mean()
    return _named(total, {"bce": total}, accuracy=correct)


def corner_cross_entropy(
    corner_logits: Float[Tensor, "batch 2 cells"], true_xyxy: Float[Tensor, "batch 4"], cell_offset: float
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of both corner maps against the true corners."""
    log_probability = corner_logits.float().log_softmax(dim=-1)
    target = corner_target(true_xyxy, round(corner_logits.shape[-1] ** 0.5), cell_offset)
    return -(target * log_probability).sum(-1).mean()


def corner_target(
    true_xyxy: Float[Tensor, "batch 4"], cells: int, cell_offset: float
) -> Float[Tensor, "batch 2 cells_squared"]:
    """Return a distribution per corner whose expectation is the corner, spread over the four nearest cells.

    Corners beyond the outermost cell's point lie on it.
    """
    place = (true_xyxy.unflatten(-1, (2, 2)) * cells - cell_offset).clamp(0, cells - 1)
    index = torch.arange(cells, device=place.device)
    weight = (1 - (place[..., None] - index).abs()).clamp(min=0)
    return (weight[:, :, 1, :, None] * weight[:, :, 0, None, :]).flatten(2)


def _named(total: Tensor, terms: dict[str, Tensor], **measures: Tensor) -> LossTerms:
    readable = {"loss": total, **terms, **measures}
    return LossTerms(total, {name: value.detach() for name, value in readable.items()})
