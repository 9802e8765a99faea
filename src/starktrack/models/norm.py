"""Batch norm with fixed statistics and scale, folded into the convolution before it.

The frozen batch norms of timm and torchvision multiply and add. That doubles the memory traffic and, under autocast,
turns half-precision features back into float32. Here a norm that directly follows a convolution costs no pass of its
own: the convolution runs with scaled weights and a bias, and the gradient reaches the weights through the scale.
State dicts have the same keys and values as without folding.

Source: section 4.1 (batch norm layers are frozen).
"""

from functools import partial

import torch
from jaxtyping import Float
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import pad_same
from torch import Tensor, nn
from torch.nn import functional

_PROBE_SIDE = 64
"""Side of the meta tensor whose forward pass shows which norm follows which convolution."""


class FrozenNorm(nn.Module):
    """A batch norm that is always in eval mode, with its activation.

    Args:
        num_channels: Channels of its input.
        eps: Added to the variance.
        activation: The activation after it, where the model has both in one module.
    """

    weight: Float[Tensor, " channels"]
    bias: Float[Tensor, " channels"]
    running_mean: Float[Tensor, " channels"]
    running_var: Float[Tensor, " channels"]

    def __init__(self, num_channels: int, eps: float = 1e-5, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.eps = eps
        self.activation = activation if activation is not None else nn.Identity()
        self.is_folded = False
        self.register_buffer("weight", torch.ones(num_channels))
        self.register_buffer("bias", torch.zeros(num_channels))
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))

    def forward(self, features: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch channels h w"]:
        """Return the normalised features; only their activation where the norm is folded into a convolution."""
        if self.is_folded:
            return self.activation(features)
        normalised = functional.batch_norm(
            features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )
        return self.activation(normalised)

    def scale_and_shift(self) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]:
        """Return the factor and the summand of the norm."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale


class FoldedConv(nn.Conv2d):
    """A convolution that includes the frozen norm after it.

    Args:
        conv: Its weights are shared, not copied.
        norm: Keeps the statistics; from now on it applies its activation only.

    Attributes:
        pads_same: Whether it pads like TensorFlow.
        is_turned: Whether its input is turned by 180 degrees, see `models.turning`.
    """

    def __init__(self, conv: nn.Conv2d, norm: FrozenNorm) -> None:
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            pair(conv.kernel_size),
            pair(conv.stride),
            conv.padding if isinstance(conv.padding, str) else pair(conv.padding),
            pair(conv.dilation),
            conv.groups,
            bias=conv.bias is not None,
            device="meta",
        )
        self.weight, self.bias = conv.weight, conv.bias
        self.pads_same = isinstance(conv, Conv2dSame)
        self.is_turned = False
        norm.is_folded = True
        # In a tuple, or the norm would be in the state dict twice.
        self._norm: tuple[FrozenNorm, ...] = (norm,)
        self._latest: tuple[tuple[object, ...], tuple[Tensor, Tensor]] | None = None

    def forward(self, features: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch channels h2 w2"]:
        """Return the normalised convolution, before the activation."""
        weight, bias = self.weight, self.bias
        for norm in self._norm:
            weight, bias = self._kept_product(norm) if self._can_be_kept() else self._product(norm)
        padding = self.padding
        if self.is_turned:
            weight = weight.flip(2, 3) if max(self.kernel_size) > 1 else weight
            if self.pads_same:
                rows, columns = pair(self.kernel_size)
                down, right = pair(self.dilation)
                padding = (rows // 2 * down, columns // 2 * right)
        elif self.pads_same:
            features = pad_same(features, list(self.kernel_size), list(self.stride), list(self.dilation))
        return functional.conv2d(features, weight, bias, self.stride, padding, self.dilation, self.groups)

    def settle(self) -> None:
        """Multiply the norm into weights and bias, irreversibly, for a graph of plain convolutions."""
        if self._norm:
            weight, bias = self._product(self._norm[0])
            self.weight, self.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
            self._norm = ()

    def _product(self, norm: FrozenNorm) -> tuple[Tensor, Tensor]:
        scale, shift = norm.scale_and_shift()
        weight = self.weight * scale[:, None, None, None]
        return weight, shift if self.bias is None else self.bias * scale + shift

    def _can_be_kept(self) -> bool:
        learns = torch.is_grad_enabled() and self.weight.requires_grad
        traced = torch.compiler.is_compiling() or torch.compiler.is_exporting()
        return not (learns or traced or self.weight.is_inference())

    def _kept_product(self, norm: FrozenNorm) -> tuple[Tensor, Tensor]:
        """Return the product of the last call if weights and statistics have not changed since."""
        held = [self.weight, *(() if self.bias is None else (self.bias,)), *norm.buffers()]
        # PyTorch raises `_version` with every change in place, and an optimiser step is one.
        key = tuple(part for tensor in held for part in (tensor.data_ptr(), tensor._version, tensor.dtype))
        if self._latest is None or self._latest[0] != key:
            # Out of inference mode, whose tensors could not take part in a later training step.
            with torch.inference_mode(False), torch.no_grad():
                weight, bias = self._product(norm)
                if weight.is_contiguous(memory_format=torch.channels_last):
                    weight = weight.contiguous(memory_format=torch.channels_last)
            self._latest = (key, (weight, bias))
        return self._latest[1]


def pair(size: tuple[int, ...]) -> tuple[int, int]:
    """Return a convolution's size as rows and columns; PyTorch declares it as a tuple of any length."""
    rows, columns = size
    return rows, columns


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


def fold_norms(body: nn.Module) -> nn.Module:
    """Fold every frozen norm into the convolution before it, in place; return the network.

    A pair is a convolution and a norm of the same parent whose input is the convolution's output. Norms that come
    first, as those of pre-activation networks, are not folded.
    """
    for parent, conv, norm in _pairs(body):
        owner = body.get_submodule(parent)
        setattr(owner, conv, FoldedConv(getattr(owner, conv), getattr(owner, norm)))
    return body


def _pairs(body: nn.Module) -> list[tuple[str, str, str]]:
    """Return the parent's name and those of convolution and norm in it, for each pair."""
    outputs: dict[str, Tensor] = {}
    pairs: list[tuple[str, str, str]] = []

    def note_output(name: str, conv: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        outputs[name] = output

    def note_input(name: str, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        parent, _, own = name.rpartition(".")
        for sibling, _ in body.get_submodule(parent).named_children():
            if outputs.get(_joined(parent, sibling)) is inputs[0]:
                pairs.append((parent, sibling, own))

    hooks = []
    for name, module in body.named_modules():
        plain = isinstance(module, nn.Conv2d) and type(module) in (nn.Conv2d, Conv2dSame)
        if plain and module.padding_mode == "zeros":
            hooks.append(module.register_forward_hook(partial(note_output, name)))
        elif isinstance(module, FrozenNorm):
            hooks.append(module.register_forward_pre_hook(partial(note_input, name)))
    empty = {name: value.to("meta") for name, value in body.state_dict().items()}
    try:
        with torch.no_grad():
            dtype = next(body.parameters()).dtype
            picture = torch.zeros(1, 3, _PROBE_SIDE, _PROBE_SIDE, device="meta", dtype=dtype)
            maps = torch.func.functional_call(body, empty, (picture,))
    finally:
        for hook in hooks:
            hook.remove()
    # Where the output of a convolution is itself a feature map (ghostnet's first), it must stay without the norm.
    taken = {id(each) for each in ([maps] if isinstance(maps, Tensor) else maps)}
    return [pair for pair in pairs if id(outputs[_joined(pair[0], pair[1])]) not in taken]


def _joined(parent: str, name: str) -> str:
    return f"{parent}.{name}" if parent else name
