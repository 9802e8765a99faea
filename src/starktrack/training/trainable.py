"""Which parameters a stage trains; everything else is frozen.

Source: section 3.2 and 4.1; the authors freeze ResNet's stem and layer1, in stage 2 all but the score head.
"""

from collections.abc import Iterator

from torch import nn

from starktrack.config.training import StageConfig
from starktrack.models.backbone import Backbone, Pyramid, feature_info
from starktrack.models.lightning import RepVggBackbone, RepVggBlock
from starktrack.models.stark import AUXILIARY


def prepare(network: nn.Module, stage: StageConfig) -> None:
    """Freeze what the stage does not train, and set every part's mode.

    Parts without a trainable parameter are in eval mode, so that neither dropout nor batch statistics of a frozen part
    disturb the trained parts. The authors leave them in train mode.
    """
    trains_score = stage.trains == "score"
    for name, part in network.named_children():
        # An auxiliary head without a loss gets no gradient, on which `DistributedDataParallel` would fail.
        is_idle = f"{name}." == AUXILIARY and not stage.loss.centre
        part.requires_grad_(
            not is_idle and (stage.trains == "joint" or (name == "score_head") == trains_score)
        )
    # Weights that lie in no part, such as the roles of templates.
    for parameter in network.parameters(recurse=False):
        parameter.requires_grad_(not trains_score)
    if not trains_score and stage.frozen_stride:
        for module in frozen_modules(network.get_submodule("backbone"), stage.frozen_stride):
            module.requires_grad_(False)
    for part in network.children():
        part.train(any(parameter.requires_grad for parameter in part.parameters()))


def frozen_modules(backbone: nn.Module, stride: int) -> Iterator[nn.Module]:
    """Yield the modules of a backbone from its stem to the end of its stage of this stride; none for 0."""
    if isinstance(backbone, RepVggBackbone):
        reached = 1
        for block in (each for each in backbone if isinstance(each, RepVggBlock)):
            reached *= block.stride
            if reached > stride:
                return
            yield block
        return
    assert isinstance(backbone, Backbone | Pyramid)
    stages = feature_info(backbone.body).info
    within = [str(stage["module"]) for stage in stages if stage["reduction"] <= stride]
    if not within:
        return
    # timm's feature extractors name their modules like the stages; some replace the dots by underscores.
    last = {within[-1], within[-1].replace(".", "_")}
    is_nested = any("." in stage["module"] for stage in stages)
    for name, module in backbone.body.named_children():
        parts = [(name, module)]
        if is_nested and isinstance(module, nn.Sequential):
            parts = [(f"{name}.{inner}", block) for inner, block in module.named_children()]
        for part_name, part in parts:
            yield part
            if part_name in last:
                return
