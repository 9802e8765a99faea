"""The runs of a VOT experiment: what every worker process is given, and what it tells."""

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

import numpy as np

from starktrack.data.formats.regions import Mask, Rectangle
from starktrack.data.formats.result_folder import ResultFolder
from starktrack.data.sources.dataset import Dataset
from starktrack.data.sources.registry import open_dataset
from starktrack.errors import DatasetError
from starktrack.files import discard_leftovers
from starktrack.tracking.batch_runner import BatchProgress, Clip, Failed, Finished, Task, run_batch
from starktrack.tracking.batch_tracker import BatchTracker
from starktrack.tracking.refined_batch_tracker import OutlineBatchTracker, RefinedTarget
from starktrack.tracking.refinement import mask_region
from starktrack.tracking.sharding import Shard
from starktrack.workflows.evaluation_job import (
    Broken,
    Contestant,
    Done,
    Settings,
    broken,
    open_batch_tracker,
    open_refiner,
)


class Experiment(StrEnum):
    """Experiments of the VOT2020 stacks: `baseline` starts at the anchors, the others at the first frame."""

    baseline = "baseline"
    unsupervised = "unsupervised"
    longterm = "longterm"


@dataclass(frozen=True)
class VotStart:
    """One start of an experiment.

    Attributes:
        sequence: Its name.
        label: What its files are called after: the anchor in eight digits, or 001.
        start: First frame.
        step: 1 forward to the last frame, -1 backward to the first.
    """

    sequence: str
    label: str
    start: int
    step: int

    @property
    def name(self) -> str:
        """Return what the run is called in messages."""
        return f"{self.sequence}_{self.label}"

    def order(self, num_frames: int) -> range:
        """Return the frames in the order in which the tracker sees them."""
        return range(self.start, num_frames if self.step > 0 else -1, self.step)


def plan(dataset: Dataset, experiment: Experiment) -> list[VotStart]:
    """Return the runs of an experiment.

    Raises:
        DatasetError: The anchor experiment is asked for and a sequence has no anchors.
    """
    if experiment != Experiment.baseline:
        return [VotStart(name, "001", 0, 1) for name in dataset.names]
    runs: list[VotStart] = []
    for name in dataset.names:
        anchors = dataset.benchmark_info(name).anchors
        if anchors is None or not anchors.any():
            raise DatasetError(
                f"{name} must have anchor.value to start from, got none; is this a long-term set?"
            )
        frames = np.flatnonzero(anchors).tolist()
        runs += [VotStart(name, f"{frame:08d}", frame, 1 if anchors[frame] > 0 else -1) for frame in frames]
    return runs


@dataclass(frozen=True)
class VotJob:
    """The runs of one tracker; sent to every worker, which takes its shard."""

    workspace: Path
    contestant: Contestant
    settings: Settings
    benchmark: str
    as_mask: bool
    folder: Path
    runs: Mapping[str, VotStart]

    def path(self, run: VotStart) -> Path:
        """Return the file of a run's regions; its presence says that the run is finished."""
        return self.folder / run.sequence / f"{run.name}.txt"

    def is_finished(self, name: str) -> bool:
        """Return whether a run went to its end."""
        return self.path(self.runs[name]).exists()

    def is_over(self, name: str) -> bool:
        """Return whether a run is finished or has failed."""
        return self.is_finished(name) or self.failures.has_failed(name)

    @property
    def failures(self) -> ResultFolder:
        """Return where reasons of failed runs are kept."""
        return ResultFolder(self.folder)

    def clear(self, shard: Shard) -> None:
        """Remove failures of earlier attempts, and what killed ones left half written, of a shard."""
        from starktrack.evaluation.vot_results import run_files

        runs = [self.runs[name] for name in shard.of(list(self.runs))]
        for run in runs:
            self.failures.forget_failure(run.name)
        discard_leftovers(file for run in runs for file in run_files(self.path(run)))

    def left(self, shard: Shard) -> list[VotStart]:
        """Return the unfinished runs of a shard."""
        return [self.runs[name] for name in shard.of(list(self.runs)) if not self.is_finished(name)]

    def __call__(self, shard: Shard) -> Iterator[Done | Broken | BatchProgress]:
        """Do what is unfinished of a shard and yield what there is to tell."""
        left = self.left(shard)
        if not left:
            return
        dataset = open_dataset("vot", self.workspace, "all")
        tasks = [Task(run.name, partial(_clip, dataset, run)) for run in left]
        with open_batch_tracker(self.contestant, self.benchmark, self.settings, shard) as tracker:
            for event in run_batch(self._refined(tracker, shard), tasks):
                if isinstance(event, BatchProgress):
                    yield event
                elif isinstance(event, Failed):
                    self.failures.write_failure(event.name, "".join(traceback.format_exception(event.error)))
                    yield broken(event)
                else:
                    self._write(self.runs[event.name], event)
                    yield Done(event.name, len(event.trajectory))

    def _refined(self, tracker: BatchTracker, shard: Shard) -> BatchTracker:
        if not self.contestant.refine:
            return tracker
        return OutlineBatchTracker(tracker, open_refiner(self.contestant, self.settings, shard))

    def _regions(self, event: Finished) -> list[Mask | Rectangle]:
        boxes = event.trajectory.boxes_xywh
        if not self.as_mask:
            return [Rectangle(box) for box in boxes]
        if isinstance(event.target, RefinedTarget):
            return list(event.target.regions)
        return [mask_region(np.zeros((1, 1), bool), box) for box in boxes]

    def _write(self, run: VotStart, event: Finished) -> None:
        from starktrack.evaluation.vot_results import write_run

        trajectory, regions = event.trajectory, self._regions(event)
        known = not np.isnan(trajectory.scores).all()
        scores = trajectory.scores.tolist() if known else None
        write_run(self.path(run), regions, trajectory.seconds, scores)


def _clip(dataset: Dataset, run: VotStart) -> Clip:
    sequence = dataset[run.sequence]
    return Clip(sequence.frames, run.order(len(sequence)), sequence.boxes_xywh[run.start])
