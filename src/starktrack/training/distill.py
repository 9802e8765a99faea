"""Learning from a larger network's corner distributions and boxes.

Source: the terms of the authors' STARK-Lightning; their released code cannot run them.
"""

from dataclasses import replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from starktrack.config.schema import ModelConfig
from starktrack.config.training import DistillationConfig
from starktrack.errors import ConfigError
from starktrack.geometry.boxes import cxcywh_to_xyxy
from starktrack.kinds import load_network
from starktrack.models.stark import StarkOutput
from starktrack.training.losses import LossTerms


def load_teacher(path: Path, student: ModelConfig) -> nn.Module:
    """Return the teacher: a frozen network in eval mode.

    Raises:
        CheckpointError: The file is missing or damaged.
        ConfigError: Its crops or the size of its corner maps differ from the student's.
    """
    config, network = load_network(path, "tracker")
    for name in ("search", "template", "num_templates", "geometry"):
        got, wanted = getattr(config.model, name), getattr(student, name)
        if got != wanted:
            raise ConfigError(f"a teacher's {name} must be the student's, {wanted}, got {got} in {path}")
    cells, wanted = (model.search.side // model.backbone.stride for model in (config.model, student))
    if cells != wanted:
        raise ConfigError(
            f"a teacher's corner maps must have the student's {wanted} x {wanted} cells, got {cells} x {cells} "
            f"in {path}; take one with backbone.stride={student.backbone.stride}"
        )
    for head in (config.model.box_head, student.box_head):
        if not head.has_corner_maps:
            raise ConfigError(
                f"a teacher and its student must have corner maps, got box_head.kind {head.kind!r} ({path})"
            )
    return network.requires_grad_(False)


def add_distillation(
    loss: LossTerms, student: StarkOutput, teacher: StarkOutput, weights: DistillationConfig
) -> LossTerms:
    """Return the loss with the teacher's terms added."""
    assert student.corner_logits is not None and teacher.corner_logits is not None, "see `load_teacher`"
    terms = {
        "distill_kl": corner_divergence(student.corner_logits, teacher.corner_logits),
        "distill_l1": functional.l1_loss(
            cxcywh_to_xyxy(student.box_cxcywh.float()), cxcywh_to_xyxy(teacher.box_cxcywh.float())
        ),
    }
    total = loss.total + weights.kl * terms["distill_kl"] + weights.l1 * terms["distill_l1"]
    readable = {**loss.terms, "loss": total, **terms}
    return replace(loss, total=total, terms={name: value.detach() for name, value in readable.items()})


def corner_divergence(
    student_logits: Float[Tensor, "batch 2 cells"], teacher_logits: Float[Tensor, "batch 2 cells"]
) -> Float[Tensor, ""]:
    """Return KL(teacher || student) of the corner distributions, mean over samples and both corners."""
    student = student_logits.float().flatten(0, 1).log_softmax(dim=-1)
    teacher = teacher_logits.float().flatten(0, 1).log_softmax(dim=-1)
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
