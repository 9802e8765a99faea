"""Convolutional backbones: the stages of a `timm` model up to a stride, batch norm frozen.

Source: section 3.1 (any convolutional network may serve), section 4.1 (batch norm frozen, stride 16).
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import timm
import torch
from jaxtyping import Float
from timm.models import FeatureInfo
from timm.models.efficientnet import EfficientNetFeatures
from torch import Tensor, nn

from starktrack.config.schema import BackboneConfig
from starktrack.errors import CheckpointError, ConfigError, nearest_name
from starktrack.models.folded_mobilenet import load_folded
from starktrack.models.lightning import BACKBONE_NAME, RepVggBackbone
from starktrack.models.norm import freeze_norms
from starktrack.models.turning import turned


class Backbone(nn.Module):
    """The last feature map of a timm model at a stride.

    Attributes:
        is_turned: Whether `body` takes turned pictures, see `models.turning`.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.is_turned = freeze_norms(body), False
        self.num_channels = int(feature_info(body).channels()[-1])

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch channels h2 w2"]:
        """Return the feature map of normalised images."""
        return turned(self.body(turned(image))[-1]) if self.is_turned else self.body(image)[-1]


def feature_info(body: nn.Module) -> FeatureInfo:
    """Return timm's record of the stages of a feature extractor."""
    # PyTorch declares every attribute of a module as Tensor | Module.
    return cast("FeatureInfo", body.feature_info)


class Pyramid(nn.Module):
    """The feature maps of a timm model at several strides, finest first.

    Attributes:
        is_turned: Whether `body` takes turned pictures, see `models.turning`.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.is_turned = freeze_norms(body), False
        self.num_channels = tuple(feature_info(body).channels())

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> list[Float[Tensor, "batch _ _ _"]]:
        """Return the feature maps of normalised images."""
        if self.is_turned:
            return [turned(each) for each in self.body(turned(image))]
        return self.body(image)


def build_backbone(
    config: BackboneConfig, *, imagenet: bool = False, weights: Path | None = None
) -> Backbone | RepVggBackbone:
    """Return the backbone, with random weights by default.

    Args:
        imagenet: Take ImageNet weights through timm's own loading (needs a network connection).
        weights: A local file instead: in timm's or torchvision's form, or an .npz of MobileNetV2 whose batch
            norm is folded in (`models.folded_mobilenet`).

    Raises:
        ConfigError: No such model, none of its stages has this stride, or nobody publishes weights of it.
        CheckpointError: The weights cannot be downloaded or read, or do not fit.
    """
    if config.name == BACKBONE_NAME:
        if imagenet or weights is not None:
            raise ConfigError(
                f"backbone {BACKBONE_NAME} must start at random (nobody has weights of it alone), got "
                f"{'imagenet' if weights is None else weights}; set run.imagenet=false and no "
                "run.backbone_weights, or start from a whole network with --weights"
            )
        return RepVggBackbone()
    backbone = Backbone(_body(config, (config.stride,), imagenet=imagenet, weights=weights))
    _fill_folded(backbone, weights)
    return backbone


def build_pyramid(
    config: BackboneConfig,
    strides: tuple[int, ...],
    *,
    imagenet: bool = False,
    weights: Path | None = None,
) -> Pyramid:
    """Return the maps of a backbone at several strides; arguments and errors as `build_backbone`.

    Raises:
        ConfigError: Also for RepVGG-A0 of STARK-Lightning, which gives its last map only.
    """
    if config.name == BACKBONE_NAME:
        raise ConfigError(
            f"backbone.name must be a timm model where several maps are needed, got {config.name}"
        )
    pyramid = Pyramid(_body(config, strides, imagenet=imagenet, weights=weights))
    _fill_folded(pyramid, weights)
    return pyramid


def _body(
    config: BackboneConfig, strides: tuple[int, ...], *, imagenet: bool, weights: Path | None
) -> nn.Module:
    if weights is not None and weights.suffix == ".npz":
        # timm cannot read this form: the stages start at random, and `_fill_folded` fills them.
        return _stages(config, strides, pretrained=False, file=None)
    body = _stages(config, strides, pretrained=imagenet or weights is not None, file=weights)
    if weights is not None:
        # timm takes any file and only logs what it lacks: what differs between two fillings is still random.
        again = _stages(config, strides, pretrained=True, file=weights).state_dict()
        left = [name for name, values in body.state_dict().items() if not torch.equal(values, again[name])]
        if left:
            raise CheckpointError(
                f"backbone weights must fill every layer, {weights} leaves {len(left)} random, such as {left[0]}"
            )
    return body


def _fill_folded(backbone: Backbone | Pyramid, weights: Path | None) -> None:
    if weights is not None and weights.suffix == ".npz":
        load_folded(backbone.body, weights)


def _stages(
    config: BackboneConfig, strides: tuple[int, ...], *, pretrained: bool, file: Path | None
) -> nn.Module:
    padding: dict[str, Any] = {"pad_type": "same"} if config.padding == "same" else {}
    try:
        body = timm.create_model(
            config.name,
            features_only=True,
            out_indices=tuple(_stage_of_stride(replace(config, stride=stride)) for stride in strides),
            pretrained=pretrained,
            pretrained_cfg_overlay={"file": str(file)} if file else None,
            **padding,
        )
    except TypeError as error:
        raise ConfigError(
            f"backbone.padding must be symmetric for {config.name}, got {config.padding}: {error}"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        source = f"file {file}" if file else "timm's download"
        raise CheckpointError(f"ImageNet weights of {config.name} from {source} failed: {error}") from error
    # timm drops the stages after the last one itself, for all but its EfficientNet family.
    if isinstance(body, EfficientNetFeatures):
        last = int(feature_info(body).module_name()[-1].removeprefix("blocks."))
        body.blocks = body.blocks[: last + 1]
    return body


@lru_cache
def _stage_of_stride(config: BackboneConfig) -> int:
    if not timm.is_model(config.name):
        suggestion = nearest_name(config.name, [*timm.list_models(), BACKBONE_NAME])
        hint = suggestion if "did you mean" in suggestion else "; see timm.list_models()"
        raise ConfigError(f"backbone.name must be a timm model, got {config.name!r}{hint}")
    try:
        # On the meta device a model has shapes but no weights, so that asking for its strides costs little.
        with torch.device("meta"):
            strides = feature_info(timm.create_model(config.name, features_only=True)).reduction()
    except (RuntimeError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"backbone {config.name!r} has no feature stages; use a convolutional model"
        ) from error
    if len(set(strides)) == 1:  # vision transformers list the same stride for every block
        raise ConfigError(f"backbone {config.name!r} has no feature stages; use a convolutional model")
    if config.stride not in strides:
        raise ConfigError(
            f"backbone.stride of {config.name} must be one of {sorted(set(strides))}, got {config.stride}"
        )
    # Some models have several stages of one stride; the last has the deepest features.
    stage = len(strides) - 1 - strides[::-1].index(config.stride)
    _check_map(config, stage)
    return stage


def _check_map(config: BackboneConfig, stage: int) -> None:
    """Refuse models with other maps than timm lists, and models for pictures of one size only."""
    side = 8
    try:
        with torch.device("meta"):
            body = timm.create_model(config.name, features_only=True, out_indices=(stage,)).eval()
            shape = tuple(body(torch.zeros(1, 3, side * config.stride, side * config.stride))[-1].shape)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"backbone {config.name!r} must take pictures of any size, got: {error}; use a convolutional model"
        ) from error
    if shape[1:] != (feature_info(body).channels()[-1], side, side):
        raise ConfigError(
            f"backbone {config.name!r} must give maps [channels, rows, columns] at stride {config.stride}, got "
            f"{list(shape[1:])} for {side} cells; use another stride or model"
        )
