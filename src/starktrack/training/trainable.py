"""Which parameters a stage trains; everything else is frozen.

Source: section 3.2 and 4.1; the authors freeze ResNet's stem and layer1, in stage 2 all but the score head.
"""

from collections.abc import Iterator

from torch import nn

from starktrack.config.training import StageConfig
from starktrack.models.lightning import RepVggBackbone
from starktrack.models.stark import AUXILIARY


def prepare(network: nn.Module, stage: StageConfig) -> None:
    """Freeze what the stage does not train, and set every part's mode.

    Parts without a trainable parameter are in eval mode, so that neither dropout nor batch statistics of a
    frozen network disturb what is trained on top of it (the authors leave them in train mode). An auxiliary head
    is trained by the stages that weigh its loss: in the others it has no gradient, on which processes that share
    a run fail.
    """
    trains_score = stage.trains == "score"
    for name, part in network.named_children():
        is_idle = f"{name}." == AUXILIARY and not stage.loss.centre
        part.requires_grad_(
            not is_idle and (stage.trains == "joint" or (name == "score_head") == trains_score)
        )
    if not trains_score and stage.frozen_stride:
        for module in frozen_modules(network.backbone, stage.frozen_stride):
            module.requires_grad_(False)
    for part in network.children():
        part.train(any(parameter.requires_grad for parameter in part.parameters()))


def frozen_modules(backbone: nn.Module, stride: int) -> Iterator[nn.Module]:
    """Yield the modules of a backbone to the end of its stage of this stride, stem included; none for 0."""
    if isinstance(backbone, RepVggBackbone):
        yield from _blocks_within(backbone, stride)
        return
    within = [stage["module"] for stage in backbone.body.feature_info.info if stage["reduction"] <= stride]
    if not within:
        return
    # Feature extractors of timm name their modules like the stages; some flatten the dots.
    last = {within[-1], within[-1].replace(".", "_")}
    for name, module in _flat_children(backbone.body):
        yield module
        if name in last:
            return


def _flat_children(body: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in body.named_children():
        if isinstance(module, nn.Sequential) and any("." in s["module"] for s in body.feature_info.info):
            yield from ((f"{name}.{inner}", block) for inner, block in module.named_children())
        else:
            yield name, module


def _blocks_within(backbone: RepVggBackbone, stride: int) -> Iterator[nn.Module]:
    reached = 1
    for block in backbone:
        reached *= block.dense.conv.stride[0]
        if reached > stride:
            return
        yield block
