"""Localisation and classification learned at once, in one stage (Table 8: 62.5 against 66.4).

Source: section 4.5, Jointly learning of localization and classification. Search regions without the target have no
box; they count for the score only.
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
    """Return the sum of both stages' losses, box terms over the samples that hold the target.

    Of a network with several candidates, those matched with the truth are judged.
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
    # Nothing to judge: 0, but for every parameter, since processes wait for each other's gradients.
    loss = box_loss(output, true_cxcywh, weights, cell_offset)
    return replace(
        loss,
        total=0 * loss.total,
        terms={name: torch.zeros_like(term) for name, term in loss.terms.items()},
    )
