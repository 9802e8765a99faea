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
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from starktrack.config.schema import Config, CropConfig
from starktrack.config.stored import from_metadata
from starktrack.errors import CheckpointError
from starktrack.geometry.crop import crop_transform, cut
from starktrack.tracking.protocol import Prediction, Views

TEMPLATE_INPUTS = ("template_crops", "template_masks")
SEARCH_INPUTS = ("search_crops", "search_masks", "tokens", "padding_mask", "position")
TEMPLATE_OUTPUTS = ("template_tokens", "template_padding_mask", "template_position")
SEARCH_OUTPUTS = ("box_cxcywh", "score")
"""Names in the graph; `score` only with a score head. Crops are uint8, masks True outside the image."""

_DTYPES = {"tensor(uint8)": np.uint8, "tensor(bool)": np.bool_, "tensor(float)": np.float32}


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
        self.config = config
        self._session = session
        self._none = {
            each.name: np.zeros((0, *each.shape[1:]), _DTYPES[each.type]) for each in session.get_inputs()
        }

    def embed(self, views: Views) -> list[OnnxTemplate]:
        """Return the tokens of a template crop around each box."""
        crops = self.crop(views, self.config.model.template)
        fed = dict(zip(TEMPLATE_INPUTS, crops, strict=True))
        parts = self._session.run(TEMPLATE_OUTPUTS, {**self._none, **fed})
        return [OnnxTemplate(*rows) for rows in zip(*parts, strict=True)]

    def predict(self, views: Views, templates: Sequence[Sequence[OnnxTemplate]]) -> Prediction:
        """Return the target's box in the search region around each last known box."""
        return self.locate(*self.crop(views, self.config.model.search), templates)

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
        self, views: Views, crop: CropConfig
    ) -> tuple[UInt8[np.ndarray, "batch side side 3"], Bool[np.ndarray, "batch side side"]]:
        """Return crops around each box and their padding masks."""
        transform = crop_transform(views.boxes_xywh, crop.factor, crop.side)
        crops = [
            cut(views.images[image], transform, self.config.model.geometry, index)
            for index, image in enumerate(views.image_index)
        ]
        return np.stack([each.image for each in crops]), np.stack([each.padding_mask for each in crops])


def open_onnx(path: Path, *, threads: int = 0) -> OnnxEngine:
    """Return the engine of an exported network, on the CPU.

    Args:
        threads: Threads of one call; 0 takes a thread for each core.

    Raises:
        CheckpointError: The file is missing, damaged, or not written by `starktrack export`.
    """
    if not path.is_file():
        raise CheckpointError(f"weights must be a file, {path} does not exist")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin while they wait take the cores from the decoder, and from whoever else runs there.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (
        runtime_errors.Fail,
        runtime_errors.InvalidArgument,
        runtime_errors.InvalidGraph,
        runtime_errors.InvalidProtobuf,
        runtime_errors.NotImplemented,
        UnicodeDecodeError,  # of names in a damaged graph
    ) as error:
        raise CheckpointError(
            f"weights ending in .onnx must be an ONNX graph, {path} is not or is truncated ({error}); "
            "write it anew: starktrack export"
        ) from error
    return OnnxEngine(session, from_metadata(path, session.get_modelmeta().custom_metadata_map))
