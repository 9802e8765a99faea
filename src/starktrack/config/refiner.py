"""The settings of a refiner, the network that corrects a tracker's box and predicts the target's outline."""

from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from starktrack.config.network import (
    STRICT,
    BackboneConfig,
    Cells,
    Channels,
    CropConfig,
    CropPlan,
    NetworkConfig,
)

REFINER_STRIDES = (4, 8, 16)
"""Image pixels per cell of a refiner's outline, of its corner maps, and of its correlation."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RefineModel(NetworkConfig):
    """The network of a refiner: from a template and a crop around a tracker's box to box and outline.

    Args:
        backbone: Up to stride 16; its maps of stride 4 and 8 give the outline its detail.
        crop: Crop of the template and of the refined region.
        bins: Cells along one side of the pooled template; each cell is one kernel of the correlation.
        width: Channels of the fused features; a multiple of 8.
        non_local: Self-attention among all cells after the correlation.
        mask_threshold: Probability above which a pixel is the target's.
        box: Which box is the answer: that of the refiner's `corners`, as published, or the `tracker`'s own, for
            weights whose corners are not exact enough to help.

    Source: Yan et al., Alpha-Refine, arXiv 2012.06815, section 3 (factor 2, 256 px, ResNet-34, pixel-wise
    correlation, corner head, auxiliary mask head). The decoder is ours.
    """

    noun: ClassVar[str] = "refiner"
    argument: ClassVar[str] = "refine"

    kind: Literal["refiner"] = "refiner"
    backbone: BackboneConfig = field(default_factory=lambda: BackboneConfig(name="resnet34"))
    crop: CropConfig = field(default_factory=lambda: CropConfig(side=256, factor=2.0))
    bins: Cells = 8
    width: Channels = 128
    non_local: bool = True
    mask_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    box: Literal["corners", "tracker"] = "corners"

    @model_validator(mode="after")
    def _sizes_fit(self) -> "RefineModel":
        if self.backbone.stride != REFINER_STRIDES[-1]:
            raise ValueError(
                f"backbone.stride of a refiner must be {REFINER_STRIDES[-1]}, got {self.backbone.stride}"
            )
        if self.crop.side % REFINER_STRIDES[-1]:
            nearest = max(
                REFINER_STRIDES[-1], round(self.crop.side / REFINER_STRIDES[-1]) * REFINER_STRIDES[-1]
            )
            raise ValueError(
                f"crop.side must be a multiple of {REFINER_STRIDES[-1]}, got {self.crop.side}; use {nearest}"
            )
        if self.width % 8:
            raise ValueError(
                f"width must be a multiple of 8 (halved three times), got {self.width}; "
                f"use {self.width + 8 - self.width % 8}"
            )
        return self

    @property
    def crops(self) -> CropPlan:
        """Return which crops the network takes: template and search region are cut alike."""
        return CropPlan(
            template=self.crop, search=self.crop, stride=self.backbone.stride, geometry="exact", outlines=True
        )

    def check_recipe(self, recipe: Any) -> None:
        """Check that every stage trains the whole network, and that the recipe needs no tracking."""
        for name, stage in recipe.stages.items():
            if stage.trains != "box" or stage.loss.centre:
                raise ValueError(
                    f"stages.{name} of a refiner must have trains = 'box' and loss.centre = 0, got "
                    f"{stage.trains!r} and {stage.loss.centre}"
                )
        if recipe.validation.datasets or recipe.distillation.teacher:
            raise ValueError(
                "a refiner must have no validation.datasets and no distillation.teacher; it does not track by "
                "itself, benchmarks/refine.py measures it"
            )
