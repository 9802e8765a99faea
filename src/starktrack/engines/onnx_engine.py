"""An exported network on ONNX Runtime, behind the tracker's protocol; needs no PyTorch.

The file holds one graph of two halves that share the backbone's weights: template crops become tokens, and
search crops become boxes given the tokens of their templates. A call feeds one half; the other gets a batch of
none, which takes about no time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from jaxtyping import Bool, Float, UInt8

from starktrack.config.metadata import from_metadata
from starktrack.config.schema import Config, CropConfig
from starktrack.engines.onnx_session import crop_queries, empty_inputs, open_session
from starktrack.geometry.crop import crop_transform
from starktrack.tracking.protocol import BoxQueries, Prediction

TEMPLATE_INPUTS = ("template_crops", "template_masks")
SEARCH_INPUTS = ("search_crops", "search_masks", "tokens", "padding_mask", "position")
TEMPLATE_OUTPUTS = ("template_tokens", "template_padding_mask", "template_position")
SEARCH_OUTPUTS = ("box_cxcywh", "score")
"""Names in the graph; `score` only with a score head. Crops are uint8, masks True outside the image."""


@dataclass(frozen=True)
class OnnxTemplate:
    """The tokens of one template crop; see `models.features.Features`."""

    tokens: Float[np.ndarray, "length width"]
    padding_mask: Bool[np.ndarray, " length"]
    position: Float[np.ndarray, "length width"]


class OnnxEngine:
    """Fulfils `tracking.protocol.Engine`.

    Args:
        session: A graph written by `engines.export`.
        config: The network's configuration.
    """

    def __init__(self, session: onnxruntime.InferenceSession, config: Config) -> None:
        self._config = config
        self._session = session
        self._none = empty_inputs(session)

    @property
    def config(self) -> Config:
        """The network's configuration; trackers that share the network have settings of their own."""
        return self._config

    def embed(self, queries: BoxQueries) -> list[OnnxTemplate]:
        """Return the tokens of a template crop around each box."""
        crops = self.crop(queries, self.config.model.template)
        fed = dict(zip(TEMPLATE_INPUTS, crops, strict=True))
        parts = self._session.run(TEMPLATE_OUTPUTS, {**self._none, **fed})
        return [OnnxTemplate(*rows) for rows in zip(*parts, strict=True)]

    def predict(self, queries: BoxQueries, templates: Sequence[Sequence[OnnxTemplate]]) -> Prediction:
        """Return the target's box in the search region around each last known box."""
        return self.locate(*self.crop(queries, self.config.model.search), templates)

    def locate(
        self,
        crops: UInt8[np.ndarray, "batch side side 3"],
        masks: Bool[np.ndarray, "batch side side"],
        templates: Sequence[Sequence[OnnxTemplate]],
    ) -> Prediction:
        """Return the target's box in search crops that were cut already."""
        features = (
            np.stack([np.concatenate([getattr(template, part) for template in each]) for each in templates])
            for part in ("tokens", "padding_mask", "position")
        )
        fed = dict(zip(SEARCH_INPUTS, (crops, masks, *features), strict=True))
        outputs = SEARCH_OUTPUTS if self.config.model.score_head else SEARCH_OUTPUTS[:1]
        boxes, *scores = self._session.run(outputs, {**self._none, **fed})
        return Prediction(boxes.astype(np.float64), scores[0].astype(np.float64) if scores else None)

    def crop(
        self, queries: BoxQueries, crop: CropConfig
    ) -> tuple[UInt8[np.ndarray, "batch side side 3"], Bool[np.ndarray, "batch side side"]]:
        """Return crops around each box and their padding masks."""
        windows = crop_transform(queries.boxes_xywh, crop.factor, crop.side)
        return crop_queries(queries, windows, self.config.model.geometry)


def open_onnx(path: Path, *, threads: int = 0) -> OnnxEngine:
    """Return the engine of an exported network, on the CPU.

    Args:
        threads: Threads of one call; 0 takes a thread for each core.

    Raises:
        CheckpointError: The file is missing, damaged, or not written by `starktrack export`.
    """
    session, metadata = open_session(path, threads=threads)
    return OnnxEngine(session, from_metadata(path, metadata))
