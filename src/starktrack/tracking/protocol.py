"""The interface between trackers and networks: NumPy in, NumPy out; the engine cuts the crops.

It separates state from arithmetic: `tracking` owns boxes, templates and time, an engine owns the network and its
device. `tracking` imports no PyTorch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from starktrack.arrays import Boxes, Image
from starktrack.config.schema import Config


@dataclass(frozen=True)
class BoxQueries:
    """Boxes on images: box b lies on `images[image_index[b]]`, so a frame reaches a device once.

    Attributes:
        images: The distinct frames.
        image_index: For each box, which frame it lies on.
        boxes_xywh: Image pixels.

    Example:
        >>> frame = np.zeros((48, 64, 3), np.uint8)
        >>> len(BoxQueries([frame], np.array([0, 0]), np.array([[1.0, 2, 30, 40], [5, 6, 7, 8]])))
        2
    """

    images: Sequence[Image]
    image_index: Int[np.ndarray, " batch"]
    boxes_xywh: Float[np.ndarray, "batch 4"]

    def __len__(self) -> int:
        return len(self.boxes_xywh)


@dataclass(frozen=True)
class Prediction:
    """The network's output for a batch of search regions.

    Attributes:
        boxes_cxcywh: In crop units [0, 1] of each search region.
        scores: Probability that the search region holds the target, or None without a score head.

    Example:
        >>> Prediction(np.array([[0.5, 0.5, 0.2, 0.3]]), np.array([0.9])).scores.tolist()
        [0.9]
    """

    boxes_cxcywh: Boxes
    scores: Float[np.ndarray, " batch"] | None


@dataclass(frozen=True)
class Runtime:
    """What runs a network.

    Attributes:
        engine: `torch`, `onnx` or `openvino`.
        precision: `float32`, `bfloat16`, `float16` or `int8`.
        device: `cpu`, `cuda` ...

    Example:
        >>> print(Runtime("openvino", "float32", "cpu"))
        openvino, float32, cpu
    """

    engine: str
    precision: str
    device: str

    def __str__(self) -> str:
        """Return all three, for messages and records."""
        return f"{self.engine}, {self.precision}, {self.device}"


@runtime_checkable
class HasRuntime(Protocol):
    """An engine that says what runs it; those of this package do, one of your own may."""

    @property
    def runtime(self) -> Runtime: ...  # noqa: D102


Template = Any
"""An engine's features of one template crop; only the engine that made them reads them."""


@runtime_checkable
class Engine(Protocol):
    """A network behind a plain interface. Results do not depend on how boxes were grouped in `BoxQueries`.

    `Tracker` takes any object with these methods, such as a network of your own or another runtime.

    Example:
        >>> import starktrack
        >>> isinstance(starktrack.load().engine, starktrack.Engine)
        True
    """

    @property
    def config(self) -> Config:
        """The network's configuration, with the default settings of trackers."""
        ...

    def embed(self, queries: BoxQueries) -> list[Template]:
        """Return the network's features of a template crop around each box."""
        ...

    def predict(self, queries: BoxQueries, templates: Sequence[Sequence[Template]]) -> Prediction:
        """Return the target's box in the search region cut around each box.

        Args:
            queries: The last known box of each target, on the frame to search.
            templates: For each target its templates, initial first, dynamic after.
        """
        ...


@dataclass(frozen=True)
class Refinement:
    """A refiner's output for a batch of crops around boxes.

    Attributes:
        boxes_cxcywh: In crop units [0, 1].
        mask_logits: Logits of the cells of each crop; above 0 on the target.

    Example:
        >>> answer = Refinement(np.array([[0.5, 0.5, 0.2, 0.3]]), np.array([[[-1.0, 2], [3, -4]]]))
        >>> (answer.mask_logits > 0).tolist()
        [[[False, True], [True, False]]]
    """

    boxes_cxcywh: Boxes
    mask_logits: Float[np.ndarray, "batch cells cells"]


@runtime_checkable
class Refiner(Protocol):
    """A second network that corrects boxes and predicts outlines; it works with any tracker.

    Example:
        >>> import starktrack
        >>> isinstance(starktrack.load(refine="refine_mobile").refiner, starktrack.Refiner)
        True
    """

    @property
    def config(self) -> Config:
        """The network's configuration."""
        ...

    def embed(self, queries: BoxQueries) -> list[Template]:
        """Return the network's features of the target in each box, in the target's first frame."""
        ...

    def predict(self, queries: BoxQueries, templates: Sequence[Sequence[Template]]) -> Refinement:
        """Return corrected box and outline in the crop around each box of a tracker.

        Args:
            queries: The tracker's box of each target.
            templates: The one template of each target.
        """
        ...
