"""An exported network on ONNX Runtime, behind the protocols of trackers and refiners; needs no PyTorch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from jaxtyping import Bool, Shaped, UInt8

from starktrack.config.metadata import from_metadata
from starktrack.config.schema import Config, CropConfig
from starktrack.engines.onnx_session import crop_queries, empty_inputs, open_session
from starktrack.engines.process import OwnProcess
from starktrack.geometry.crop import crop_transform
from starktrack.kinds import kind_of
from starktrack.tracking.protocol import BoxQueries

OnnxTemplate = dict[str, Shaped[np.ndarray, "..."]]
"""The features of one template: its row of each template output of the graph."""


class OnnxEngine:
    """A `tracking.protocol.Engine` of a tracker, or a `tracking.protocol.Refiner` of a refiner.

    The names in the graph are those of `kinds.kind.Graph`.

    Args:
        session: A graph written by `engines.export`.
        config: The network's configuration.
    """

    def __init__(self, session: onnxruntime.InferenceSession, config: Config) -> None:
        self._config, self._kind = config, kind_of(config)
        self._process = OwnProcess()
        self._session = session
        self._none = empty_inputs(session)

    @property
    def config(self) -> Config:
        """The network's configuration; trackers that share the network have settings of their own."""
        return self._config

    def embed(self, queries: BoxQueries) -> list[OnnxTemplate]:
        """Return the network's features of a template crop around each box."""
        self._process.check()
        graph, crop = self._kind.graph, self.config.model.crops.template
        crops, masks = self.crop(queries, crop)
        windows = crop_transform(queries.boxes_xywh, crop.factor, crop.side)
        parts = {
            "crops": crops,
            "masks": masks,
            "boxes": windows.to_crop(queries.boxes_xywh).astype(np.float32),
        }
        fed = {name: parts[part] for name, part in graph.template_inputs.items()}
        kept = self._session.run(graph.template_outputs, {**self._none, **fed})
        return [dict(zip(graph.template_outputs, rows, strict=True)) for rows in zip(*kept, strict=True)]

    def predict(self, queries: BoxQueries, templates: Sequence[Sequence[OnnxTemplate]]) -> Any:
        """Return the network's output for the crop around each box."""
        self._process.check()
        return self.locate(*self.crop(queries, self.config.model.crops.search), templates)

    def locate(
        self,
        crops: UInt8[np.ndarray, "batch side side 3"],
        masks: Bool[np.ndarray, "batch side side"],
        templates: Sequence[Sequence[OnnxTemplate]],
    ) -> Any:
        """Return the network's output for search crops."""
        graph = self._kind.graph
        parts: dict[str, np.ndarray] = {"crops": crops, "masks": masks}
        for name in graph.template_outputs:
            parts[name] = np.stack(
                [np.concatenate([template[name] for template in each]) for each in templates]
            )
        fed = {name: parts[part] for name, part in graph.search_inputs.items()}
        outputs = self._kind.outputs(self.config.model)
        return self._kind.answer(*map(np.asarray, self._session.run(outputs, {**self._none, **fed})))

    def crop(
        self, queries: BoxQueries, crop: CropConfig
    ) -> tuple[UInt8[np.ndarray, "batch side side 3"], Bool[np.ndarray, "batch side side"]]:
        """Return crops around each box and their padding masks."""
        windows = crop_transform(queries.boxes_xywh, crop.factor, crop.side)
        return crop_queries(queries, windows, self.config.model.crops.geometry)


def open_onnx(path: Path, *, kind: str | None = None, threads: int = 0) -> OnnxEngine:
    """Return the engine of an exported network, on the CPU.

    Args:
        kind: The required kind of network; None for any.
        threads: Threads of one call; 0 takes a thread for each core.

    Raises:
        CheckpointError: The file is missing, damaged, not written by `starktrack export`, or of another kind.
    """
    session, metadata = open_session(path, threads=threads)
    return OnnxEngine(session, from_metadata(path, metadata, kind))
