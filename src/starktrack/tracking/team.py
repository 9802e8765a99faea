"""Targets of several videos, moved on together: our network in one pass, other trackers one by one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from starktrack.arrays import Box, Image
from starktrack.errors import InputError
from starktrack.geometry.boxes import check_box
from starktrack.tracking.protocol import BoxQueries, Engine
from starktrack.tracking.stages import TimedEngine, TwoStepEngine
from starktrack.tracking.tracker import Target, advance, begin

Sighting: TypeAlias = tuple[Box, float | None]
"""Where a target is, image pixels, and how likely it is there, where that is known."""


@runtime_checkable
class Team(Protocol):
    """What tracks. `capacity` targets at a time pay off; results do not depend on how many there are.

    `stages` holds the seconds that each stage of its work took so far, where it knows stages.
    """

    capacity: int

    @property
    def stages(self) -> Mapping[str, float]: ...  # noqa: D102

    def start(self, image: Image, box_xywh: Box) -> Any:
        """Return what is remembered of a target from its first frame."""
        ...

    def advance(self, targets: Sequence[Any], images: Sequence[Image]) -> list[Sighting]:
        """Find each target in its next frame."""
        ...


class EngineTeam:
    """Targets that share a forward pass of our network.

    Args:
        engine: The network.
        capacity: Targets in one pass.
    """

    def __init__(self, engine: Engine, capacity: int) -> None:
        self._timed = TimedEngine(engine) if isinstance(engine, TwoStepEngine) else None
        self.engine: Engine = engine if self._timed is None else self._timed
        self.capacity = capacity

    @property
    def stages(self) -> Mapping[str, float]:
        """Return the seconds of crops and network so far."""
        return {} if self._timed is None else self._timed.watch.seconds

    def start(self, image: Image, box_xywh: Box) -> Target:
        """Return a new target; BoxError when the box cannot be tracked in this image."""
        checked = check_box(box_xywh, image.shape[:2])
        return begin(self.engine, BoxQueries([image], np.zeros(1, np.int64), checked[None]))[0]

    def advance(self, targets: Sequence[Target], images: Sequence[Image]) -> list[Sighting]:
        """Find every target in one forward pass."""
        outputs = advance(self.engine, targets, images, range(len(images)))
        return [(output.box_xywh, output.score) for output in outputs]


@runtime_checkable
class PluginTracker(Protocol):
    """A tracker of your own: these two methods are all that is asked of it."""

    def start(self, image: Image, box_xywh: Box) -> None: ...  # noqa: D102

    def update(self, image: Image) -> Box: ...  # noqa: D102


class PluginTeam:
    """Trackers that know nothing of each other; a new one is made for every target."""

    capacity = 1

    @property
    def stages(self) -> Mapping[str, float]:
        """Return nothing: what a plugin does inside is not known."""
        return {}

    def __init__(self, factory: Callable[[], PluginTracker]) -> None:
        self._factory = factory

    def start(self, image: Image, box_xywh: Box) -> PluginTracker:
        """Return a new tracker that was shown its target."""
        tracker = self._factory()
        tracker.start(image, box_xywh.copy())
        return tracker

    def advance(self, targets: Sequence[PluginTracker], images: Sequence[Image]) -> list[Sighting]:
        """Ask each tracker for the box in its next frame."""
        return [(_checked(each.update(image)), None) for each, image in zip(targets, images, strict=True)]


def _checked(answer: Any) -> Box:
    try:
        box = np.array(answer, dtype=np.float64)
    except (TypeError, ValueError):
        box = np.empty(0)
    if box.shape != (4,) or not np.isfinite(box).all():
        raise InputError(f"a tracker's update must return four finite numbers x,y,w,h, got {answer!r}")
    return box
