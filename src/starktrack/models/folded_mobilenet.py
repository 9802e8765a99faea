"""MobileNetV2 from a file whose batch norm is folded into the convolutions, as TensorFlow Lite keeps it.

The file holds `convNN_w` [out, in / groups, rows, columns] and `convNN_b` in the order of the graph; its network
takes RGB / 127.5 - 1 and pads like TensorFlow (`backbone.padding = "same"`).
"""

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from starktrack.errors import CheckpointError
from starktrack.models.crops import PIXEL_MEAN, PIXEL_STD
from starktrack.models.norm import FrozenNorm


def load_folded(body: nn.Module, path: Path) -> None:
    """Fill the stages of timm's `mobilenetv2_100` from such a file, in place.

    The first convolution takes over the scale of the input, so that the network takes normalised pictures like
    every other. The biases become those of the frozen norms.

    Raises:
        CheckpointError: The file cannot be read, or its convolutions are not those of the network.
    """
    convolutions = [module for module in body.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in body.modules() if isinstance(module, FrozenNorm)]
    for index, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
        weight, bias = _read(path, index)
        if weight.shape != convolution.weight.shape:
            raise CheckpointError(
                f"convolution {index} of {path} must have shape {list(convolution.weight.shape)}, got "
                f"{list(weight.shape)}; the file is for mobilenetv2_100"
            )
        if index == 0:
            # The file's network takes 2 (n std + mean) - 1 where ours takes the normalised input n.
            std, mean = torch.tensor(PIXEL_STD)[:, None, None], torch.tensor(PIXEL_MEAN)[:, None, None]
            weight, bias = weight * 2 * std, bias + (weight * (2 * mean - 1)).sum(dim=(1, 2, 3))
        convolution.weight.data.copy_(weight)
        # A norm that adds the bias and changes nothing else.
        norm.weight.fill_(1)
        norm.bias.copy_(bias)
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)


def _read(path: Path, index: int) -> tuple[Tensor, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as file:
            weight, bias = (file[f"conv{index:02d}_{kind}"] for kind in ("w", "b"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"backbone weights must be an .npz with conv{index:02d}_w and _b, {path}: {error}"
        ) from error
    return torch.from_numpy(weight.astype(np.float32)), torch.from_numpy(bias.astype(np.float32))
