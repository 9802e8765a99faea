"""One function per published network and per light network of our own; trackers first, then refiners."""

from collections.abc import Callable

from starktrack.config.network import NetworkConfig
from starktrack.config.schema import (
    MODELS,
    BackboneConfig,
    BoxHeadConfig,
    Config,
    CropConfig,
    ModelConfig,
    RefineModel,
    TrackingConfig,
    TransformerConfig,
)
from starktrack.errors import ConfigError, nearest_name


def stark_s50() -> Config:
    """Return STARK-S50: spatial only, ResNet-50 (section 3.1)."""
    return Config(name="stark_s50")


def stark_st50() -> Config:
    """Return STARK-ST50: initial and dynamic template, score head, ResNet-50 (section 3.2)."""
    return Config(name="stark_st50", model=ModelConfig(num_templates=2, score_head=True))


def stark_st101() -> Config:
    """Return STARK-ST101: as ST50 with ResNet-101."""
    return Config(
        name="stark_st101",
        model=ModelConfig(backbone=BackboneConfig(name="resnet101"), num_templates=2, score_head=True),
    )


def stark_lightning() -> Config:
    """Return STARK-Lightning: RepVGG backbone, one encoder layer, no decoder (released after the paper)."""
    return Config(
        name="stark_lightning",
        model=ModelConfig(
            backbone=BackboneConfig(name="repvgg_a0_lite"),
            transformer=TransformerConfig(
                width=128,
                ffn_width=1024,
                num_encoder_layers=1,
                num_decoder_layers=0,
                encoder_queries="search",
                position="learned",
                residual_position=True,
            ),
            box_head=BoxHeadConfig(kind="corner_rep", width=128, cell_offset=0.5),
        ),
    )


def stark_mobile() -> Config:
    """Return our light model for CPUs: MobileNetV2, narrow encoder, exact geometry."""
    return Config(
        name="stark_mobile",
        model=ModelConfig(
            backbone=BackboneConfig(name="mobilenetv2_100", padding="same"),
            transformer=TransformerConfig(
                width=128,
                num_heads=4,
                ffn_width=512,
                dropout=0.0,
                num_encoder_layers=4,
                num_decoder_layers=1,
                encoder_queries="search",
            ),
            box_head=BoxHeadConfig(kind="guided", width=128, cell_offset=0.5),
            score_head=True,
            score_from="evidence",
            num_templates=2,
            search=CropConfig(side=256, factor=4.0),
            template=CropConfig(side=128, factor=2.0),
            geometry="exact",
        ),
        # Chosen on sequences kept out of training (docs/lab-notes.md, 2026-11-29 and 30); the paper keeps T_u = 200.
        tracking=TrackingConfig(update_interval=25, update_score=0.8, box_fit=1.0),
    )


def refine_r34() -> Config:
    """Return the published refiner: ResNet-34, 256 px (384 px: `config.model.crop.side=384`)."""
    return Config(name="refine_r34", model=RefineModel())


def refine_mobile() -> Config:
    """Return our light refiner for CPUs: MobileNetV2, narrow."""
    return Config(
        name="refine_mobile",
        model=RefineModel(
            backbone=BackboneConfig(name="mobilenetv2_100", padding="same"), width=64, non_local=False
        ),
    )


DEFAULT_REFINER = "refine_mobile"
"""The default refiner for outlines."""

PRESETS: dict[str, Callable[[], Config]] = {
    preset.__name__: preset
    for preset in (
        stark_s50,
        stark_st50,
        stark_st101,
        stark_lightning,
        stark_mobile,
        refine_r34,
        refine_mobile,
    )
}


def presets_of(kind: str) -> dict[str, Config]:
    """Return the presets of one kind by name.

    Example:
        >>> list(presets_of("refiner"))
        ['refine_r34', 'refine_mobile']
    """
    built = {name: build() for name, build in PRESETS.items()}
    return {name: config for name, config in built.items() if config.model.kind == kind}


def preset(name: str, kind: str | None = None) -> Config:
    """Return the preset of that name.

    Args:
        kind: The required kind; None for any.

    Raises:
        ConfigError: No preset (of this kind) has that name; the nearest one is suggested.

    Example:
        >>> preset("stark_s50").model.search.side
        320
    """
    known = PRESETS if kind is None else presets_of(kind)
    if name not in known:
        noun = (NetworkConfig if kind is None else MODELS[kind]).noun
        raise ConfigError(f"a {noun} must be one of the presets, got {name!r}{nearest_name(name, known)}")
    return PRESETS[name]()
