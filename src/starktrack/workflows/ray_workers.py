"""Workers on a Ray cluster: an actor each.

Actors, not tasks and not Ray Data: an actor keeps its network open between videos and Ray places it by cores and GPUs,
while the driver hands out rows as it does here. So a worker that dies names the rows that it held, tries are bounded a
row, and what was tracked is written once, by the driver. Ray's own retries are off: they would track a row that kills
its worker again without end, and might run it twice.
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import Any

from starktrack.errors import ConfigError, MissingExtraError, StarktrackError
from starktrack.workflows.dispatch import Event, Lost, Message
from starktrack.workflows.local_workers import Serve

ANSWER_SECONDS = 2.0
"""How long an actor keeps a question for events open."""

COUNT_SECONDS = 5.0
"""How often the cluster is asked how large it is."""


class RayWorkers:
    """Fulfils `workflows.dispatch.Workers` with actors; nodes may come and go.

    Args:
        serve: The life of a worker.
        count: Actors; 0 for as many as the cluster's cores, or GPUs, allow at the time.
        threads: Cores of an actor.
        gpus: GPUs of an actor.
        address: Of a running cluster; without it Ray's own rule, which starts one on this machine where there is none.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: No cluster answers at the address.
    """

    def __init__(
        self, serve: Serve, count: int, *, threads: int = 1, gpus: int = 0, address: str | None = None
    ) -> None:
        try:
            ray: Any = import_module("ray")  # its types know neither options by name nor `ray.exceptions`
        except ImportError as error:
            raise MissingExtraError("ray", "ray", "a batch on Ray") from error
        self._ray: Any = ray  # its annotations lack options of actors and the module of exceptions
        self._started_ray = not ray.is_initialized()
        if self._started_ray:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ConfigError(
                    f"a Ray cluster must answer at {address or 'the default address'}, got: {error}; start one with "
                    "ray start --head"
                ) from error
        self._actor_class = self._ray.remote(
            num_cpus=threads,
            num_gpus=gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,
            scheduling_strategy="SPREAD",
        )(_RayWorker)
        self._serve, self._wanted = serve, count
        self._threads, self._gpus = threads, gpus
        self._actors: dict[int, Any] = {}
        self._polls: dict[Any, int] = {}
        self._counted = -COUNT_SECONDS
        self.count = count

    def fill(self, most: int, without: Collection[int] = ()) -> None:
        """Ask for the actors that are missing; they begin when the cluster has room for them."""
        if not self._wanted and time.monotonic() - self._counted > COUNT_SECONDS:
            self._counted = time.monotonic()
            has = self._ray.cluster_resources()
            room = has.get("GPU", 0) / self._gpus if self._gpus else has.get("CPU", 0) / self._threads
            self.count = max(1, int(room))
        for number in [each for each in range(self.count) if each not in without][:most]:
            if number not in self._actors:
                actor = self._actor_class.remote(self._serve, number)
                self._actors[number] = actor
                self._polls[actor.poll.remote(ANSWER_SECONDS)] = number

    def send(self, worker: int, messages: Sequence[Message]) -> None:
        """Send to an actor; one that died meanwhile is found by `receive`."""
        self._actors[worker].give.remote(list(messages))

    def receive(self, seconds: float) -> list[tuple[int, Event]]:
        """Return what happened, waiting so long at most for something."""
        refs = list(self._polls)
        answered, _ = self._ray.wait(refs, num_returns=1, timeout=seconds)
        if answered:  # those that have answered by now too
            answered, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        events: list[tuple[int, Event]] = []
        for ref in answered:
            number = self._polls.pop(ref)
            try:
                found: list[Event] = self._ray.get(ref)
            except self._ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()
                # An actor that was created does not end by itself: its process or its node was ended.
                is_external = "creation task" not in str(error)
                text = f"the worker died: {reason[0] if reason else type(error).__name__}"
                found = [Lost(text, is_external=is_external)]
            events += [(number, event) for event in found]
            if any(isinstance(event, Lost) for event in found):
                self._ray.kill(self._actors.pop(number))
            else:
                self._polls[self._actors[number].poll.remote(ANSWER_SECONDS)] = number
        return events

    def close(self) -> None:
        """End all actors, and leave the cluster where it was joined for them."""
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()
        self._polls.clear()
        if self._started_ray:
            self._ray.shutdown()


class _RayWorker:
    """An actor: the life of a worker in a thread of its own, while two others take and give."""

    def __init__(self, serve: Serve, number: int) -> None:
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._live, args=(serve, number), daemon=True)
        self._thread.start()

    def give(self, messages: Sequence[Message]) -> None:
        """Take messages."""
        for message in messages:
            self._messages.put(message)

    def poll(self, seconds: float) -> list[Event]:
        """Return what happened since the last question, waiting so long at most for something."""
        found: list[Event] = []
        try:
            found.append(self._events.get(timeout=seconds))
            while True:
                found.append(self._events.get_nowait())
        except queue.Empty:
            return found

    def _live(self, serve: Serve, number: int) -> None:
        try:
            serve(number, self._messages.get, self._events.put)
        except BaseException as error:
            ours = error if isinstance(error, StarktrackError) else None
            self._events.put(Lost(f"{type(error).__name__}: {error}", ours))
            raise
