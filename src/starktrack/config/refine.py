"""What a refiner is: the network that makes a tracker's box exact and draws the target's outline."""

from collections.abc import Callable
from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from starktrack.config.schema import STRICT, BackboneConfig, Channels, CropConfig, PositiveInt
from starktrack.errors import ConfigError, nearest_name

STRIDES = (4, 8, 16)
"""Image pixels per cell of the outline, of the corner maps, and of the correlation."""

Cells = Annotated[int, Field(gt=0, le=64)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RefineModel:
    """One refiner: template and crop around a tracker's box in, box and outline out.

    Args:
        backbone: Up to stride 16; its maps of stride 4 and 8 give the outline its detail.
        crop: Of the template and of what is refined alike.
        bins: Cells along one side of the pooled template; each cell is one kernel of the correlation.
        width: Channels of the fused features; a multiple of 8.
        non_local: Let every cell look at all others after the correlation.

    Source: Yan et al., Alpha-Refine, arXiv 2012.06815, section 3 (factor 2, 256 px, ResNet-34, pixel-wise
    correlation, corner head, auxiliary mask head). The decoder is ours.
    """

    backbone: BackboneConfig = field(default_factory=lambda: BackboneConfig(name="resnet34"))
    crop: CropConfig = field(default_factory=lambda: CropConfig(side=256, factor=2.0))
    bins: Cells = 8
    width: Channels = 128
    non_local: bool = True

    @model_validator(mode="after")
    def _sizes_fit(self) -> "RefineModel":
        if self.backbone.stride != STRIDES[-1]:
            raise ValueError(
                f"backbone.stride of a refiner must be {STRIDES[-1]}, got {self.backbone.stride}"
            )
        if self.crop.side % STRIDES[-1]:
            nearest = max(STRIDES[-1], round(self.crop.side / STRIDES[-1]) * STRIDES[-1])
            raise ValueError(
                f"crop.side must be a multiple of {STRIDES[-1]}, got {self.crop.side}; use {nearest}"
            )
        if self.width % 8:
            raise ValueError(
                f"width must be a multiple of 8 (halved three times), got {self.width}; "
                f"use {self.width + 8 - self.width % 8}"
            )
        return self

    @property
    def search(self) -> CropConfig:
        """Return the crop that is refined, as trackers call it."""
        return self.crop

    @property
    def template(self) -> CropConfig:
        """Return the crop of the template, which is the same."""
        return self.crop

    @property
    def num_templates(self) -> PositiveInt:
        """Return 1: a refiner sees the target as it was given."""
        return 1

    @property
    def score_head(self) -> bool:
        """Return False: a refiner does not say whether the target is there."""
        return False

    @property
    def geometry(self) -> Literal["exact"]:
        """Return which crop conventions the weights were trained with."""
        return "exact"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RefineConfig:
    """All that turns weights into a refiner; stored with them.

    Args:
        mask_threshold: Probability above which a pixel is the target's.
        box: Whose box is answered: that of the refiner's `corners`, as published, or the `tracker`'s own, for
            weights whose corners are not exact enough to help.
    """

    name: str
    model: RefineModel = field(default_factory=RefineModel)
    mask_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    box: Literal["corners", "tracker"] = "corners"


def refine_r34() -> RefineConfig:
    """Return the published form: ResNet-34, 256 px (384 px: `config.model.crop.side=384`)."""
    return RefineConfig(name="refine_r34")


def refine_mobile() -> RefineConfig:
    """Return our light refiner for CPUs: MobileNetV2, narrow."""
    return RefineConfig(
        name="refine_mobile",
        model=RefineModel(
            backbone=BackboneConfig(name="mobilenetv2_100", padding="same"), width=64, non_local=False
        ),
    )


DEFAULT_REFINER = "refine_mobile"
"""What draws outlines where no refiner is named."""

REFINERS: dict[str, Callable[[], RefineConfig]] = {
    preset.__name__: preset for preset in (refine_r34, refine_mobile)
}


def refiner_preset(name: str) -> RefineConfig:
    """Return the refiner's preset of that name.

    Raises:
        ConfigError: No preset has that name; the nearest one is suggested.
    """
    if name not in REFINERS:
        raise ConfigError(f"a refiner must be one of the presets, got {name!r}{nearest_name(name, REFINERS)}")
    return REFINERS[name]()
