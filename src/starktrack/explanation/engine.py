"""An engine that records an explanation of each output."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from starktrack.arrays import SquareImage
from starktrack.config.schema import CropConfig
from starktrack.engines.torch_engine import TorchEngine
from starktrack.explanation.attention import layer_weights, recording
from starktrack.geometry.crop import crop_transform, cut
from starktrack.models.features import Features
from starktrack.tracking.protocol import BoxQueries, Prediction


@dataclass(frozen=True)
class Explanation:
    """The network's inputs, attention, maps and output for one search region.

    Convention: keys are tokens: those of each template in the encoder's or decoder's input, then those of the search
    region, rows of cells before columns.

    Attributes:
        search: The crop that was searched.
        templates: The template crops, initial first.
        cells: Cells along one side of the search region.
        position_xy: The search position of `encoder`, crop units [0, 1].
        encoder: The weight of every key for that position, or None without an encoder.
        decoder: The weight of every key for the target query (mean over several queries), or None without a decoder.
        corners: Probability of the top-left and of the bottom-right corner in every cell, or None where the
            head has no maps.
        centre: Probability that the target's centre lies in each cell, or None but for the heads
            `centre` and `guided`.
        box_cxcywh: The answer, crop units [0, 1].
        score: The network's score, or None without one.
    """

    search: SquareImage
    templates: Sequence[UInt8[np.ndarray, "template_side template_side 3"]]
    cells: int
    position_xy: tuple[float, float]
    encoder: Float[np.ndarray, "encoder_layers heads keys"] | None
    decoder: Float[np.ndarray, "decoder_layers heads decoder_keys"] | None
    corners: Float[np.ndarray, "2 cells cells"] | None
    centre: Float[np.ndarray, "cells cells"] | None
    box_cxcywh: Float[np.ndarray, "4"]
    score: float | None

    def missing(self) -> list[str]:
        """Return the names of explanations for which the network lacks the part."""
        parts = {
            "encoder attention (no encoder)": self.encoder,
            "decoder attention (no decoder)": self.decoder,
            "corner maps (the box head has none)": self.corners,
            "score (no score head)": self.score,
        }
        return [name for name, value in parts.items() if value is None]


@dataclass(frozen=True)
class PicturedTemplate(Features):
    """The tokens of a template, with its crop."""

    picture: SquareImage


class ExplainingEngine:
    """A `tracking.protocol.Engine` for one target, with the boxes of the engine that it wraps.

    Args:
        engine: The wrapped engine.
        position_xy: The search position to record the encoder's attention of, crop units [0, 1]; None for
            the centre of the predicted box.

    Attributes:
        last: The explanation of the latest search region.
    """

    def __init__(self, engine: TorchEngine, position_xy: tuple[float, float] | None = None) -> None:
        self.config = engine.config
        self.last: Explanation | None = None
        self._engine, self._position_xy = engine, position_xy
        self._cells = self.config.model.search.side // self.config.model.backbone.stride

    def embed(self, queries: BoxQueries) -> list[PicturedTemplate]:
        """Return the templates with their crops."""
        pictures = self._pictures(queries, self.config.model.template)
        templates = self._engine.embed(queries)
        return [
            PicturedTemplate(template.tokens, template.padding_mask, template.position, picture)
            for template, picture in zip(templates, pictures, strict=True)
        ]

    @torch.inference_mode()
    def predict(self, queries: BoxQueries, templates: Sequence[Sequence[PicturedTemplate]]) -> Prediction:
        """Return the box, and record its explanation."""
        with recording(self._engine.network) as asked:
            output = self._engine.output(*self._engine.crop(queries, self.config.model.search), templates)
        x, y = self._position_xy or output.box_cxcywh[0, :2].clamp(0, 1).tolist()
        column, row = (min(self._cells - 1, int(value * self._cells)) for value in (x, y))
        cell = row * self._cells + column - self._cells**2  # counted from the end: search tokens are last
        corners, centre = output.corner_logits, output.centre
        self.last = Explanation(
            search=self._pictures(queries, self.config.model.search)[0],
            templates=[template.picture for template in templates[0]],
            cells=self._cells,
            position_xy=(x, y),
            encoder=layer_weights(asked, ".attention", slice(cell, cell + 1 or None)),
            decoder=layer_weights(asked, ".cross_attention", slice(None)),
            corners=None if corners is None else _squared(corners[0].float().softmax(dim=-1)),
            centre=None if centre is None else _squared(centre.heat_logits[0].float().sigmoid()),
            box_cxcywh=output.box_cxcywh[0].double().cpu().numpy(),
            score=None if output.score_logit is None else float(output.score_logit[0].sigmoid()),
        )
        return self._engine.answer(output)

    def _pictures(self, queries: BoxQueries, crop: CropConfig) -> list[SquareImage]:
        transform = crop_transform(queries.boxes_xywh, crop.factor, crop.side)
        images = [queries.images[index] for index in queries.image_index]
        geometry = self.config.model.geometry
        return [cut(image, transform, geometry, row).image for row, image in enumerate(images)]


def _squared(values: Float[Tensor, "*maps cells_squared"]) -> Float[np.ndarray, "*maps cells cells"]:
    side = round(values.shape[-1] ** 0.5)
    return values.unflatten(-1, (side, side)).cpu().numpy()
