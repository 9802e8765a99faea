"""Trackers: a search region and templates in, the target's box and a score out."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starktrack.config.schema import Config, ModelConfig
from starktrack.kinds.kind import Graph, Kind
from starktrack.tracking.protocol import Prediction

if TYPE_CHECKING:
    from torch import Tensor

    from starktrack.config.training import Recipe, StageConfig
    from starktrack.data.samples.batch import Batch
    from starktrack.models.features import Features
    from starktrack.models.stark import Stark, StarkOutput
    from starktrack.training.losses import LossTerms

UNREACHABLE_SCORE = 1.0
"""No score is above it, so a template is never replaced."""


class TrackerKind(Kind):
    """The record of `ModelConfig`: networks of `models.stark`."""

    model = ModelConfig
    graph = Graph(
        template_inputs={"template_crops": "crops", "template_masks": "masks"},
        template_outputs=("template_tokens", "template_padding_mask", "template_position"),
        search_inputs={
            "search_crops": "crops",
            "search_masks": "masks",
            "tokens": "template_tokens",
            "padding_mask": "template_padding_mask",
            "position": "template_position",
        },
        outputs=("box_cxcywh", "score"),
    )
    probability_name = "scores"
    heads = ("box_head", "score_head")
    table_title = "MACs of a frame, in full; sides in pixels; package: comes with starktrack"

    def table_columns(self, model: ModelConfig, *, has_weights: bool) -> dict[str, str]:
        """Return the side of the search region, number and side of the templates, and whether there is a score."""
        return {
            "search": str(model.search.side),
            "templates": f"{model.num_templates} x {model.template.side}",
            "score": "yes" if model.score_head else "no",
        }

    def outputs(self, model: ModelConfig) -> tuple[str, ...]:
        """Return the outputs of the graph, the score only where there is a score head."""
        return self.graph.outputs if model.score_head else self.graph.outputs[:1]

    def answer(self, boxes: np.ndarray, score: np.ndarray | None = None) -> Prediction:
        """Return boxes and scores in double precision."""
        return Prediction(boxes.astype(np.float64), None if score is None else score.astype(np.float64))

    def probabilities(self, answer: Prediction) -> np.ndarray | None:
        """Return the scores."""
        return answer.scores

    def build(
        self,
        model: ModelConfig,
        *,
        imagenet: bool = False,
        backbone_weights: Path | None = None,
        auxiliary_head: bool = False,
    ) -> "Stark":
        """Return the network in train mode."""
        from starktrack.models import build

        return build.build_network(
            model, imagenet=imagenet, backbone_weights=backbone_weights, auxiliary_head=auxiliary_head
        )

    def forward(self, network: "Stark", batch: "Batch") -> "StarkOutput":
        """Return the network's output for a training batch."""
        return network(batch.templates, batch.template_masks, batch.search, batch.search_mask)

    def loss(
        self,
        network: "Stark",
        batch: "Batch",
        recipe: "Recipe",
        stage: "StageConfig",
        teacher: "Stark | None" = None,
    ) -> "LossTerms":
        """Return the loss of the boxes, of the scores, or of both; only that of boxes can have a teacher."""
        import torch

        from starktrack.training.distill import add_distillation
        from starktrack.training.joint import joint_loss
        from starktrack.training.losses import box_loss, score_loss

        output = self.forward(network, batch)
        if stage.trains == "score":
            return score_loss(output.scores, batch.label)
        cell_offset = recipe.config.model.box_head.cell_offset
        if stage.trains == "joint":
            return joint_loss(output, batch.box_cxcywh, batch.label, stage.loss, cell_offset, batch.others)
        loss = box_loss(output, batch.box_cxcywh, stage.loss, cell_offset, batch.others)
        if teacher is None:
            return loss
        with torch.no_grad():
            taught = self.forward(teacher, batch)
        return add_distillation(loss, output, taught, recipe.distillation)

    def trained_config(self, config: Config, trained: Collection[str]) -> Config:
        """Return the configuration to store with weights.

        Until a stage trains the score head its score is noise, which must not decide when a template is replaced.
        """
        if not config.model.score_head or any(each != "box" for each in trained):
            return config
        return replace(config, tracking=replace(config.tracking, update_score=UNREACHABLE_SCORE))

    def embed(
        self, network: "Stark", crops: "Tensor", masks: "Tensor | None", boxes_cxcywh: "Tensor | None"
    ) -> "Features":
        """Return the tokens of template crops."""
        return network.embed_template(crops, masks)

    def locate(
        self, network: "Stark", kept: "Features", crops: "Tensor", masks: "Tensor | None"
    ) -> "StarkOutput":
        """Return the network's output for search crops."""
        return network.locate(kept, network.embed_search(crops, masks))

    def values(self, output: "StarkOutput") -> "tuple[Tensor, ...]":
        """Return boxes, and scores where there are any."""
        score = () if output.score_logit is None else (output.score_logit.sigmoid(),)
        return output.box_cxcywh, *score

    def tensors(self, kept: "Features") -> "tuple[Tensor, ...]":
        """Return tokens, padding mask and position."""
        # `Graph.template_inputs` has masks, so that the exported half always has one.
        assert kept.padding_mask is not None
        return kept.tokens, kept.padding_mask, kept.position

    def kept(self, *tensors: "Tensor") -> "Features":
        """Return the tokens as the network takes them."""
        from starktrack.models.features import Features

        return Features(*tensors)

    def rows(self, kept: "Features") -> "list[Features]":
        """Return the tokens of each template."""
        return [kept.row(index) for index in range(len(kept.tokens))]

    def stack(self, templates: "Sequence[Sequence[Features]]") -> "Features":
        """Return the tokens of each target's templates, one behind the other."""
        from starktrack.models.features import Features

        return Features.stack([Features.concatenate(each) for each in templates])
