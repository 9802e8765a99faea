"""Trackers of several videos at once: our network in one pass, other trackers one by one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from starktrack.arrays import Box, Image
from starktrack.config.schema import TrackingConfig
from starktrack.data.track_output import TrackOutput
from starktrack.errors import InputError
from starktrack.geometry.boxes import check_box
from starktrack.tracking.protocol import BoxQueries, Engine
from starktrack.tracking.target import Target, advance, begin
from starktrack.tracking.timings import TimedEngine, TwoStepEngine


@runtime_checkable
class BatchTracker(Protocol):
    """Tracks up to `capacity` targets together; its results do not depend on how many there are.

    `stage_seconds` holds the seconds of each stage so far, in trackers that measure them.
    """

    capacity: int

    @property
    def stage_seconds(self) -> Mapping[str, float]: ...  # noqa: D102

    def start(self, image: Image, box_xywh: Box) -> Any:
        """Return the state of a target in its first frame."""
        ...

    def advance(self, targets: Sequence[Any], images: Sequence[Image]) -> list[TrackOutput]:
        """Find each target in its next frame; the targets' states move on.

        Outputs carry no target id, no frame index and no time, which are the caller's.
        """
        ...


class NetworkTracker:
    """Targets that share a forward pass of our network.

    Args:
        engine: The network.
        capacity: Targets in one pass.
        settings: Tracking settings; by default those stored with the weights.
    """

    def __init__(self, engine: Engine, capacity: int, settings: TrackingConfig | None = None) -> None:
        self.settings = engine.config.tracking if settings is None else settings
        self._timed = TimedEngine(engine) if isinstance(engine, TwoStepEngine) else None
        self.engine: Engine = engine if self._timed is None else self._timed
        self.capacity = capacity

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """Return the seconds of crops and network so far."""
        return {} if self._timed is None else self._timed.timer.seconds

    def start(self, image: Image, box_xywh: Box) -> Target:
        """Return a new target; BoxError when the box cannot be tracked in this image."""
        checked = check_box(box_xywh, image.shape[:2])
        queries = BoxQueries([image], np.zeros(1, np.int64), checked[None])
        return begin(self.engine, queries, settings=self.settings)[0]

    def advance(self, targets: Sequence[Target], images: Sequence[Image]) -> list[TrackOutput]:
        """Find every target in one forward pass."""
        # Targets of one video share its frame, which is to reach a device once.
        distinct = list({id(image): image for image in images}.values())
        places = {id(image): place for place, image in enumerate(distinct)}
        return advance(
            self.engine, targets, distinct, [places[id(image)] for image in images], settings=self.settings
        )


@runtime_checkable
class PluginTracker(Protocol):
    """The two methods of a tracker of your own.

    `starktrack evaluate --tracker module:factory` calls `factory()` for every target. Images are RGB uint8
    `[H, W, 3]`; `start` gets the first frame and the box on it, `update` returns the box in the next frame;
    boxes are x,y,w,h in pixels.

    Example:
        >>> class Still:
        ...     def start(self, image, box_xywh):
        ...         self.box_xywh = box_xywh
        ...     def update(self, image):
        ...         return self.box_xywh
        >>> isinstance(Still(), PluginTracker)
        True
    """

    def start(self, image: Image, box_xywh: Box) -> None: ...  # noqa: D102

    def update(self, image: Image) -> Box: ...  # noqa: D102


class PluginAdapter:
    """A `BatchTracker` of plugins of one kind, with a new one for every target."""

    capacity = 1

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """Return nothing: the stages of a plugin are not known."""
        return {}

    def __init__(self, factory: Callable[[], PluginTracker]) -> None:
        self._factory = factory

    def start(self, image: Image, box_xywh: Box) -> PluginTracker:
        """Return a new tracker, started on its target."""
        tracker = self._factory()
        tracker.start(image, box_xywh.copy())
        return tracker

    def advance(self, targets: Sequence[PluginTracker], images: Sequence[Image]) -> list[TrackOutput]:
        """Ask each tracker for the box in its next frame; InputError where the answer is no box."""
        return [
            TrackOutput(box_xywh=_as_box(each.update(image)))
            for each, image in zip(targets, images, strict=True)
        ]


def _as_box(answer: Any) -> Box:
    try:
        box = np.array(answer, dtype=np.float64)
    except (TypeError, ValueError):
        box = np.empty(0)
    if box.shape != (4,) or not np.isfinite(box).all():
        raise InputError(f"a tracker's update must return four finite numbers x,y,w,h, got {answer!r}")
    return box
