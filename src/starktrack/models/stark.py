"""STARK: takes crops of templates and of a search region, gives the target's box and score. No state.

Source: section 3 and Figures 2 to 4. Spatial and spatio-temporal networks differ only by the number of templates and
the score head.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from starktrack.geometry.boxes import xyxy_to_cxcywh
from starktrack.models.backbone import Backbone
from starktrack.models.centre_head import CentreHead
from starktrack.models.evidence_head import EvidenceScoreHead
from starktrack.models.features import Features
from starktrack.models.lightning import RepVggBackbone
from starktrack.models.mlp_head import ScoreHead
from starktrack.models.prediction import BoxHead, CentreMaps
from starktrack.models.transformer import Decoder, Encoder


@dataclass(frozen=True)
class StarkOutput:
    """The network's output for a batch of search regions.

    Attributes:
        box_cxcywh: Crop units [0, 1]; sizes may be negative early in training.
        score_logit: Before the sigmoid, or None without a score head.
        corner_logits: Top-left and bottom-right map before the softmax, or None without corner maps.
        centre: Maps of the centre head, which is (a part of) the box head or the auxiliary head; else None.
        embedding: Output of the decoder, or the mean search token without one.
    """

    box_cxcywh: Float[Tensor, "batch 4"]
    score_logit: Float[Tensor, " batch"] | None
    corner_logits: Float[Tensor, "batch 2 cells"] | None
    centre: CentreMaps | None
    embedding: Float[Tensor, "batch width"]

    @property
    def scores(self) -> Float[Tensor, " batch"]:
        """The logits of the scores of a network with a score head."""
        assert self.score_logit is not None, "the configuration has a score head"
        return self.score_logit

    def rows(self, index: Shaped[Tensor, " rows"]) -> "StarkOutput":
        """Return the output for some search regions, by index or by mask."""
        centre = self.centre
        if centre is not None:
            centre = CentreMaps(centre.heat_logits[index], centre.offset[index], centre.size[index])
        return StarkOutput(
            self.box_cxcywh[index],
            None if self.score_logit is None else self.score_logit[index],
            None if self.corner_logits is None else self.corner_logits[index],
            centre,
            self.embedding[index],
        )


AUXILIARY = "auxiliary_head."
"""Prefix of the names of weights that only training uses."""

ROLES = "role_embedding"
"""Name of the weights that tell the initial template from dynamic ones; zeros at first, which change nothing."""


class Stark(nn.Module):
    """The network. Built by `models.build.build_network`; its parts are what the configuration names."""

    def __init__(
        self,
        *,
        backbone: Backbone | RepVggBackbone,
        stride: int,
        width: int,
        template_position: nn.Module,
        search_position: nn.Module,
        encoder: Encoder,
        decoder: Decoder | None,
        box_head: BoxHead,
        auxiliary_head: CentreHead | None,
        score_head: ScoreHead | EvidenceScoreHead | None,
        num_templates: int = 1,
        role_embedding: bool = False,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.backbone = backbone
        # Section 3.1: one 1 x 1 convolution brings the backbone's channels to the width of the transformer.
        self.bottleneck = nn.Conv2d(backbone.num_channels, width, 1)
        self.template_position = template_position
        self.search_position = search_position
        self.encoder = encoder
        self.decoder = decoder
        self.box_head = box_head
        self.auxiliary_head = auxiliary_head
        self.score_head = score_head
        self.num_templates = num_templates
        # Zeros: a network that starts from weights without roles is the same network.
        self.role_embedding = nn.Parameter(torch.zeros(2, width)) if role_embedding else None

    def embed_template(
        self, crops: Float[Tensor, "batch 3 side side"], padding_mask: Bool[Tensor, "batch side side"] | None
    ) -> Features:
        """Return the tokens of normalised template crops."""
        return self._embed(crops, padding_mask, self.template_position)

    def embed_search(
        self, crops: Float[Tensor, "batch 3 side side"], padding_mask: Bool[Tensor, "batch side side"] | None
    ) -> Features:
        """Return the tokens of normalised search crops."""
        return self._embed(crops, padding_mask, self.search_position)

    def locate(self, templates: Features, search: Features) -> StarkOutput:
        """Return the target in the search region, given all its templates, initial first."""
        encoded, embedding = self.relate(templates, search)
        return self.read_out(templates, search, encoded, embedding)

    def relate(
        self, templates: Features, search: Features
    ) -> tuple[Float[Tensor, "batch cells width"], Float[Tensor, "batch width"]]:
        """Return the search tokens after the encoder, and the target's embedding."""
        num_search = search.tokens.shape[1]
        if self.role_embedding is not None:
            templates = templates.with_roles(self.role_embedding, self.num_templates)
        memory = self.encoder(Features.concatenate([templates, search]), num_search)
        encoded = memory.tokens[:, -num_search:]
        # Without a decoder (Table 7, row 2; STARK-Lightning) the mean token is the embedding.
        return encoded, self.decoder(memory)[:, 0] if self.decoder is not None else encoded.mean(dim=1)

    def read_out(
        self,
        templates: Features,
        search: Features,
        encoded: Float[Tensor, "batch cells width"],
        embedding: Float[Tensor, "batch width"],
    ) -> StarkOutput:
        """Return the outputs of the heads."""
        box = self.box_head.box(encoded, embedding)
        score_logit = None
        if self.score_head is not None:
            score_logit = self.score_head.logit(templates, search, encoded, embedding, box)
        centre = box.centre
        if self.auxiliary_head is not None:  # in training; its loss reads `StarkOutput.centre`
            centre = self.auxiliary_head.maps(encoded, embedding)
        return StarkOutput(xyxy_to_cxcywh(box.box_xyxy), score_logit, box.corner_logits, centre, embedding)

    def forward(
        self,
        templates: Float[Tensor, "batch templates 3 template_side template_side"],
        template_masks: Bool[Tensor, "batch templates template_side template_side"] | None,
        search: Float[Tensor, "batch 3 side side"],
        search_mask: Bool[Tensor, "batch side side"] | None,
    ) -> StarkOutput:
        """Return the target in normalised search crops; masks are True outside the image."""
        num_templates = templates.shape[1]
        masks = None if template_masks is None else template_masks.flatten(0, 1)
        each = self.embed_template(templates.flatten(0, 1), masks)
        # From [batch * templates, length] tokens to [batch, templates * length].
        joined = each.map(lambda values: values.unflatten(0, (-1, num_templates)).flatten(1, 2))
        return self.locate(joined, self.embed_search(search, search_mask))

    def _embed(self, crops: Tensor, padding_mask: Tensor | None, position: nn.Module) -> Features:
        grid = self.bottleneck(self.backbone(crops))
        if padding_mask is None:
            # Positions depend on the padding only, so one crop's positions serve all.
            cells = grid.new_zeros((1, *grid.shape[2:]), dtype=torch.bool)
            where = position(cells).expand(grid.shape[0], -1, -1)
            return Features(grid.flatten(2).transpose(1, 2), None, where)
        # Nearest neighbour on a mask whose side is a multiple of the stride takes every stride-th pixel.
        cells = padding_mask[:, :: self.stride, :: self.stride]
        return Features(grid.flatten(2).transpose(1, 2), cells.flatten(1), position(cells))
