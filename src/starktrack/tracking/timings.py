"""Seconds of the stages of tracking: an engine that times crops and network separately."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from starktrack.config.schema import Config, CropConfig
from starktrack.tracking.protocol import BoxQueries, Engine, Prediction, Template

CROP, NETWORK = "crop", "network"


@runtime_checkable
class TwoStepEngine(Engine, Protocol):
    """An engine with `predict` in two steps, `crop` and `locate`."""

    def crop(self, queries: BoxQueries, crop: CropConfig) -> tuple[Any, Any]:
        """Return crops around each box and their padding masks."""
        ...

    def locate(self, crops: Any, masks: Any, templates: Sequence[Sequence[Template]]) -> Prediction:
        """Return the target's box in search crops that were cut already."""
        ...


class StageTimer:
    """Seconds per stage so far."""

    def __init__(self) -> None:
        self.seconds = {CROP: 0.0, NETWORK: 0.0}

    @contextmanager
    def running(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - begun


class TimedEngine:
    """A `tracking.protocol.Engine` that times another engine.

    Convention: templates count as network, their crops included. A GPU cuts crops asynchronously, so that most of
    their time counts as the network's.
    """

    def __init__(self, engine: TwoStepEngine) -> None:
        self.engine = engine
        self.timer = StageTimer()

    @property
    def config(self) -> Config:
        """Return the configuration of the engine."""
        return self.engine.config

    def embed(self, queries: BoxQueries) -> list[Template]:
        """Return the network's features of a template crop around each box."""
        with self.timer.running(NETWORK):
            return self.engine.embed(queries)

    def predict(self, queries: BoxQueries, templates: Sequence[Sequence[Template]]) -> Prediction:
        """Return the target's box in the search region cut around each box."""
        with self.timer.running(CROP):
            crops, masks = self.engine.crop(queries, self.config.model.search)
        with self.timer.running(NETWORK):
            return self.engine.locate(crops, masks, templates)
