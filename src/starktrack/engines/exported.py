"""An exported network behind the protocols of trackers and refiners, whichever runtime runs its graph."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Shaped, UInt8

from starktrack.config.schema import Config, CropConfig
from starktrack.engines.process import OwnProcess
from starktrack.errors import CheckpointError
from starktrack.geometry.crop import CropTransform, crop_transform, cut
from starktrack.kinds import kind_of
from starktrack.tracking.protocol import BoxQueries, Runtime

ExportedTemplate = dict[str, Shaped[np.ndarray, "..."]]
"""What is kept of one template: its row of each template output of the graph."""


@dataclass(frozen=True)
class Half:
    """One of the two halves of an exported graph, by the names of its inputs and outputs."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class ExportedEngine(ABC):
    """Fulfils `tracking.protocol.Engine` with a tracker, `tracking.protocol.Refiner` with a refiner.

    The names in the graph are those of `kinds.kind.Graph`.

    Attributes:
        failures: What the runtime raises where a graph that it could open cannot be run.

    Args:
        config: The network's configuration.
        runtime: What runs it.
    """

    failures: ClassVar[tuple[type[Exception], ...]]

    def __init__(self, config: Config, runtime: Runtime) -> None:
        self._config, self._runtime, self._kind = config, runtime, kind_of(config)
        self._process = OwnProcess()
        self.template_half, self.search_half = halves(config)

    @property
    def config(self) -> Config:
        """The network's configuration; trackers that share the network have settings of their own."""
        return self._config

    @property
    def runtime(self) -> Runtime:
        """What runs the network, in which precision and where."""
        return self._runtime

    @abstractmethod
    def run(self, half: Half, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """Return the outputs of one half of the graph, in the order of `half.outputs`."""

    def embed(self, queries: BoxQueries) -> list[ExportedTemplate]:
        """Return what the network keeps of a template crop around each box."""
        self._process.check()
        inputs = self.template_inputs(queries)
        names = self.template_half.outputs
        kept = self._checked(self.template_half, inputs)
        return [dict(zip(names, rows, strict=True)) for rows in zip(*kept, strict=True)]

    def template_inputs(self, queries: BoxQueries) -> dict[str, np.ndarray]:
        """Return the inputs of the template half for a crop around each box."""
        crop = self.config.model.crops.template
        crops, masks = self.crop(queries, crop)
        windows = crop_transform(queries.boxes_xywh, crop.factor, crop.side)
        boxes = windows.to_crop(queries.boxes_xywh).astype(np.float32)
        parts = {"crops": crops, "masks": masks, "boxes": boxes}
        return {name: parts[part] for name, part in self._kind.graph.template_inputs.items()}

    def predict(self, queries: BoxQueries, templates: Sequence[Sequence[ExportedTemplate]]) -> Any:
        """Return the network's answer about the crop around each box."""
        self._process.check()
        return self.locate(*self.crop(queries, self.config.model.crops.search), templates)

    def locate(
        self,
        crops: UInt8[np.ndarray, "batch side side 3"],
        masks: Bool[np.ndarray, "batch side side"],
        templates: Sequence[Sequence[ExportedTemplate]],
    ) -> Any:
        """Return the network's answer about search crops that were cut already."""
        inputs = self.search_inputs(crops, masks, templates)
        answer = self._kind.answer(*self._checked(self.search_half, inputs))
        if answer.boxes_cxcywh.shape != (len(crops), 4):
            raise self._broken(f"boxes of shape {answer.boxes_cxcywh.shape}")
        return answer

    def _checked(self, half: Half, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """Return the outputs of one half of the graph, a row for each crop.

        Raises:
            CheckpointError: The graph of a damaged file cannot be run, or answers something else.
        """
        try:
            outputs = self.run(half, inputs)
        except self.failures as error:
            raise self._broken(first_line(error)) from error
        (count,) = {len(values) for values in inputs.values()}
        for name, values in zip(half.outputs, outputs, strict=True):
            if values.shape[:1] != (count,):
                raise self._broken(f"{name} of shape {values.shape} for {count} crops")
        return outputs

    def _broken(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"an exported network must run on every crop, {self.config.name} on {self.runtime} gives: {what}; write "
            "the file anew: starktrack export"
        )

    def search_inputs(
        self,
        crops: UInt8[np.ndarray, "batch side side 3"],
        masks: Bool[np.ndarray, "batch side side"],
        templates: Sequence[Sequence[ExportedTemplate]],
    ) -> dict[str, np.ndarray]:
        """Return the inputs of the search half for crops that were cut already."""
        parts: dict[str, np.ndarray] = {"crops": crops, "masks": masks}
        for name in self.template_half.outputs:
            parts[name] = np.stack(
                [np.concatenate([template[name] for template in each]) for each in templates]
            )
        return {name: parts[part] for name, part in self._kind.graph.search_inputs.items()}

    def crop(
        self, queries: BoxQueries, crop: CropConfig
    ) -> tuple[UInt8[np.ndarray, "batch side side 3"], Bool[np.ndarray, "batch side side"]]:
        """Return crops around each box and their padding masks."""
        windows = crop_transform(queries.boxes_xywh, crop.factor, crop.side)
        return crop_queries(queries, windows, self.config.model.crops.geometry)


def halves(config: Config) -> tuple[Half, Half]:
    """Return the template half and the search half of the graph of a network with this configuration."""
    kind = kind_of(config)
    return (
        Half(tuple(kind.graph.template_inputs), kind.graph.template_outputs),
        Half(tuple(kind.graph.search_inputs), kind.outputs(config.model)),
    )


def check_names(present: Collection[str], config: Config, path: Path) -> None:
    """Check that a graph has all inputs and outputs of its kind.

    Raises:
        CheckpointError: It lacks some.
    """
    missing = [
        name for half in halves(config) for name in (*half.inputs, *half.outputs) if name not in present
    ]
    if missing:
        raise CheckpointError(
            f"an exported network must have inputs and outputs of its kind, {path} lacks {', '.join(missing)}; "
            "write it anew: starktrack export"
        )


def first_line(error: BaseException) -> str:
    """Return what a runtime says went wrong, without where in its own source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next(
        (line for line in lines if not line.startswith(("Exception from", "Check '"))), "no reason given"
    )


def crop_queries(
    queries: BoxQueries, windows: CropTransform, geometry: Literal["published", "exact"]
) -> tuple[UInt8[np.ndarray, "batch side side 3"], Bool[np.ndarray, "batch side side"]]:
    """Return the crop of each window and its padding mask, one window for each box."""
    crops = [
        cut(queries.images[image], windows, geometry, index)
        for index, image in enumerate(queries.image_index)
    ]
    return np.stack([each.image for each in crops]), np.stack([each.padding_mask for each in crops])
