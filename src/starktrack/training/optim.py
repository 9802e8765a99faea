"""The optimiser, the learning rate as a pure function of time, and the averaged weights.

Source: section 4.1 (AdamW, 1e-4 and 1e-5, weight decay 1e-4, drops of ten).
"""

import math

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.swa_utils import get_ema_multi_avg_fn

from starktrack.config.training import OptimConfig, StageConfig
from starktrack.errors import ConfigError


def build_optimiser(network: nn.Module, config: OptimConfig) -> AdamW:
    """Return AdamW over the trainable parameters: group `rest`, then group `backbone`.

    Raises:
        ConfigError: Nothing is trainable.
    """
    groups: dict[str, list[Tensor]] = {"rest": [], "backbone": []}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups["backbone" if name.startswith("backbone.") else "rest"].append(parameter)
    if not any(groups.values()):
        raise ConfigError("a stage must train something, got a network with every parameter frozen")
    peak = {"rest": config.lr, "backbone": config.backbone_lr}
    return AdamW(
        [{"params": groups[name], "lr": peak[name], "peak_lr": peak[name], "name": name} for name in groups],
        weight_decay=config.weight_decay,
        fused=True,  # one pass over all weights, on the CPU too
    )


def learning_rate_factor(stage: StageConfig, epoch: int, step: int, steps_per_epoch: int) -> float:
    """Return the factor of the peak learning rate.

    Args:
        stage: Schedule and length.
        epoch: Within the stage, from 0.
        step: Optimiser step within the epoch, from 0.
        steps_per_epoch: Optimiser steps of an epoch.
    """
    optim, done = stage.optim, epoch * steps_per_epoch + step
    warmup = min(1.0, (done + 1) / optim.warmup_steps) if optim.warmup_steps else 1.0
    if optim.schedule == "step":
        return warmup * (optim.drop_factor if epoch >= optim.drop_epoch else 1.0)
    share = done / (stage.epochs * steps_per_epoch)
    return warmup * (optim.drop_factor + (1 - optim.drop_factor) * 0.5 * (1 + math.cos(math.pi * share)))


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's learning rate to its peak times `factor`."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak_lr"] * factor


def start_average(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the network's floating-point state, to be averaged over steps."""
    state = network.state_dict()
    return {name: value.detach().clone() for name, value in state.items() if value.is_floating_point()}


@torch.no_grad()
def update_average(average: dict[str, Tensor], network: nn.Module, decay: float, num_updates: int) -> None:
    """Move the averaged weights towards the network's, keeping a share of `decay`.

    The first updates keep less; otherwise the weights at the start of the stage would dominate for long.

    Args:
        average: Changed in place.
        network: The network after its latest step.
        decay: Share of the average that an update keeps after many updates.
        num_updates: Number of earlier updates.
    """
    kept = min(decay, (1 + num_updates) / (10 + num_updates))
    state = network.state_dict()
    average_all = get_ema_multi_avg_fn(kept)  # a few kernels for all tensors, not one for each
    average_all(list(average.values()), [state[name] for name in average], num_updates)
