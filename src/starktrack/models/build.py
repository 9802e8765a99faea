"""Builds the network that a configuration describes."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from starktrack.config.schema import ModelConfig
from starktrack.models.backbone import build_backbone
from starktrack.models.centre_head import CentreHead
from starktrack.models.corner_head import CornerHead
from starktrack.models.evidence_head import EvidenceScoreHead
from starktrack.models.frameworks.hungarian import NUM_QUERIES, HungarianStark
from starktrack.models.frameworks.query_update import QueryUpdateStark
from starktrack.models.frameworks.template_query import TemplateQueryStark
from starktrack.models.guided_head import GuidedHead
from starktrack.models.lightning import RepCornerHead
from starktrack.models.mlp_head import MlpHead, ScoreHead
from starktrack.models.position import LearnedPosition, NoPosition, SinePosition
from starktrack.models.prediction import BoxHead
from starktrack.models.stark import Stark
from starktrack.models.transformer import Decoder, Encoder


def build_network(
    config: ModelConfig,
    *,
    imagenet: bool = False,
    backbone_weights: Path | None = None,
    auxiliary_head: bool = False,
) -> Stark:
    """Return the network in train mode, with random weights except where the backbone starts from a file.

    Args:
        imagenet: Start the backbone from ImageNet weights through timm (needs a network connection).
        backbone_weights: Start the backbone from this local file instead.
        auxiliary_head: Add a centre head beside the box head, for training only.

    Raises:
        ConfigError: The backbone is unknown or has no stage of this stride.
        CheckpointError: The backbone's weights cannot be downloaded or read.
    """
    transformer = config.transformer
    # The paper's decoder has one query. Template queries replace it; Hungarian matching needs several.
    num_queries = {"template_query": 0, "hungarian": NUM_QUERIES}.get(config.framework, 1)
    return _framework(config)(
        backbone=build_backbone(config.backbone, imagenet=imagenet, weights=backbone_weights),
        stride=config.backbone.stride,
        width=transformer.width,
        template_position=_position(config, config.template.side),
        search_position=_position(config, config.search.side),
        encoder=Encoder(transformer),
        decoder=Decoder(transformer, num_queries) if transformer.num_decoder_layers else None,
        box_head=_box_head(config),
        auxiliary_head=_centre_head(config) if auxiliary_head else None,
        score_head=_score_head(config) if config.score_head else None,
        num_templates=config.num_templates,
        role_embedding=config.role_embedding,
    )


def _framework(config: ModelConfig) -> Callable[..., Stark]:
    match config.framework:
        case "stark":
            return Stark
        case "template_query":
            return TemplateQueryStark
        case "query_update":
            return QueryUpdateStark
        case "hungarian":
            return HungarianStark


def _position(config: ModelConfig, side: int) -> nn.Module:
    width = config.transformer.width
    match config.transformer.position:
        case "sine":
            return SinePosition(width)
        case "learned":  # one vector for each row and column, so the number of cells is fixed
            return LearnedPosition(width, side // config.backbone.stride)
        case "none":
            return NoPosition(width)


def _box_head(config: ModelConfig) -> BoxHead:
    width, head = config.transformer.width, config.box_head
    cells = config.search.side // config.backbone.stride
    match head.kind:
        case "corner":
            return _corner_head(config)
        case "corner_rep":
            return RepCornerHead(width, cells, head.cell_offset)
        case "mlp":
            return MlpHead(width, head.width)
        case "centre":
            return _centre_head(config)
        case "guided":
            return GuidedHead(_corner_head(config), _centre_head(config))


def _score_head(config: ModelConfig) -> ScoreHead | EvidenceScoreHead:
    if config.score_from == "embedding":
        return ScoreHead(config.transformer.width)
    return EvidenceScoreHead(
        config.transformer.width,
        config.search.side // config.backbone.stride,
        config.template.side // config.backbone.stride,
        config.template.factor,
        num_maps=2 * config.box_head.has_corner_maps + config.box_head.has_centre_maps,
    )


def _corner_head(config: ModelConfig) -> CornerHead:
    weighted = config.transformer.num_decoder_layers > 0
    cells, head = config.search.side // config.backbone.stride, config.box_head
    return CornerHead(config.transformer.width, head.width, cells, head.cell_offset, weighted)


def _centre_head(config: ModelConfig) -> CentreHead:
    weighted = config.transformer.num_decoder_layers > 0
    cells = config.search.side // config.backbone.stride
    return CentreHead(config.transformer.width, config.box_head.width, cells, weighted)
