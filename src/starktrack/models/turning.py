"""Convolutions padded like TensorFlow's, run on a turned picture so that no padded copy of their input is made.

TensorFlow pads a convolution of stride 2 by one pixel more on the right and below than on the left and above. PyTorch
pads both sides alike, so that such a convolution copies its input first (`docs/lab-notes.md`, copies in the step).
With picture and kernels turned by 180 degrees the larger side is on the left and above. Then both sides may be padded
alike, since what is added on the right and below is past the last window. The maps are turned back; they are the same
but for rounding.
"""

from jaxtyping import Shaped
from torch import Tensor, nn

from starktrack.models.norm import FoldedConv, pair

_ELEMENTWISE = (nn.Identity, nn.ReLU, nn.ReLU6, nn.SiLU)


def turned(picture: Shaped[Tensor, "batch channels h w"]) -> Shaped[Tensor, "batch channels h w"]:
    """Return pictures or maps turned by 180 degrees."""
    return picture.flip(2, 3)


def turn_convolutions(body: nn.Module) -> bool:
    """Let a body take turned pictures and give turned maps, if that saves copies; return whether it does so."""
    leaves = [part for part in body.modules() if not any(part.children())]
    convolutions = [part for part in leaves if isinstance(part, FoldedConv)]
    if not any(part.pads_same for part in convolutions) or not all(_can_be_turned(part) for part in leaves):
        return False
    for part in convolutions:
        part.is_turned = True
    return True


def turn_back(body: nn.Module) -> None:
    """Let a body take pictures as they are again."""
    for part in body.modules():
        if isinstance(part, FoldedConv):
            part.is_turned = False


def _can_be_turned(part: nn.Module) -> bool:
    """Return whether a layer gives the turned map for a turned picture and a turned kernel.

    A convolution of stride 1 does where both sides are padded alike. One of stride 2 does where it pads like TensorFlow
    and its kernel is larger than a pixel. A kernel of even size never does.
    """
    if not isinstance(part, FoldedConv):
        return isinstance(part, _ELEMENTWISE)
    strides, sizes = pair(part.stride), pair(part.kernel_size)
    if isinstance(part.padding, str) or any(size % 2 == 0 for size in sizes):
        return False
    if not part.pads_same:
        return strides == (1, 1)
    return all(stride == 1 or (stride == 2 and size > 1) for stride, size in zip(strides, sizes, strict=True))
