"""The configuration as frozen dataclasses that refuse unknown keys and values outside their range."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from starktrack.config.network import (
    STRICT,
    BackboneConfig,
    Channels,
    CropConfig,
    CropPlan,
    Geometry,
    Layers,
    NetworkConfig,
    PositiveInt,
)
from starktrack.config.refiner import RefineModel
from starktrack.errors import nearest_name


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
    """The head that predicts the box from the encoded search region.

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
        """Whether the head computes a map for each of two corners."""
        return self.kind in ("corner", "corner_rep", "guided")

    @property
    def has_centre_maps(self) -> bool:
        """Whether the head computes heat, offset and size of the centre."""
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
class ModelConfig(NetworkConfig):
    """The network of a tracker: from crops to box and score.

    Args:
        framework: `stark`, or one that the paper rejects (section 4.5): `template_query` (template tokens are the
            decoder's queries), `hungarian` (ten queries, each with a confidence) or `query_update` (the query
            follows the target).
        num_templates: 1 (spatial) or more (spatio-temporal: the initial and the dynamic templates).
        role_embedding: Whether attention can tell the initial template from dynamic ones, by a learned vector for
            either in addition to the positions (ours).
        score_head: Whether the network predicts the probability that the search region shows the target.
        score_from: `embedding` of the decoder (section 3.2), or `evidence`, which adds the sharpness of the
            maps and the look of what was found (ours, for networks with few decoder layers).
        geometry: Which crop conventions the weights were trained with: `published` carries the quirks of
            the authors' code (docs/parity.md), `exact` has none.
    """

    kind: Literal["tracker"] = "tracker"
    framework: Literal["stark", "template_query", "hungarian", "query_update"] = "stark"
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    box_head: BoxHeadConfig = field(default_factory=BoxHeadConfig)
    score_head: bool = False
    score_from: Literal["embedding", "evidence"] = "embedding"
    num_templates: Annotated[int, Field(gt=0, le=64)] = 1
    role_embedding: bool = False
    search: CropConfig = field(default_factory=lambda: CropConfig(side=320, factor=5.0))
    template: CropConfig = field(default_factory=lambda: CropConfig(side=128, factor=2.0))
    geometry: Geometry = "published"

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
    def _roles_have_templates(self) -> "ModelConfig":
        if self.role_embedding and (self.framework != "stark" or self.num_templates < 2):
            raise ValueError(
                "role_embedding needs framework = 'stark' and num_templates of at least 2, got "
                f"{self.framework!r} and {self.num_templates}; leave it out"
            )
        layers = self.transformer.num_encoder_layers + self.transformer.num_decoder_layers
        if self.role_embedding and not layers:
            raise ValueError(
                "role_embedding needs transformer layers, whose attention reads it, got none; leave it out"
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

    @property
    def crops(self) -> CropPlan:
        """Return which crops the network takes."""
        return CropPlan(
            template=self.template,
            search=self.search,
            num_templates=self.num_templates,
            geometry=self.geometry,
            stride=self.backbone.stride,
        )

    def check_recipe(self, recipe: Any) -> None:
        """Check that every stage trains a part that the network has, with losses that it can compute."""
        head = self.box_head
        for name, stage in recipe.stages.items():
            if stage.resolution != 1 and self.transformer.position == "learned":
                raise ValueError(
                    f"stages.{name}.resolution must be 1 for transformer.position = 'learned', whose weights belong to "
                    f"one size, got {stage.resolution:g}"
                )
            if stage.resolution != 1 and recipe.distillation.teacher:
                raise ValueError(
                    f"stages.{name}.resolution must be 1 with a teacher, whose maps are as large as the student's, got "
                    f"{stage.resolution:g}"
                )
            if stage.loss.mask:
                raise ValueError(
                    f"stages.{name}.loss.mask must be 0 for a tracker, got {stage.loss.mask}; refiners have masks"
                )
            if stage.trains != "box" and not self.score_head:
                raise ValueError(
                    f"stages.{name} trains the score head, {recipe.config.name} has none; drop the stage"
                )
            if self.framework == "hungarian" and stage.trains != "joint":
                raise ValueError(
                    f"stages.{name}.trains must be joint for framework hungarian, whose confidences decide which "
                    f"query answers, got {stage.trains}"
                )
            if stage.loss.corner and not head.has_corner_maps:
                raise ValueError(
                    f"stages.{name}.loss.corner must be 0 for box_head.kind = {head.kind!r}, which has no corner maps"
                )
            if stage.loss.others > 1 and not stage.loss.centre:
                raise ValueError(
                    f"stages.{name}.loss.others must be 1 without loss.centre, whose heat it is about, got "
                    f"{stage.loss.others:g}; set loss.centre too"
                )
            if stage.loss.centre and head.kind == "mlp":
                raise ValueError(
                    f"stages.{name}.loss.centre must be 0 for box_head.kind = 'mlp', which has no maps"
                )
            if stage.trains != "score" and head.has_centre_maps and not stage.loss.centre:
                raise ValueError(
                    f"stages.{name}.loss.centre must be above 0 for box_head.kind = {head.kind!r}, got 0; set it, "
                    "to 0.5 as in recipe mobile"
                )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrackingConfig:
    """Inference settings.

    Args:
        update_interval: T_u, frames between attempts to replace the dynamic template.
        update_score: tau, the score above which the dynamic template is replaced.
        clip_margin: Pixels of a box that always stay inside the image; with `geometry="exact"` no more than the
            sides of the box that was given.
        tracked_score: From this score on the target counts as present, see `tracking.presence`.
        lost_score: Below this score the target counts as absent.
        lost_after: Frames in a row below `lost_score` until the target counts as lost.
        search_growth: How many times wider the search region of a lost target may become, see
            `tracking.search_growth`; 1 leaves it as it is.
        redetect: Frames between searches of the whole picture for a lost target, see `tracking.redetection`; 0 never
            searches it.
        box_fit: Share of the difference between the given box and the network's own box in the first frame by which
            later boxes are corrected while they have its size and shape, see `tracking.box_fit`; 0 corrects none.

    Source: section 4.1 (T_u = 200, tau = 0.5); the last six are ours, and by default change no box.

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
    redetect: Annotated[int, Field(ge=0)] = 0
    box_fit: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _thresholds_are_ordered(self) -> "TrackingConfig":
        if self.lost_score > self.tracked_score:
            raise ValueError(
                f"lost_score must be at most tracked_score={self.tracked_score}, got {self.lost_score}"
            )
        return self


MODELS: dict[str, type[NetworkConfig]] = {model.kind: model for model in (ModelConfig, RefineModel)}
"""The settings of each kind of network, by kind; `kinds.register` adds to them."""


def _model_of_its_kind(values: Any) -> NetworkConfig:
    """Return the settings of a network as a record of their `kind`, by default a tracker."""
    if isinstance(values, NetworkConfig):
        return values
    if not isinstance(values, Mapping):
        raise ValueError(f"the settings of a network must be a table, got {values!r}")
    kind = values.get("kind", ModelConfig.kind)
    if not isinstance(kind, str) or kind not in MODELS:
        raise ValueError(f"kind must be one that is known, got {kind!r}{nearest_name(str(kind), MODELS)}")
    try:
        return TypeAdapter(MODELS[kind]).validate_python(dict(values))
    except ValidationError as error:
        # A custom error carries the inner ones, so that `config.loading` names every key in full.
        raise PydanticCustomError(
            NESTED_ERROR, "{text}", {"text": str(error), "schema": MODELS[kind], "errors": error.errors()}
        ) from error


NESTED_ERROR = "settings_of_a_kind"
"""Type of the error that holds the errors of a network's settings."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """The network and its inference settings, stored with the weights.

    Args:
        name: Of the network, in tables and messages.
        model: The network; its `kind`, by default `tracker`, decides which settings it has.
        tracking: Inference settings of a tracker; other kinds ignore them.

    Example:
        >>> from starktrack.config.loading import from_mapping
        >>> from_mapping(Config, {"name": "mine", "model": {"kind": "refiner", "width": 64}}).model.width
        64
    """

    name: str
    # Which kinds there are is known when a configuration is read, so the type is open here.
    model: Annotated[Any, PlainValidator(_model_of_its_kind)] = field(default_factory=ModelConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
