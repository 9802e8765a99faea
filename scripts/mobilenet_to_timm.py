"""Turn MobileNetV2 weights with batch norm folded in (an .npz) into a file that `run.backbone_weights` takes.

The arrays are `convNN_w` [O, I/groups, kh, kw] and `convNN_b`, in the order of the graph, for pictures scaled
to [-1, 1]. Ours are normalised with ImageNet's mean and deviation, which the first convolution absorbs.
TensorFlow pads the odd pixel right and bottom at stride 2; with timm's even padding the same features come
out for a picture moved by 15 pixels, so nothing but where a cell looks changes, by less than a cell.

    python scripts/mobilenet_to_timm.py mobilenet_v2_imagenet_folded.npz mobilenetv2_100.safetensors
"""

import sys
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from starktrack.models.crops import PIXEL_MEAN, PIXEL_STD


def convert(source: Path) -> dict[str, torch.Tensor]:
    """Return the state dict of timm's `mobilenetv2_100`, up to its last convolution."""
    arrays = np.load(source)
    model = timm.create_model("mobilenetv2_100", num_classes=0)
    layers = list(model.named_modules())
    convolutions = [(name, m) for name, m in layers if isinstance(m, nn.Conv2d)]
    norms = [(name, m) for name, m in layers if isinstance(m, nn.BatchNorm2d)]
    state = {}
    for number, ((conv_name, conv), (norm_name, norm)) in enumerate(zip(convolutions, norms, strict=True)):
        weight = torch.from_numpy(arrays[f"conv{number:02d}_w"]).float()
        bias = torch.from_numpy(arrays[f"conv{number:02d}_b"]).float()
        if weight.shape != conv.weight.shape:
            raise SystemExit(
                f"conv{number:02d} must be {tuple(conv.weight.shape)}, got {tuple(weight.shape)}"
            )
        if number == 0:
            weight, bias = _for_imagenet_normalisation(weight, bias)
        state[f"{conv_name}.weight"] = weight.contiguous()
        state |= {
            f"{norm_name}.weight": torch.ones_like(bias),
            f"{norm_name}.bias": bias.contiguous(),
            f"{norm_name}.running_mean": torch.zeros_like(bias),
            f"{norm_name}.running_var": torch.full_like(bias, 1 - norm.eps),
        }
    return state


def _for_imagenet_normalisation(
    weight: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    mean, std = torch.tensor(PIXEL_MEAN), torch.tensor(PIXEL_STD)
    moved = bias + (weight.sum((2, 3)) * (2 * mean - 1)).sum(1)
    return weight * (2 * std)[None, :, None, None], moved


if __name__ == "__main__":
    save_file(convert(Path(sys.argv[1])), sys.argv[2])
