"""Batch norm whose statistics and scale never change, as one operation.

The frozen batch norms of timm and torchvision multiply and add, which takes twice the memory traffic and,
under autocast, turns half-precision features back into float32: training stark_mobile is half as fast again
without.

Source: section 4.1 (batch norm layers are frozen).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class FrozenNorm(nn.Module):
    """A batch norm in eval mode for ever, with its activation.

    Args:
        num_channels: Channels of its input.
        eps: Added to the variance.
        activation: What follows at once, where the model counts it as part of the norm.
    """

    def __init__(self, num_channels: int, eps: float = 1e-5, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.eps = eps
        self.activation = activation if activation is not None else nn.Identity()
        self.register_buffer("weight", torch.ones(num_channels))
        self.register_buffer("bias", torch.zeros(num_channels))
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch channels h w"]:
        """Return the normalised features."""
        normalised = functional.batch_norm(
            features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )
        return self.activation(normalised)


def freeze_norms(body: nn.Module) -> nn.Module:
    """Replace every batch norm of a network by its frozen form, in place; return the network."""
    for name, module in body.named_children():
        if isinstance(module, nn.BatchNorm2d):
            frozen = FrozenNorm(module.num_features, module.eps, getattr(module, "act", None))
            frozen.load_state_dict({key: module.state_dict()[key] for key in frozen.state_dict()})
            setattr(body, name, frozen)
        else:
            freeze_norms(module)
    return body
