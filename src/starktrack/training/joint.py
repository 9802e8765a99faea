"""Localisation and classification learned in one stage (Table 8: 62.5, STARK 66.4).

Source: section 4.5, Jointly learning of localization and classification. Search regions without the target count for
the score only.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from starktrack.config.training import LossConfig
from starktrack.models.frameworks.hungarian import CandidatesOutput
from starktrack.models.stark import StarkOutput
from starktrack.training.losses import LossTerms, box_loss, score_loss
from starktrack.training.matching import confidence_loss, matched


def joint_loss(
    output: StarkOutput,
    true_cxcywh: Float[Tensor, "batch 4"],
    label: Float[Tensor, " batch"],
    weights: LossConfig,
    cell_offset: float,
    others_cxcywh: Float[Tensor, "batch num_others 4"] | None = None,
) -> LossTerms:
    """Return the sum of both stages' losses, with box terms over the samples that show the target.

    For a network with several candidates, the box terms are those of the matched candidates.
    """
    if isinstance(output, CandidatesOutput):
        chosen = matched(output.candidates, true_cxcywh, weights)
        of_score = confidence_loss(output.candidates.scores, chosen, label)
        output = output.candidates.rows(chosen)
    else:
        of_score = score_loss(output.scores, label)
    of_box = _box_loss_where_there(output, true_cxcywh, label, weights, cell_offset, others_cxcywh)
    terms = {**of_box.terms, **of_score.terms}
    total = of_box.total + of_score.total
    return LossTerms(total, {**terms, "loss": total.detach()})


def _box_loss_where_there(
    output: StarkOutput,
    true_cxcywh: Tensor,
    label: Tensor,
    weights: LossConfig,
    cell_offset: float,
    others_cxcywh: Tensor | None,
) -> LossTerms:
    there = label > 0.5
    if there.any():
        others = None if others_cxcywh is None else others_cxcywh[there]
        return box_loss(output.rows(there), true_cxcywh[there], weights, cell_offset, others)
    # No target in this batch: a loss of 0 that still gives every parameter a gradient, which other processes await.
    loss = box_loss(output, true_cxcywh, weights, cell_offset)
    return replace(
        loss,
        total=0 * loss.total,
        terms={name: torch.zeros_like(term) for name, term in loss.terms.items()},
    )
