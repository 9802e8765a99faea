"""The loss of a refiner: box terms as for trackers, and binary cross-entropy of the outline."""

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from starktrack.config.training import LossConfig
from starktrack.data.samples.batch import Outlines
from starktrack.geometry.boxes import cxcywh_to_xyxy, generalised_overlap, overlap
from starktrack.models.refine import RefineOutput
from starktrack.training.losses import LossTerms, corner_cross_entropy


def refine_loss(
    output: RefineOutput, true_cxcywh: Float[Tensor, "batch 4"], outlines: Outlines, weights: LossConfig
) -> LossTerms:
    """Return the loss of a refiner.

    Crops without an annotated outline count for the box alone.

    Source: Alpha-Refine, section 3.3 (corners and mask trained together); generalised overlap and L1 as STARK's.
    """
    predicted = cxcywh_to_xyxy(output.box_cxcywh.float())
    true = cxcywh_to_xyxy(true_cxcywh).clamp(0, 1)
    terms = {
        "giou": (1 - generalised_overlap(predicted, true)).mean(),
        "l1": (predicted - true).abs().mean(),
        "corner": corner_cross_entropy(output.corner_logits, true, 0.5),
        "mask": mask_cross_entropy(output.mask_logit, outlines),
    }
    total = predicted.new_zeros(())
    for name, value in terms.items():
        total = total + getattr(weights, name) * value
    measures = {
        "overlap": overlap(predicted.detach(), true).mean(),
        "mask_overlap": mask_overlap(output.mask_logit > 0, outlines),
    }
    readable = {"loss": total, **terms, **measures}
    return LossTerms(total, {name: value.detach() for name, value in readable.items()})


def mask_cross_entropy(
    mask_logit: Float[Tensor, "batch rows columns"], outlines: Outlines
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy over the cells of crops with a known outline, 0 where there is none.

    The target of a cell is the share of it that the outline covers.
    """
    target = cell_shares(outlines.pixels, mask_logit.shape[1])
    each = functional.binary_cross_entropy_with_logits(mask_logit.float(), target, reduction="none")
    return (each.mean(dim=(1, 2)) * outlines.known).sum() / outlines.known.sum().clamp(min=1)


def mask_overlap(mask: Bool[Tensor, "batch rows columns"], outlines: Outlines) -> Float[Tensor, ""]:
    """Return the mean intersection over union of cells in crops with a known outline, 0 where there is none."""
    true = cell_shares(outlines.pixels, mask.shape[1]) > 0.5
    shared, joint = (mask & true).sum(dim=(1, 2)), (mask | true).sum(dim=(1, 2))
    return (shared / joint.clamp(min=1) * outlines.known).sum() / outlines.known.sum().clamp(min=1)


def cell_shares(
    pixels: Bool[Tensor, "batch side side"], cells: int
) -> Float[Tensor, "batch {cells} {cells}"]:
    """Return how much of each cell the outline covers."""
    return functional.avg_pool2d(pixels.float()[:, None], pixels.shape[1] // cells)[:, 0]
