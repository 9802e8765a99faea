"""What can be configured, as frozen dataclasses that refuse unknown keys and values outside their range."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""Of every configuration: unknown keys and numbers that are not finite are refused."""

PositiveInt = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Pixels = Annotated[int, Field(gt=0, le=4096)]
Channels = Annotated[int, Field(gt=0, le=16384)]
Layers = Annotated[int, Field(ge=0, le=128)]
"""Bounds far beyond any use, so that a damaged file cannot ask for all memory."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CropConfig:
    """A square crop around a box.

    Args:
        side: Side of the crop that the network sees, pixels.
        factor: Side of the region cut from the image over the square root of the box's area.

    Source: section 4.1 (search 320 px and 5 times, template 128 px and 2 times the target).
    """

    side: Pixels
    factor: Annotated[float, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BackboneConfig:
    """A convolutional network up to the last stage of the given stride, batch norm frozen.

    Args:
        name: Any convolutional `timm` model with feature stages (`resnet50`, `mobilenetv2_100` …), or
            `repvgg_a0_lite`, the RepVGG-A0 with a last stage of four blocks that STARK-Lightning uses.
        stride: Image pixels per feature cell.
        padding: `symmetric` as in PyTorch's models, or `same` as in TensorFlow's, whose odd pixel goes right
            and bottom; for weights that were trained so (timm's EfficientNet family only).
    """

    name: str = "resnet50"
    stride: Pixels = 16
    padding: Literal["symmetric", "same"] = "symmetric"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TransformerConfig:
    """Encoder and decoder. Zero layers leave the part out (Table 7, rows 1 and 2).

    Args:
        width: Channels of a token.
        num_heads: Attention heads; must divide `width`.
        ffn_width: Hidden units of the feed-forward networks.
        encoder_queries: `all` tokens attend in the encoder, or only those of the `search` region
            (templates then pass unchanged through every layer).
        position: `sine` (section 3.1), `learned` (STARK-Lightning) or `none` (Table 7, row 3).
        residual_position: Add the position to the encoder's residual too, as STARK-Lightning does.
    """

    width: Channels = 256
    num_heads: Channels = 8
    ffn_width: Channels = 2048
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    num_encoder_layers: Layers = 6
    num_decoder_layers: Layers = 6
    encoder_queries: Literal["all", "search"] = "all"
    position: Literal["sine", "learned", "none"] = "sine"
    residual_position: bool = False

    @model_validator(mode="after")
    def _widths_fit(self) -> "TransformerConfig":
        if self.width % self.num_heads:
            raise ValueError(
                f"width must be a multiple of num_heads={self.num_heads}, got {self.width}; "
                f"use {self.width - self.width % self.num_heads or self.num_heads}"
            )
        if self.width % 4:
            raise ValueError(
                f"width must be a multiple of 4 (sine and cosine of row and column), got {self.width}; "
                f"use {self.width + 4 - self.width % 4}"
            )
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BoxHeadConfig:
    """How the box is read out of the search region.

    Args:
        kind: `corner` (section 3.1, Figure 3), `corner_rep` (RepVGG corner head of STARK-Lightning), `mlp`
            (three-layer perceptron, Table 7, row 4), `centre` (heat map of the centre, and size; ours) or `guided`
            (corners near the box of the centre's peak; ours).
        width: Channels of the first layer; the corner head halves them three times.
        cell_offset: Where in its cell a corner lies, in cells: 0 as published for S and ST, 0.5 the centre.
    """

    kind: Literal["corner", "corner_rep", "mlp", "centre", "guided"] = "corner"
    width: Channels = 256
    cell_offset: Annotated[float, Field(ge=0, le=1)] = 0.0

    @property
    def has_corner_maps(self) -> bool:
        """Whether it computes a map for each of two corners."""
        return self.kind in ("corner", "corner_rep", "guided")

    @property
    def has_centre_maps(self) -> bool:
        """Whether it computes heat, offset and size of the centre."""
        return self.kind in ("centre", "guided")

    @model_validator(mode="after")
    def _width_can_be_halved(self) -> "BoxHeadConfig":
        if self.kind in ("corner", "guided") and self.width % 8:
            raise ValueError(
                f"width must be a multiple of 8 (halved three times), got {self.width}; "
                f"use {self.width + 8 - self.width % 8}"
            )
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ModelConfig:
    """One network: crops in, box and score out.

    Args:
        framework: `stark`, or one that the paper rejects (section 4.5): `template_query` (templates ask the
            decoder), `hungarian` (ten queries, each with a confidence) or `query_update` (the query follows the
            target).
        num_templates: 1 (spatial) or more (spatio-temporal: the initial and the dynamic templates).
        score_head: Whether the network says how likely the target is in the search region.
        score_from: `embedding` of the decoder (section 3.2), or `evidence`, which adds the sharpness of the
            maps and the look of what was found (ours, for networks with few decoder layers).
        geometry: Which crop conventions the weights were trained with: `published` carries the quirks of
            the authors' code (docs/parity.md), `exact` has none.
    """

    framework: Literal["stark", "template_query", "hungarian", "query_update"] = "stark"
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    box_head: BoxHeadConfig = field(default_factory=BoxHeadConfig)
    score_head: bool = False
    score_from: Literal["embedding", "evidence"] = "embedding"
    num_templates: Annotated[int, Field(gt=0, le=64)] = 1
    search: CropConfig = field(default_factory=lambda: CropConfig(side=320, factor=5.0))
    template: CropConfig = field(default_factory=lambda: CropConfig(side=128, factor=2.0))
    geometry: Literal["published", "exact"] = "published"

    @model_validator(mode="after")
    def _frameworks_have_their_parts(self) -> "ModelConfig":
        if self.framework != "stark" and not self.transformer.num_decoder_layers:
            raise ValueError(
                f"framework {self.framework} needs transformer.num_decoder_layers above 0, got 0"
            )
        if self.framework == "hungarian" and not self.score_head:
            raise ValueError(
                "framework hungarian needs score_head = true, which tells its queries' confidence"
            )
        if self.framework == "query_update" and self.num_templates < 2:
            raise ValueError(
                "framework query_update needs num_templates of at least 2 (the query is updated from the latest), "
                f"got {self.num_templates}"
            )
        return self

    @model_validator(mode="after")
    def _evidence_needs_maps(self) -> "ModelConfig":
        if self.score_from == "evidence" and self.box_head.kind == "mlp":
            raise ValueError("score_from must be embedding for box_head.kind = 'mlp', which has no maps")
        return self

    @model_validator(mode="after")
    def _sides_are_multiples_of_the_stride(self) -> "ModelConfig":
        stride = self.backbone.stride
        for name, side in (("search", self.search.side), ("template", self.template.side)):
            if side % stride:
                nearest = max(stride, round(side / stride) * stride)
                raise ValueError(
                    f"{name}.side must be a multiple of {stride} (backbone.stride), got {side}; use {nearest}"
                )
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrackingConfig:
    """Inference settings.

    Args:
        update_interval: T_u, frames between attempts to replace the dynamic template.
        update_score: tau, the score above which the dynamic template is replaced.
        clip_margin: Pixels of a box that always stay inside the image.
        tracked_score: A score from here on says that the target is there, see `tracking.presence`.
        lost_score: A score below it says that the target is not there.
        lost_after: Frames in a row below `lost_score` until the target counts as lost.
        search_growth: How many times wider the search region of a lost target may become, see
            `tracking.search_growth`; 1 leaves it as it is.

    Source: section 4.1 (T_u = 200, tau = 0.5); the last four are ours, and by default change no box.

    Example:
        >>> import starktrack
        >>> settings = starktrack.TrackingConfig(update_interval=25, lost_after=3)
        >>> starktrack.load(settings=settings).settings.lost_after
        3
    """

    update_interval: PositiveInt = 200
    update_score: Annotated[float, Field(ge=0, le=1)] = 0.5
    clip_margin: Annotated[float, Field(ge=0)] = 10.0
    tracked_score: Annotated[float, Field(ge=0, le=1)] = 0.5
    lost_score: Annotated[float, Field(ge=0, le=1)] = 0.25
    lost_after: PositiveInt = 5
    search_growth: Annotated[float, Field(ge=1, le=10)] = 1.0

    @model_validator(mode="after")
    def _thresholds_are_ordered(self) -> "TrackingConfig":
        if self.lost_score > self.tracked_score:
            raise ValueError(
                f"lost_score must be at most tracked_score={self.tracked_score}, got {self.lost_score}"
            )
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """All that turns weights into a tracker; stored with them."""

    name: str
    model: ModelConfig = field(default_factory=ModelConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
