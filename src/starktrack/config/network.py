"""Common parts of the settings of all kinds of networks: bounds, crops, backbone and base class."""

from dataclasses import fields, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""For every configuration: refuse unknown keys and numbers that are not finite."""

PositiveInt = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Pixels = Annotated[int, Field(gt=0, le=4096)]
Channels = Annotated[int, Field(gt=0, le=16384)]
Layers = Annotated[int, Field(ge=0, le=128)]
"""Bounds far beyond any use, so that a damaged file cannot demand all memory."""
Cells = Annotated[int, Field(gt=0, le=64)]
Geometry = Literal["published", "exact"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CropConfig:
    """A square crop around a box.

    Args:
        side: Side of the crop that the network sees, pixels.
        factor: Side of the region cut from the image over the square root of the box's area.

    Source: section 4.1 (search 320 px and 5 times, template 128 px and 2 times the target).
    """

    side: Pixels
    factor: Annotated[float, Field(gt=0, le=100)]


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
class CropPlan:
    """The crops that a network takes, in training and in inference.

    Args:
        template: Crop around the target in its first frame.
        search: Crop that is searched for it.
        num_templates: Templates of one target.
        geometry: Which crop conventions the weights were trained with, see `ModelConfig`.
        stride: Image pixels per feature cell.
        outlines: Whether training needs the target's outline in the search crop.
    """

    template: CropConfig
    search: CropConfig
    num_templates: PositiveInt = 1
    geometry: Geometry = "exact"
    stride: PositiveInt = 16
    outlines: bool = False


class NetworkConfig:
    """Base class of the settings of every kind of network; subclasses are dataclasses with a default `kind`.

    Attributes:
        kind: The kind's name in configurations and in `kinds.KINDS`.
        noun: What messages and tables call a network of this kind.
        argument: The name of the option or parameter that takes weights of this kind.
    """

    kind: str
    noun: ClassVar[str] = "model"
    argument: ClassVar[str] = "weights"

    @property
    def crops(self) -> CropPlan:
        """Return which crops the network takes."""
        raise NotImplementedError

    def at_resolution(self, resolution: float) -> "NetworkConfig":
        """Return the settings with smaller crops of the same regions: each side to the nearest multiple of the stride.

        Example:
            >>> from starktrack.config.presets import preset
            >>> half = preset("stark_mobile").model.at_resolution(0.5)
            >>> half.search.side, half.template.side, half.search.factor
            (128, 64, 4.0)
        """
        stride = self.crops.stride
        smaller = {}
        for field in fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            crop = getattr(self, field.name)
            if isinstance(crop, CropConfig):
                side = max(1, round(crop.side * resolution / stride)) * stride
                smaller[field.name] = replace(crop, side=side)
        return replace(self, **smaller)  # type: ignore[type-var]

    def check_recipe(self, recipe: Any) -> None:
        """Check that a training recipe (`config.training.Recipe`) fits the network.

        Raises:
            ValueError: It does not.
        """
