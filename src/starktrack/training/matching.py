"""Matches several predictions with one true box, and computes the loss of their confidences.

Source: section 4.5, Using the Hungarian algorithm; costs and the weight of unmatched queries are those of DETR.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from starktrack.config.training import LossConfig
from starktrack.errors import MissingExtraError
from starktrack.geometry.boxes import cxcywh_to_xyxy, generalised_overlap
from starktrack.models.frameworks.hungarian import NUM_QUERIES, chosen_rows
from starktrack.models.stark import StarkOutput
from starktrack.training.losses import LossTerms

UNMATCHED_WEIGHT = 0.1
"""Weight of the confidence loss of an unmatched query: there are nine of them for each matched one."""


@torch.no_grad()
def matched(
    candidates: StarkOutput, true_cxcywh: Float[Tensor, "batch 4"], weights: LossConfig
) -> Int[Tensor, " batch"]:
    """Return the row of the query that the optimal assignment gives to each search region's target.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ModuleNotFoundError as error:
        raise MissingExtraError("scipy", "ablations", "framework hungarian") from error
    true = cxcywh_to_xyxy(true_cxcywh).clamp(0, 1).repeat_interleave(NUM_QUERIES, dim=0)
    predicted = cxcywh_to_xyxy(candidates.box_cxcywh.float())
    cost = (
        weights.l1 * (predicted - true).abs().mean(dim=1)
        + weights.giou * (1 - generalised_overlap(predicted, true))
        - candidates.scores.float().sigmoid()
    )
    tables = cost.unflatten(0, (-1, NUM_QUERIES, 1)).cpu().numpy()
    queries = [int(linear_sum_assignment(table)[0][0]) for table in tables]
    return chosen_rows(torch.tensor(queries, device=cost.device), NUM_QUERIES)


def confidence_loss(
    confidence_logit: Float[Tensor, " rows"],
    chosen: Int[Tensor, " batch"],
    label: Float[Tensor, " batch"],
) -> LossTerms:
    """Return the binary cross-entropy of all confidences; the label is 1 for the matched query of a visible target.

    The accuracy is that of the most confident query of each search region.
    """
    wanted = torch.zeros_like(confidence_logit, dtype=torch.float32)
    wanted[chosen] = label.float()
    weight = torch.where(wanted > 0, 1.0, UNMATCHED_WEIGHT)
    each = functional.binary_cross_entropy_with_logits(confidence_logit.float(), wanted, reduction="none")
    total = (each * weight).sum() / weight.sum()
    highest = confidence_logit.unflatten(0, (-1, NUM_QUERIES)).amax(dim=1)
    accuracy = ((highest > 0) == (label > 0.5)).float().mean()
    return LossTerms(total, {"bce": total.detach(), "accuracy": accuracy})
