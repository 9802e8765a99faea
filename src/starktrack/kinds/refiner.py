"""Refiners: the region around a tracker's box in, the target's exact box and its outline out."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starktrack.config.refiner import RefineModel
from starktrack.kinds.kind import Graph, Kind
from starktrack.tracking.protocol import Refinement

if TYPE_CHECKING:
    from torch import Tensor, nn

    from starktrack.config.training import Recipe, StageConfig
    from starktrack.data.samples.batch import Batch, Outlines
    from starktrack.models.refine import RefineOutput, Refiner
    from starktrack.training.losses import LossTerms


def _outlines(batch: "Batch") -> "Outlines":
    assert batch.outlines is not None, "samples of refiners have outlines"
    return batch.outlines


class RefinerKind(Kind):
    """The record of `RefineModel`: networks of `models.refine`."""

    model = RefineModel
    graph = Graph(
        template_inputs={"template_crops": "crops", "template_boxes": "boxes"},
        template_outputs=("template_features",),
        search_inputs={"templates": "template_features", "crops": "crops"},
        outputs=("box_cxcywh", "mask_logit"),
    )
    probability_name = "probabilities of the outline"
    heads = ("corners", "outline")
    table_title = "Refiners: outlines and refined boxes behind any tracker (--refine, --masks)"

    def table_columns(self, model: RefineModel, *, has_weights: bool) -> dict[str, str]:
        """Return the side of the crop, and what is needed before the refiner can be used."""
        return {"crop": str(model.crop.side), "needs": "nothing" if has_weights else "PyTorch, training"}

    def answer(self, boxes: np.ndarray, mask_logits: np.ndarray) -> Refinement:
        """Return boxes in double precision, and outlines."""
        return Refinement(boxes.astype(np.float64), mask_logits)

    def probabilities(self, answer: Refinement) -> np.ndarray:
        """Return how likely each cell is the target's."""
        return 1 / (1 + np.exp(-answer.mask_logits.astype(np.float64)))

    def build(
        self,
        model: RefineModel,
        *,
        imagenet: bool = False,
        backbone_weights: Path | None = None,
        auxiliary_head: bool = False,
    ) -> "Refiner":
        """Return the network in train mode; it has no auxiliary head."""
        from starktrack.models.refine import build_refiner

        return build_refiner(model, imagenet=imagenet, backbone_weights=backbone_weights)

    def forward(self, network: "Refiner", batch: "Batch") -> "RefineOutput":
        """Return the network's output for a training batch."""
        return network(batch.templates[:, 0], _outlines(batch).template_boxes, batch.search)

    def loss(
        self,
        network: "Refiner",
        batch: "Batch",
        recipe: "Recipe",
        stage: "StageConfig",
        teacher: "nn.Module | None" = None,
    ) -> "LossTerms":
        """Return the loss of boxes and outlines; refiners have no teacher."""
        from starktrack.training.refine_loss import refine_loss

        return refine_loss(self.forward(network, batch), batch.box_cxcywh, _outlines(batch), stage.loss)

    def embed(
        self, network: "Refiner", crops: "Tensor", masks: "Tensor | None", boxes_cxcywh: "Tensor | None"
    ) -> "Tensor":
        """Return the pooled features of the target in each template crop."""
        assert boxes_cxcywh is not None, "the graph of this kind takes boxes"
        return network.embed(crops, boxes_cxcywh)

    def locate(
        self, network: "Refiner", kept: "Tensor", crops: "Tensor", masks: "Tensor | None"
    ) -> "RefineOutput":
        """Return the network's output for crops around what a tracker found."""
        return network.refine(kept, crops)

    def values(self, output: "RefineOutput") -> "tuple[Tensor, ...]":
        """Return boxes and logits of the outlines."""
        return output.box_cxcywh, output.mask_logit
