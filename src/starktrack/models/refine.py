"""The refiner: it correlates a template's pooled features with a crop around a tracker's box.

Source: Yan et al., Alpha-Refine, arXiv 2012.06815, section 3: pixel-wise correlation, corner head, mask head.
Not in the paper: the decoder, which brings the fused features from stride 16 to 8 (corners) and 4 (outline).
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from starktrack.config.refiner import REFINER_STRIDES, RefineModel
from starktrack.geometry.boxes import xyxy_to_cxcywh
from starktrack.models.backbone import Pyramid, build_pyramid
from starktrack.models.corner_head import CornerHead
from starktrack.models.pr_pool import precise_pool


@dataclass(frozen=True)
class RefineOutput:
    """The refiner's output for a batch of crops.

    Attributes:
        box_cxcywh: Crop units [0, 1].
        corner_logits: Top-left and bottom-right map before the softmax.
        mask_logit: Logit of each cell of stride 4; above 0 on the target.
    """

    box_cxcywh: Float[Tensor, "batch 4"]
    corner_logits: Float[Tensor, "batch 2 cells"]
    mask_logit: Float[Tensor, "batch rows columns"]


class Refiner(nn.Module):
    """The network; built by `build_refiner`."""

    def __init__(self, config: RefineModel, backbone: Pyramid) -> None:
        super().__init__()
        fine, middle, coarse = backbone.num_channels
        width, detail = config.width, config.width // 2
        self.bins = config.bins
        self.backbone = backbone
        self.bottleneck = nn.Conv2d(coarse, width, 1)
        self.fusion = nn.Sequential(
            conv_block(width + config.bins**2, width),  # features beside a map for each cell of the template
            ChannelAttention(width),
            NonLocal(width) if config.non_local else nn.Identity(),
            conv_block(width, width),
        )
        self.to_corners = Refinement(width, middle, width)
        self.corners = CornerHead(width, detail, config.crop.side // REFINER_STRIDES[1], 0.5, weighted=False)
        self.to_outline = Refinement(width, fine, detail)
        self.outline = nn.Conv2d(detail, 1, 3, padding=1)

    def embed(
        self, crops: Float[Tensor, "batch 3 side side"], boxes_cxcywh: Float[Tensor, "batch 4"]
    ) -> Float[Tensor, "batch width bins bins"]:
        """Return the pooled features of the targets in normalised crops; boxes in crop units."""
        coarse = self.bottleneck(self.backbone(crops)[-1])
        return precise_pool(coarse.float(), boxes_cxcywh, self.bins)

    def refine(
        self,
        templates: Float[Tensor, "batch width bins bins"],
        crops: Float[Tensor, "batch 3 side side"],
    ) -> RefineOutput:
        """Return box and outline of the targets in normalised crops around a tracker's boxes."""
        fine, middle, coarse = self.backbone(crops)
        coarse = self.bottleneck(coarse)
        likeness = pixel_correlation(templates.to(coarse.dtype), coarse)
        fused = self.fusion(torch.cat([coarse, likeness], dim=1))
        detailed = self.to_corners(fused, middle)
        tokens = detailed.flatten(2).transpose(1, 2)
        # The corner head is built without similarity weights, so it ignores the embedding.
        box = self.corners.box(tokens, tokens.mean(dim=1))
        outline = self.outline(self.to_outline(detailed, fine))[:, 0]
        return RefineOutput(xyxy_to_cxcywh(box.box_xyxy), box.corner_logits, outline)

    def forward(
        self,
        templates: Float[Tensor, "batch 3 side side"],
        template_boxes: Float[Tensor, "batch 4"],
        crops: Float[Tensor, "batch 3 side side"],
    ) -> RefineOutput:
        """Return box and outline, given normalised template crops and the boxes in them (cxcywh, crop units)."""
        return self.refine(self.embed(templates, template_boxes), crops)


def build_refiner(
    config: RefineModel, *, imagenet: bool = False, backbone_weights: Path | None = None
) -> Refiner:
    """Return the refiner in train mode; arguments and errors as `models.build.build_network`."""
    return Refiner(
        config, build_pyramid(config.backbone, REFINER_STRIDES, imagenet=imagenet, weights=backbone_weights)
    )


def pixel_correlation(
    kernels: Float[Tensor, "batch channels bins bins"], features: Float[Tensor, "batch channels rows columns"]
) -> Float[Tensor, "batch kernels rows columns"]:
    """Return the similarity of each cell to each of the template's cells: a dot product over root of channels.

    Source: Alpha-Refine, section 3.2: every cell of the template is a 1 x 1 kernel of its own.
    """
    weights = kernels.flatten(2).transpose(1, 2) / kernels.shape[1] ** 0.5
    return (weights @ features.flatten(2)).unflatten(2, features.shape[2:])


class ChannelAttention(nn.Module):
    """Multiplies each channel by a gate computed from the means of all channels (squeeze and excitation)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(width, width // 4), nn.ReLU(inplace=True), nn.Linear(width // 4, width), nn.Sigmoid()
        )

    def forward(
        self, features: Float[Tensor, "batch width rows columns"]
    ) -> Float[Tensor, "batch width rows columns"]:
        """Return the gated features."""
        return features * self.gate(features.mean(dim=(2, 3)))[:, :, None, None]


class NonLocal(nn.Module):
    """Self-attention of one head among all cells, added to the features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(width, width // 2, 1) for _ in range(3))
        self.out = nn.Conv2d(width // 2, width, 1)

    def forward(
        self, features: Float[Tensor, "batch width rows columns"]
    ) -> Float[Tensor, "batch width rows columns"]:
        """Return the features plus the attention's output."""
        # With an axis for the one head: the ONNX exporter requires it.
        tokens = [part(features).flatten(2).mT[:, None] for part in (self.query, self.key, self.value)]
        gathered = functional.scaled_dot_product_attention(*tokens)[:, 0]
        return features + self.out(gathered.mT.unflatten(2, features.shape[2:]))


class Refinement(nn.Module):
    """Doubles the resolution of coarse features and adds the backbone's map of that size."""

    def __init__(self, width: int, detail: int, outputs: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(detail, width, 1)
        self.blend = conv_block(width, outputs)

    def forward(
        self,
        coarse: Float[Tensor, "batch width rows columns"],
        detail: Float[Tensor, "batch channels fine_rows fine_columns"],
    ) -> Float[Tensor, "batch outputs fine_rows fine_columns"]:
        """Return the finer features."""
        larger = functional.interpolate(coarse, detail.shape[2:], mode="bilinear", align_corners=False)
        return self.blend(larger + self.lateral(detail))


def conv_block(inputs: int, outputs: int) -> nn.Sequential:
    """Return a 3 x 3 convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
