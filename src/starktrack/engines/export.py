"""A network becomes an ONNX file, which is written only if it answers as PyTorch does."""

import copy
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from starktrack.arrays import Boxes
from starktrack.config.schema import Config, ModelConfig
from starktrack.config.stored import to_metadata
from starktrack.data.synthetic_clip import synthetic_clip
from starktrack.engines.onnx_engine import (
    SEARCH_INPUTS,
    SEARCH_OUTPUTS,
    TEMPLATE_INPUTS,
    TEMPLATE_OUTPUTS,
    open_onnx,
)
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import CheckpointError, MissingExtraError
from starktrack.geometry.boxes import cxcywh_to_xyxy, overlap
from starktrack.models.crops import PIXEL_MEAN, PIXEL_STD
from starktrack.models.features import Features
from starktrack.models.lightning import fold
from starktrack.models.stark import Stark
from starktrack.output_file import whole_file
from starktrack.tracking.protocol import Engine, Prediction, Views

OPSET = 18
"""The ONNX standard of the graph: the one into which PyTorch 2.8 and later translate without conversion."""

LEAST_OVERLAP = 0.999
LARGEST_SCORE_DIFFERENCE = 1e-3
SAME_CORNERS = 1e-5
"""Of the crop. Boxes with corners this close overlap fully, whatever their area: those of an untrained network
have hardly any."""


@dataclass(frozen=True)
class Agreement:
    """How far an exported network is from the one it was made of, over all crops of the check.

    Attributes:
        overlap: Least overlap of the boxes; 1 where corners are within `SAME_CORNERS`.
        corner_difference: Largest distance of box edges, in crops.
        score_difference: Largest distance of scores, 0 without a score head.
        num_crops: Search crops that were compared.
    """

    overlap: float
    corner_difference: float
    score_difference: float
    num_crops: int

    @property
    def holds(self) -> bool:
        """Whether both may be called the same network; never where an answer is not finite."""
        return self.overlap > LEAST_OVERLAP and self.score_difference <= LARGEST_SCORE_DIFFERENCE


def export_onnx(network: Stark, config: Config, path: Path) -> Agreement:
    """Write the network as one ONNX file with its configuration; return how well it agrees.

    The network stays as it is; RepVGG blocks are folded in the file.

    Raises:
        CheckpointError: The exported network answers otherwise; nothing is written then.
        MissingExtraError: ONNX's packages are not installed.
    """
    for package in ("onnx", "onnxscript"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "export", "exporting a network")
    network = fold(copy.deepcopy(network).cpu().eval())
    with whole_file(path) as partial:
        _write(network, config, partial)
        onnx_engine = open_onnx(partial)
        agreement = compare(TorchEngine(network, config, device=torch.device("cpu")), onnx_engine)
        if not agreement.holds:
            raise CheckpointError(
                f"an exported network must find PyTorch's boxes (overlap > {LEAST_OVERLAP}, scores within "
                f"{LARGEST_SCORE_DIFFERENCE}), got {agreement}; {path} was not written"
            )
    return agreement


def compare(reference: Engine, exported: Engine) -> Agreement:
    """Return how two engines of one network agree on crops of a clip, some of them padded, in one batch and alone."""
    pairs = [
        (_predict(reference, views, others), _predict(exported, views, others))
        for views, others in _views_to_compare()
    ]
    expected, found = (np.concatenate([_corners(each) for each in side]) for side in zip(*pairs, strict=True))
    scores = [np.abs(a.scores - b.scores).max() for a, b in pairs if a.scores is not None]
    distance = np.abs(expected - found).max(axis=1)
    return Agreement(
        overlap=float(np.where(distance <= SAME_CORNERS, 1.0, overlap(expected, found)).min()),
        corner_difference=float(distance.max()),
        score_difference=float(np.max(scores, initial=0.0)),
        num_crops=len(expected),
    )


class _Graph(nn.Module):
    """Both halves of the network as one function of plain tensors; see `engines.onnx_engine`."""

    def __init__(self, network: Stark) -> None:
        super().__init__()
        self.network = network
        mean, std = (255 * torch.tensor(values)[:, None, None] for values in (PIXEL_MEAN, PIXEL_STD))
        self.register_buffer("scale", 1 / std)
        self.register_buffer("offset", -mean / std)

    def forward(
        self,
        template_crops: UInt8[Tensor, "new template_side template_side 3"],
        template_masks: Bool[Tensor, "new template_side template_side"],
        search_crops: UInt8[Tensor, "batch side side 3"],
        search_masks: Bool[Tensor, "batch side side"],
        tokens: Float[Tensor, "batch length width"],
        padding_mask: Bool[Tensor, "batch length"],
        position: Float[Tensor, "batch length width"],
    ) -> tuple[Tensor, ...]:
        """Return the new templates' tokens, padding mask and position, then boxes and scores."""
        new = self.network.embed_template(self._normalise(template_crops), template_masks)
        search = self.network.embed_search(self._normalise(search_crops), search_masks)
        output = self.network.locate(Features(tokens, padding_mask, position), search)
        score = () if output.score_logit is None else (output.score_logit.sigmoid(),)
        return new.tokens, new.padding_mask, new.position, output.box_cxcywh, *score

    def _normalise(self, crops: Tensor) -> Tensor:
        # As `models.crops.normalise` in two operations on whole planes, which ONNX Runtime does much faster
        # than three on interleaved colours.
        return crops.permute(0, 3, 1, 2).float() * self.scale + self.offset


def _write(network: Stark, config: Config, path: Path) -> None:
    new, batch = torch.export.Dim("new", min=0, max=1 << 16), torch.export.Dim("batch", min=0, max=1 << 16)
    inputs, outputs = (*TEMPLATE_INPUTS, *SEARCH_INPUTS), (*TEMPLATE_OUTPUTS, *SEARCH_OUTPUTS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about its own parts
        program = torch.onnx.export(
            _Graph(network).eval(),
            _example(config.model),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs if config.model.score_head else outputs[:-1],
            dynamic_shapes=({0: new},) * len(TEMPLATE_INPUTS) + ({0: batch},) * len(SEARCH_INPUTS),
        )
    for node in program.model.graph:
        node.metadata_props.clear()  # where in our source each came from: a tenth of the file
    program.model.metadata_props.update(to_metadata(config))
    program.save(path, external_data=False)


def _example(model: ModelConfig) -> tuple[Tensor, ...]:
    """Return inputs of the graph; batches of 2 and 3, since the exporter takes 0 and 1 for constants."""
    new, batch, width = 2, 3, model.transformer.width
    length = model.num_templates * (model.template.side // model.backbone.stride) ** 2

    def crops(count: int, side: int) -> tuple[Tensor, Tensor]:
        return torch.zeros(count, side, side, 3, dtype=torch.uint8), torch.zeros(
            count, side, side, dtype=torch.bool
        )

    tokens = torch.zeros(batch, length, width)
    mask = torch.zeros(batch, length, dtype=torch.bool)
    return *crops(new, model.template.side), *crops(batch, model.search.side), tokens, mask, tokens.clone()


def _views_to_compare() -> Iterator[tuple[Views, Sequence[int]]]:
    """Yield views of a batch of three and of each alone, and for each view whose template to take after its own."""
    frames = [next(synthetic_clip(1, seed=seed, object_seed=seed)) for seed in range(3)]
    height, width = frames[0].image.shape[:2]
    images = [frame.image for frame in frames]
    over_a_corner = np.array([[-20.0, -15, 90, 60], [width - 30.0, height - 40, 60, 50]])
    for boxes in (
        np.stack([frame.box_xywh for frame in frames]),
        np.stack([frames[0].box_xywh, *over_a_corner]),
    ):
        yield Views(images, np.arange(3), boxes), (1, 2, 0)
        for index in range(3):
            yield Views(images[index : index + 1], np.zeros(1, np.int64), boxes[index : index + 1]), (0,)


def _predict(engine: Engine, views: Views, others: Sequence[int]) -> Prediction:
    own: list[Any] = engine.embed(views)
    num_others = engine.config.model.num_templates - 1
    templates = [[template, *[own[other]] * num_others] for template, other in zip(own, others, strict=True)]
    return engine.predict(views, templates)


def _corners(prediction: Prediction) -> Boxes:
    return cxcywh_to_xyxy(prediction.boxes_cxcywh)
