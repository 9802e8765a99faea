"""VOT experiments: the runs of a workspace's sequences, in the toolkit's result files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

import numpy as np

from starktrack.data.formats.regions import Mask, Rectangle
from starktrack.data.formats.result_folder import claim_folder
from starktrack.data.sources.dataset import Dataset
from starktrack.data.sources.registry import open_dataset
from starktrack.errors import DatasetError
from starktrack.evaluation.vot_results import run_files, write_run
from starktrack.tracking.batch_runner import Clip, Finished, Task
from starktrack.tracking.refined_batch_tracker import RefinedTarget
from starktrack.tracking.refinement import mask_region
from starktrack.workflows.jobs import OnProgress, run_jobs
from starktrack.workflows.trackers import (
    RunSettings,
    TrackerSpec,
    check_overrides,
    describe_tracker,
    tracker_spec,
)


@dataclass(frozen=True)
class VotRuns:
    """The result of a VOT experiment.

    Attributes:
        folder: Where the runs lie.
        num_runs: Number of runs in the experiment.
        num_finished: Number of finished runs.
        problems: Errors in this process, a line each.
        has_failed: Whether a run failed.
        is_first: Whether this process speaks for all of a `torchrun`.
    """

    folder: Path
    num_runs: int
    num_finished: int
    problems: tuple[str, ...]
    has_failed: bool
    is_first: bool


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
        label: Name of its files: the anchor in eight digits, or 001.
        start: First frame.
        step: 1 forward to the last frame, -1 backward to the first.
    """

    sequence: str
    label: str
    start: int
    step: int

    @property
    def name(self) -> str:
        """Return the name of the run in messages."""
        return f"{self.sequence}_{self.label}"

    def order(self, num_frames: int) -> range:
        """Return the frames in the order of tracking."""
        return range(self.start, num_frames if self.step > 0 else -1, self.step)


def plan(dataset: Dataset, experiment: Experiment) -> list[VotStart]:
    """Return the runs of an experiment.

    Raises:
        DatasetError: In the anchor experiment a sequence has no anchors.
    """
    if experiment != Experiment.baseline:
        return [VotStart(name, "001", 0, 1) for name in dataset.names]
    runs: list[VotStart] = []
    for name in dataset.names:
        anchors = dataset[name].benchmark.anchors
        if not anchors:
            raise DatasetError(
                f"{name} must have anchor.value to start from, got none; is this a long-term set?"
            )
        runs += [VotStart(name, f"{frame:08d}", frame, step) for frame, step in anchors.items()]
    return runs


def run_vot(
    workspace: str | Path,
    experiment: str,
    tracker: str | TrackerSpec,
    *,
    mask: bool = False,
    workers: int = 1,
    batch: int = 0,
    device: str = "auto",
    overrides: Sequence[str] = (),
    nanotrack: str | Path | None = None,
    opencv_python: str | Path | None = None,
    on_progress: OnProgress | None = None,
) -> VotRuns:
    """Run or resume an experiment of a VOT workspace, and write the toolkit's result files.

    Args:
        workspace: Folder with `sequences/list.txt`.
        experiment: `baseline` starts at the anchors, `unsupervised` and `longterm` at the first frame.
        tracker: As for `evaluate`.
        mask: Answer masks: outlines with a refiner, else the box filled.
        workers: Processes on this machine.
        batch: Runs in one forward pass; 0 chooses a number for the device.
        device: `auto`, `cpu`, `cuda` or `mps`.
        overrides: `tracking.key=value` for our network.
        nanotrack: The folder of NanoTrack's two ONNX files.
        opencv_python: A Python with OpenCV's contrib wheel.
        on_progress: Called at the begin and after every step.

    Raises:
        ConfigError: Overrides that change nothing.
        DatasetError: No such workspace, or the anchor experiment without anchors.
        InputError: The folder holds results of another run.
        CheckpointError, MissingExtraError: As `starktrack.load`.
    """
    chosen = Experiment(experiment)
    dataset = open_dataset("vot", Path(workspace), "all")
    runs = {each.name: each for each in plan(dataset, chosen)}
    spec = tracker if isinstance(tracker, TrackerSpec) else tracker_spec(tracker, device)
    folder = Path(workspace) / "results" / spec.name / chosen.value
    benchmark = "vot_longterm" if chosen == Experiment.longterm else "vot"
    settings = RunSettings(
        device,
        batch,
        tuple(overrides),
        workers=workers,
        nanotrack=Path(nanotrack) if nanotrack else None,
        opencv_python=Path(opencv_python) if opencv_python else None,
    )
    check_overrides(settings, [spec])
    described = describe_tracker(spec, benchmark, settings)
    claim_folder(folder, {"dataset": benchmark, "experiment": chosen.value, "mask": mask, **described})
    job = VotJob(Path(workspace), spec, settings, benchmark, mask, folder, runs)
    outcome = run_jobs([job], on_progress)
    num_finished = sum(map(job.is_finished, runs))
    return VotRuns(folder, len(runs), num_finished, outcome.problems, outcome.has_failed, outcome.is_first)


@dataclass(frozen=True)
class VotJob:
    """A `workflows.jobs.Job`: the runs of one tracker."""

    workspace: Path
    tracker: TrackerSpec
    settings: RunSettings
    benchmark: str
    as_mask: bool
    folder: Path
    runs: Mapping[str, VotStart]
    keeps_outlines: bool = True

    @property
    def items(self) -> Sequence[str]:
        """Return the names of the runs."""
        return list(self.runs)

    def groups(self, items: Sequence[str]) -> Mapping[str, Sequence[Task]]:
        """Return the runs, to which the settings of one benchmark apply."""
        dataset = open_dataset("vot", self.workspace, "all")
        return {self.benchmark: [Task(item, partial(_clip, dataset, self.runs[item])) for item in items]}

    def is_finished(self, item: str) -> bool:
        """Return whether its file of regions is there."""
        return self._path(item).exists()

    def files(self, item: str) -> Sequence[Path]:
        """Return the toolkit's files of a run."""
        return list(run_files(self._path(item)))

    def write(self, finished: Finished) -> None:
        """Write regions, times and, where the tracker has scores, confidences."""
        trajectory = finished.trajectory
        regions: list[Mask | Rectangle]
        if not self.as_mask:
            regions = [Rectangle(box) for box in trajectory.boxes_xywh]
        elif isinstance(finished.target, RefinedTarget):
            regions = list(finished.target.regions)
        else:
            regions = [mask_region(np.zeros((1, 1), bool), box) for box in trajectory.boxes_xywh]
        scores = None if np.isnan(trajectory.scores).all() else trajectory.scores.tolist()
        write_run(self._path(finished.name), regions, trajectory.seconds, scores)

    def _path(self, item: str) -> Path:
        run = self.runs[item]
        return self.folder / run.sequence / f"{run.name}.txt"


def _clip(dataset: Dataset, run: VotStart) -> Clip:
    sequence = dataset[run.sequence]
    return Clip(sequence.frames, run.order(len(sequence)), sequence.boxes_xywh[run.start])
