"""The resumable job: items that are tracked once each, divided among processes, with results written item by item. A
data set's evaluation and a VOT experiment are jobs. A job defines its items, how one is loaded, how its result is
written, and whether it is finished.

This scheduler stands beside `workflows.dispatch` because the processes of a `torchrun` have no common parent that could
hand out items: each takes its shard by its rank, and they meet only in the folder of results. So an item stays with its
process, and what a dead process leaves is done by the next run.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from starktrack.data.formats.result_folder import ResultFolder
from starktrack.files import discard_leftovers
from starktrack.tracking.batch_runner import BatchProgress, Failed, Finished, Task, run_batch
from starktrack.tracking.sharding import Shard, local_shards
from starktrack.workflows.dispatch import POLL_SECONDS, Done, Lost, NotDone
from starktrack.workflows.launch import is_first, is_launched, meet
from starktrack.workflows.local_workers import run_shards
from starktrack.workflows.trackers import RunSettings, TrackerSpec, open_batch_tracker


@runtime_checkable
class Job(Protocol):
    """One tracker on many items; sent to every worker process.

    Attributes:
        tracker: What tracks.
        settings: Settings of the run.
        folder: Folder of the results, with the traceback of a failed item in `failed/<item>.txt`.
        keeps_outlines: Whether to keep a refiner's outlines beside its boxes.
    """

    @property
    def tracker(self) -> TrackerSpec: ...  # noqa: D102

    @property
    def settings(self) -> RunSettings: ...  # noqa: D102

    @property
    def folder(self) -> Path: ...  # noqa: D102

    @property
    def keeps_outlines(self) -> bool: ...  # noqa: D102

    @property
    def items(self) -> Sequence[str]:
        """Return the names of all items, the same in every process."""
        ...

    def groups(self, items: Sequence[str]) -> Mapping[str, Sequence[Task]]:
        """Return the tasks of these items, by the benchmark with their inference settings."""
        ...

    def is_finished(self, item: str) -> bool:
        """Return whether an item was tracked to its end and written."""
        ...

    def files(self, item: str) -> Sequence[Path]:
        """Return the files that `write` makes of an item."""
        ...

    def write(self, finished: Finished) -> None:
        """Write the results of an item; the file that says that it is finished comes last."""
        ...


@dataclass(frozen=True)
class JobProgress:
    """Progress of this process and its workers in a job.

    It differs from `batch.BatchStatus`: a process sees only its own shards, in which sequences of known length progress
    by fractions, one tracker after the other. The driver of a batch knows every row, worker and failure.

    Attributes:
        title: Name of the tracker.
        total: Number of items to do here.
        finished_before: Number of items that an earlier run finished.
        items: Number of items that ended, with the fractions of the running ones.
        frames: Number of frames tracked.
    """

    title: str
    total: int
    finished_before: int
    items: float = 0.0
    frames: int = 0


OnProgress = Callable[[JobProgress], None]
"""Is called when a job begins and after every step."""


@dataclass(frozen=True)
class JobsOutcome:
    """The result of several jobs.

    Attributes:
        problems: Errors in this process, a line each.
        is_first: Whether this is the first process, which alone sees the end of all jobs.
        has_failed: Whether the command must exit with an error.
    """

    problems: tuple[str, ...]
    is_first: bool
    has_failed: bool


def run_jobs(jobs: Sequence[Job], on_progress: OnProgress | None = None) -> JobsOutcome:
    """Do the unfinished items of some jobs, with the workers of each and all processes of a `torchrun`.

    A failing item does not stop the others. Results of finished items are kept, so that the same call resumes.

    Args:
        jobs: One after another.
        on_progress: Called from this process.

    Raises:
        ConfigError: RANK and WORLD_SIZE of the environment do not fit.
    """
    for job in jobs:
        for item in _items_here(job):
            ResultFolder(job.folder).forget_failure(item)
        discard_leftovers(file for item in _items_here(job) for file in job.files(item))
    # From here on, what lies in `failed` is of this run, whoever wrote it.
    meet()
    problems = [problem for job in jobs for problem in _run(job, on_progress or (lambda progress: None))]
    if is_launched() and is_first():
        for job in jobs:
            failures = ResultFolder(job.folder)
            while not all(job.is_finished(item) or failures.has_failed(item) for item in job.items):
                time.sleep(POLL_SECONDS)
    # torchrun ends every process after an exit with an error, so only the first, which ends last, exits so.
    if is_launched():
        has_failed = is_first() and not all(job.is_finished(item) for job in jobs for item in job.items)
    else:
        has_failed = bool(problems)
    return JobsOutcome(tuple(problems), is_first(), has_failed)


def run_shard(job: Job, shard: Shard) -> Iterator[Done | NotDone | BatchProgress]:
    """Do the unfinished items of a shard in this process, write results, and yield events; `Done` has the frames."""
    left = [item for item in shard.of(job.items) if not job.is_finished(item)]
    if not left:
        return
    before = BatchProgress(0.0, 0)
    for benchmark, group in job.groups(left).items():
        # Checked again, since another process may have finished it meanwhile.
        tasks = (task for task in group if not job.is_finished(task.name))
        now = before
        with open_batch_tracker(
            job.tracker, benchmark, job.settings, shard, keeps_outlines=job.keeps_outlines
        ) as tracker:
            for event in run_batch(tracker, tasks):
                if isinstance(event, BatchProgress):
                    now = BatchProgress(before.clips + event.clips, before.frames + event.frames)
                    yield now
                elif isinstance(event, Failed):
                    not_done = NotDone.of(event)
                    ResultFolder(job.folder).write_failure(event.name, not_done.trace)
                    yield not_done
                else:
                    job.write(event)
                    yield Done(event.name, len(event.frame_seconds))
        before = now


def _items_here(job: Job) -> list[str]:
    return [item for shard in local_shards(job.settings.workers, os.environ) for item in shard.of(job.items)]


def _run(job: Job, on_progress: OnProgress) -> list[str]:
    """Do this process's part of a job; return its errors."""
    name, here = job.tracker.name, _items_here(job)
    left = sum(not job.is_finished(item) for item in here)
    on_progress(JobProgress(name, left, len(here) - left))
    if not left:
        return []
    problems: list[str] = []
    latest: dict[Shard, BatchProgress] = {}
    for shard, event in run_shards(partial(run_shard, job), local_shards(job.settings.workers, os.environ)):
        if isinstance(event, BatchProgress):
            latest[shard] = event
            items = sum((each.clips for each in latest.values()), 0.0)
            frames = sum(each.frames for each in latest.values())
            on_progress(JobProgress(name, left, len(here) - left, items, frames))
        elif isinstance(event, NotDone):
            problems.append(
                f"{name} on {event.id}, {event.reason}; all of it: {job.folder}/failed/{event.id}.txt"
            )
        elif isinstance(event, Lost):
            lost = [item for item in shard.of(job.items) if not job.is_finished(item)]
            for item in lost:
                ResultFolder(job.folder).write_failure(item, event.reason)
            problems.append(
                f"{name}, worker {shard.index}: {event.reason.strip()}; unfinished: {', '.join(lost[:5])}"
            )
    return problems
