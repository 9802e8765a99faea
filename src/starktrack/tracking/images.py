"""Converts users' pictures to frames: RGB, `[height, width, 3]`, uint8."""

import sys
from typing import Any, Literal, TypeAlias

import numpy as np

from starktrack.arrays import Image
from starktrack.errors import InputError

Color: TypeAlias = Literal["rgb", "bgr"]
"""Order of the channels: `rgb`, or `bgr` as OpenCV reads pictures."""

_PIL_MODES = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB")
"""Modes of Pillow with one conversion to RGB: no alpha channel, 8 bits."""


def as_rgb(image: Any, color: Color = "rgb") -> Image:
    """Return a picture as an RGB frame; refuse an ambiguous picture.

    Args:
        image: uint8 array `[H, W, 3]`, or `[H, W]` or `[H, W, 1]` for grey; a Pillow image without an alpha
            channel; a uint8 torch tensor `[3, H, W]`, `[1, H, W]`, `[H, W]` or `[H, W, 3]`, on any device.
        color: Order of the channels of arrays and tensors.

    Raises:
        InputError: Another kind of picture; the message says what to call.

    Example:
        >>> import numpy as np
        >>> as_rgb(np.full((2, 2, 3), (255, 0, 0), np.uint8), color="bgr")[0, 0].tolist()
        [0, 0, 255]
        >>> as_rgb(np.full((2, 2), 7, np.uint8)).shape
        (2, 2, 3)
    """
    if color not in ("rgb", "bgr"):
        raise InputError(f"color must be rgb or bgr, got {color!r}; grey pictures need no color")
    if _is_a("PIL.Image", "Image", image):
        return _from_pil(image, color)
    if _is_a("torch", "Tensor", image):
        image = _from_tensor(image)
    if not isinstance(image, np.ndarray):
        raise _refusal(image, "call numpy.asarray(picture) on a picture, starktrack.track on a video")
    if image.dtype != np.uint8:
        raise _refusal(image, "call (image * 255).round().astype('uint8') where values are in [0, 1]")
    if not image.size or image.ndim not in (2, 3):
        raise _refusal(image, "give one picture at a time")
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    if image.shape[2] == 4:
        raise _refusal(image, "drop the alpha channel: image[..., :3]")
    if image.shape[2] != 3:
        channels_first = image.shape[0] in (1, 3)
        raise _refusal(
            image, "call numpy.moveaxis(image, 0, -1)" if channels_first else "give three channels"
        )
    return np.ascontiguousarray(image[..., ::-1]) if color == "bgr" else image


def _is_a(module: str, name: str, value: Any) -> bool:
    """Whether `value` is an instance of a class of a library, without an import of the library.

    A value of the class cannot exist before the library is imported. While another thread imports the library,
    the module is there and the class is not yet.
    """
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)


def _from_pil(image: Any, color: Color) -> Image:
    if color == "bgr":
        raise InputError("a Pillow image knows the order of its channels, got color='bgr'; leave color out")
    if image.mode not in _PIL_MODES or "transparency" in image.info:
        raise InputError(
            f"a Pillow image must have 8 bits a channel and no transparency, got mode {image.mode}; "
            "call image.convert('RGB')"
        )
    return np.asarray(image.convert("RGB"))


def _from_tensor(tensor: Any) -> np.ndarray:
    if str(tensor.dtype) != "torch.uint8":
        raise _refusal(tensor, "call (image * 255).round().to(torch.uint8) where values are in [0, 1]")
    array = tensor.detach().cpu().numpy()
    if array.ndim != 3:
        return array
    is_first, is_last = array.shape[0] in (1, 3), array.shape[2] in (1, 3)
    if is_first and is_last:
        raise _refusal(tensor, "channels may be first or last; call .numpy() on [height, width, 3]")
    return np.ascontiguousarray(np.moveaxis(array, 0, -1)) if is_first else array


def _refusal(image: Any, remedy: str) -> InputError:
    kind = str(getattr(image, "dtype", type(image).__name__))
    shape = f" {list(image.shape)}" if hasattr(image, "shape") else ""
    return InputError(
        f"a frame must be an RGB array [height, width, 3] of uint8, got {kind}{shape}; {remedy}"
    )
