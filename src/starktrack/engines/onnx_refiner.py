"""An exported refiner on ONNX Runtime, behind the tracker's protocol; needs no PyTorch.

As in `engines.onnx_engine` the file holds one graph of two halves that share the backbone's weights: a template
crop and its box become pooled features, and a crop becomes box and outline given such features.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from jaxtyping import Float, UInt8

from starktrack.config.metadata import refiner_from_metadata
from starktrack.config.refine import RefineConfig
from starktrack.engines.onnx_session import crop_queries, empty_inputs, open_session
from starktrack.geometry.crop import CropTransform, crop_transform
from starktrack.tracking.protocol import BoxQueries, Refinement

TEMPLATE_INPUTS = ("template_crops", "template_boxes")
CROP_INPUTS = ("templates", "crops")
TEMPLATE_OUTPUTS = ("template_features",)
CROP_OUTPUTS = ("box_cxcywh", "mask_logit")
"""Names in the graph. Crops are uint8; boxes are cxcywh in crop units."""


class OnnxRefiner:
    """Fulfils `tracking.protocol.Refiner`.

    Args:
        session: A graph written by `engines.export_refiner`.
        config: The network's configuration.
    """

    def __init__(self, session: onnxruntime.InferenceSession, config: RefineConfig) -> None:
        self._config = config
        self._session = session
        self._none = empty_inputs(session)

    @property
    def config(self) -> RefineConfig:
        """The network's configuration; trackers that share the network have settings of their own."""
        return self._config

    def embed(self, queries: BoxQueries) -> list[Float[np.ndarray, "width bins bins"]]:
        """Return the pooled features of the target in each box."""
        windows = self._windows(queries)
        boxes = windows.to_crop(queries.boxes_xywh).astype(np.float32)
        fed = dict(zip(TEMPLATE_INPUTS, (self._crops(queries, windows), boxes), strict=True))
        (features,) = self._session.run(TEMPLATE_OUTPUTS, {**self._none, **fed})
        return list(features)

    def refine(
        self, queries: BoxQueries, templates: Sequence[Float[np.ndarray, "width bins bins"]]
    ) -> Refinement:
        """Return refined box and outline in the crop around each box."""
        crops = self._crops(queries, self._windows(queries))
        fed = dict(zip(CROP_INPUTS, (np.stack(templates), crops), strict=True))
        boxes, logits = self._session.run(CROP_OUTPUTS, {**self._none, **fed})
        return Refinement(boxes.astype(np.float64), logits)

    def _windows(self, queries: BoxQueries) -> CropTransform:
        crop = self.config.model.crop
        return crop_transform(queries.boxes_xywh, crop.factor, crop.side)

    def _crops(self, queries: BoxQueries, windows: CropTransform) -> UInt8[np.ndarray, "batch side side 3"]:
        return crop_queries(queries, windows, self.config.model.geometry)[0]


def open_onnx_refiner(path: Path, *, threads: int = 0) -> OnnxRefiner:
    """Return an exported refiner, on the CPU.

    Args:
        threads: Threads of one call; 0 takes a thread for each core.

    Raises:
        CheckpointError: The file is missing, damaged, a tracker's, or not written by `starktrack export`.
    """
    session, metadata = open_session(path, threads=threads)
    return OnnxRefiner(session, refiner_from_metadata(path, metadata))
