"""The parts of STARK-Lightning: RepVGG blocks, which train with three branches and run as one convolution.

Source: the released STARK-Lightning; Ding et al., RepVGG, CVPR 2021.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from starktrack.models.corner_head import CornerExpectation
from starktrack.models.norm import FrozenNorm
from starktrack.models.prediction import BoxPrediction

BACKBONE_NAME = "repvgg_a0_lite"
_STAGES = ((48, 1), (48, 2), (96, 4), (192, 4))
"""Channels and blocks of each stage; every stage halves the resolution. RepVGG-A0 has 14 blocks in the last one."""


NormType = type[FrozenNorm] | type[nn.BatchNorm2d]


class ConvNorm(nn.Module):
    """A convolution without bias, then batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, norm: NormType) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = norm(outputs)

    def forward(self, image: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs h2 w2"]:
        """Return the normalised convolution."""
        return self.norm(self.conv(image))


class RepVggBlock(nn.Module):
    """3x3, 1x1 and identity branches, summed and rectified; `models.folding` makes one biased 3x3 of them."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: NormType) -> None:
        super().__init__()
        self.stride = stride
        self.dense: ConvNorm | None = ConvNorm(inputs, outputs, 3, stride, norm)
        self.pointwise: ConvNorm | None = ConvNorm(inputs, outputs, 1, stride, norm)
        self.identity = norm(inputs) if inputs == outputs and stride == 1 else None
        self.folded: nn.Conv2d | None = None

    def forward(self, image: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs h2 w2"]:
        """Return the block's output."""
        if self.folded is not None:
            return functional.relu(self.folded(image))
        assert self.dense is not None and self.pointwise is not None, "there until `fold`"
        total = self.dense(image) + self.pointwise(image)
        return functional.relu(total if self.identity is None else total + self.identity(image))

    def fold(self) -> None:
        """Replace the branches by the convolution that equals them in eval mode."""
        assert self.dense is not None and self.pointwise is not None, "there until `fold`"
        conv = self.dense.conv
        # As 3x3 kernels: a 1x1 lies in the middle, and the identity is a 1x1 of ones on its diagonal.
        branches = [(functional.pad(self.pointwise.conv.weight, (1, 1, 1, 1)), self.pointwise.norm)]
        if self.identity is not None:
            kernel = torch.zeros_like(conv.weight)
            kernel[range(len(kernel)), range(len(kernel)), 1, 1] = 1
            branches.append((kernel, self.identity))
        weight, bias = _folded(conv.weight, self.dense.norm)
        for kernel, norm in branches:
            branch_weight, branch_bias = _folded(kernel, norm)
            weight, bias = weight + branch_weight, bias + branch_bias
        folded = nn.Conv2d(conv.in_channels, conv.out_channels, 3, self.stride, 1).to(conv.weight)
        folded.load_state_dict({"weight": weight, "bias": bias})
        self.folded, self.dense, self.pointwise, self.identity = folded, None, None, None


def _folded(kernel: Tensor, norm: FrozenNorm | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the kernel and the bias of a convolution without bias and the norm after it."""
    values = norm.state_dict()
    scale = values["weight"] / (values["running_var"] + norm.eps).sqrt()
    shift = values["bias"] - values["running_mean"] * scale
    return (kernel * scale[:, None, None, None]).detach(), shift.detach()


class RepVggBackbone(nn.Sequential):
    """RepVGG-A0 with a last stage of four blocks, stride 16, batch norm frozen."""

    def __init__(self) -> None:
        blocks, inputs = [], 3
        for outputs, count in _STAGES:
            for index in range(count):
                blocks.append(RepVggBlock(inputs, outputs, 2 if index == 0 else 1, FrozenNorm))
                inputs = outputs
        super().__init__(*blocks)
        self.num_channels = inputs


class RepCornerHead(nn.Module):
    """One tower of RepVGG blocks; its last convolution gives both corner maps."""

    def __init__(self, width: int, cells: int, cell_offset: float) -> None:
        super().__init__()
        self.cells = cells
        self.tower = nn.Sequential(
            RepVggBlock(width, width, 1, nn.BatchNorm2d),
            RepVggBlock(width, width, 1, nn.BatchNorm2d),
            nn.Conv2d(width, 2, 3, padding=1),
        )
        self.expectation = CornerExpectation(cells, cell_offset)

    def box(
        self, search: Float[Tensor, "batch cells width"], embedding: Float[Tensor, "batch width"]
    ) -> BoxPrediction:
        """Return the expected corners and their maps; without a decoder there is no similarity to weight by."""
        grid = search.transpose(1, 2).unflatten(2, (self.cells, self.cells)).contiguous()
        return self.expectation(self.tower(grid).flatten(2))
