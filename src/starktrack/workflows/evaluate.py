"""Evaluation: tracks the sequences of a data set and scores the trackers by its rules."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from starktrack.api import EngineName
from starktrack.config.precision import Precision
from starktrack.data.collection import annotation_form, by_benchmark, open_benchmark
from starktrack.data.formats.result_folder import ResultFolder
from starktrack.data.sources.dataset import Dataset
from starktrack.errors import ConfigError, DatasetError, nearest_name
from starktrack.evaluation.scoring import Evaluation
from starktrack.pretrained import DEFAULT
from starktrack.tracking.batch_runner import Clip, Finished, Task
from starktrack.workflows.callbacks import Note
from starktrack.workflows.jobs import OnProgress, run_jobs
from starktrack.workflows.scoring import read_truth, score_results
from starktrack.workflows.trackers import (
    RunSettings,
    TrackerSpec,
    check_overrides,
    describe_tracker,
    resolve_config,
    tracker_spec,
)


@dataclass(frozen=True)
class EvaluationRun:
    """The result of an evaluation.

    Attributes:
        dataset: Name of the data set.
        names: The sequences that every tracker finished.
        folders: By tracker, the folder of its results.
        evaluations: Scores on `names`, one for each tracker; none without published truth, and none in processes of
            a `torchrun` after the first.
        conventions: By data set the rules that scored it, in words.
        problems: Errors in this process, a line each.
        has_failed: Whether a sequence failed.

    Example:
        >>> folders = {"ours": Path("results/ours")}
        >>> run = EvaluationRun("otb", ("Dog",), folders, (), {}, problems=(), has_failed=False)
        >>> [evaluation.tracker for evaluation in run.evaluations], run.problems
        ([], ())
    """

    dataset: str
    names: tuple[str, ...]
    folders: Mapping[str, Path]
    evaluations: tuple[Evaluation, ...]
    conventions: Mapping[str, Sequence[str]]
    problems: tuple[str, ...]
    has_failed: bool


def evaluate(
    dataset: str,
    root: str | Path,
    trackers: Sequence[str | TrackerSpec],
    *,
    refine: str | None = None,
    split: str | None = None,
    sequences: Sequence[str] = (),
    out: str | Path = "results",
    workers: int = 1,
    batch: int = 0,
    device: str = "auto",
    engine: EngineName = "auto",
    precision: Precision = "auto",
    overrides: Sequence[str] = (),
    integer: bool = False,
    allow_missing: bool = False,
    nanotrack: str | Path | None = None,
    opencv_python: str | Path | None = None,
    on_progress: OnProgress | None = None,
    on_note: Note | None = None,
) -> EvaluationRun:
    """Track a data set with some trackers, resume an earlier run, and score them.

    Args:
        dataset: `lasot`, `otb` …; `all` for every data set below the root.
        root: Its folder or zip.
        trackers: A file of weights, `stark_mobile` (weights of the package), `csrt`, `kcf`, `mil`, `nanotrack`, or
            `module:factory` of a tracker of your own.
        refine: Weights of a refiner behind every tracker; their results are those of `TRACKER+REFINER`.
        split: Part of the data set; the benchmark's by default.
        sequences: Only these.
        out: Results go to `OUT/<data set>_<split>/<tracker>`.
        workers: Processes on this machine.
        batch: Sequences in one forward pass; 0 for what suits the device.
        device: As `starktrack.load`.
        engine: What runs our networks. `auto` goes by the file alone: ONNX Runtime for exported networks also where
            OpenVINO is installed, so that results of several machines compare.
        precision: As `starktrack.load`.
        overrides: `tracking.key=value` for our networks.
        integer: Write whole pixels, as the authors' result files have.
        allow_missing: Take the sequences that are there.
        nanotrack: The folder of NanoTrack's two ONNX files.
        opencv_python: A Python with OpenCV's contrib wheel.
        on_progress: Called when a tracker begins and after every step.
        on_note: Called with lines on what is not scored as it should be.

    Returns:
        Scores, folders and problems; a sequence that fails is a problem and stops no other.

    Raises:
        ConfigError: No tracker, two of one name, or overrides that change nothing.
        DatasetError: The data set, or a sequence that is named, is not there.
        InputError: The folder holds results of another run.
        CheckpointError, MissingExtraError: As `starktrack.load`.

    Example:
        >>> import starktrack
        >>> run = starktrack.evaluate("otb", "data/otb", ["stark_mobile"], allow_missing=True, device="cpu")
        >>> run.names, run.problems
        (('Dog',), ())
        >>> 0 <= run.evaluations[0].overall("auc") <= 1
        True
    """
    place = DataPlace(dataset, Path(root), split, allow_missing)
    settings = RunSettings(
        device,
        batch,
        tuple(overrides),
        integer,
        workers,
        Path(nanotrack) if nanotrack else None,
        Path(opencv_python) if opencv_python else None,
        engine=engine,
        precision=precision,
    )
    specs = [
        each if isinstance(each, TrackerSpec) else tracker_spec(each, device, engine=engine)
        for each in trackers
    ]
    _check_names([spec.name for spec in specs])
    if refine is not None:
        specs = [replace(each, name=f"{each.name}+{Path(refine).stem}", refine=refine) for each in specs]
    check_overrides(settings, specs)
    opened = place.open()
    wanted = _chosen(opened, sequences)
    home = Path(out) / f"{opened.name}_{opened.split.replace('/', '-')}"
    jobs = [EvaluationJob(place, spec, settings, home / spec.name, wanted) for spec in specs]
    for job in jobs:
        ResultFolder(job.folder).claim(describe(job, opened))
    outcome = run_jobs(jobs, on_progress)
    folders = {job.tracker.name: job.folder for job in jobs}
    done = tuple(name for name in wanted if all(job.is_finished(name) for job in jobs))
    evaluations, conventions = (), {}
    if outcome.is_first:
        if on_note is not None and len(done) < len(wanted):
            on_note(f"{len(done)} of {len(wanted)} sequences are finished by every tracker")
        truth = read_truth(opened, done, on_note=on_note)
        if truth.sequences:
            evaluations = tuple(score_results(who, at, truth, on_note=on_note) for who, at in folders.items())
            conventions = truth.conventions
    return EvaluationRun(
        opened.name, done, folders, evaluations, conventions, outcome.problems, outcome.has_failed
    )


@dataclass(frozen=True)
class DataPlace:
    """A data set that every process opens itself."""

    name: str
    root: Path
    split: str | None
    allow_missing: bool

    def open(self) -> Dataset:
        """Return it; DatasetError when it is not there."""
        return open_benchmark(self.name, self.root, self.split, allow_missing=self.allow_missing)


@dataclass(frozen=True)
class EvaluationJob:
    """A `workflows.jobs.Job`: track the named sequences of a data set."""

    data: DataPlace
    tracker: TrackerSpec
    settings: RunSettings
    folder: Path
    items: tuple[str, ...]
    keeps_outlines: bool = False

    def groups(self, items: Sequence[str]) -> Mapping[str, Sequence[Task]]:
        """Return the sequences by the data set of a union that they are from."""
        dataset = self.data.open()
        return {
            part: [Task(name, partial(_clip, dataset, name)) for name in names]
            for part, names in by_benchmark(dataset, items).items()
        }

    def is_finished(self, item: str) -> bool:
        """Return whether its file of boxes is there."""
        return ResultFolder(self.folder).is_finished(item)

    def files(self, item: str) -> Sequence[Path]:
        """Return the files of a sequence."""
        return ResultFolder(self.folder).files(item)

    def write(self, finished: Finished) -> None:
        """Write boxes, scores and times."""
        ResultFolder(self.folder).write(
            finished.name, finished.trajectory, finished.stage_seconds, integer=self.settings.integer
        )


def describe(job: EvaluationJob, dataset: Dataset) -> Mapping[str, Any]:
    """Return the settings that affect the boxes of a job, as JSON values."""
    described: dict[str, Any] = {
        "starktrack": importlib.metadata.version("starktrack"),
        "dataset": dataset.name,
        "split": dataset.split,
        "annotation": annotation_form(dataset),
        "integer": job.settings.integer,
        **describe_tracker(job.tracker, job.data.name, job.settings),
    }
    weights, overrides = job.tracker.weights, job.settings.overrides
    # Of the whole data set, so that a run of some sequences can continue with all.
    parts = by_benchmark(dataset, dataset.names)
    if weights is not None and list(parts) != [job.data.name]:
        resolved = {part: resolve_config(weights, part, overrides).tracking for part in parts}
        described["update_intervals"] = {part: each.update_interval for part, each in resolved.items()}
    return described


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise ConfigError(
            "an evaluation needs a tracker, got none; give --weights FILE or --tracker NAME, "
            f"such as --tracker {DEFAULT}"
        )
    if len(set(names)) < len(names):
        raise ConfigError(f"trackers must differ in name, got {', '.join(names)}; write NAME=…")


def _chosen(dataset: Dataset, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the names to track; DatasetError if a wanted one is missing."""
    unknown = [name for name in wanted if name not in dataset.names]
    if unknown:
        hint = nearest_name(unknown[0], dataset.names)
        raise DatasetError(f"{dataset.name} {dataset.split} has no sequence {unknown[0]!r} here{hint}")
    return tuple(wanted or dataset.names)


def _clip(dataset: Dataset, name: str) -> Clip:
    sequence = dataset[name]
    return Clip(sequence.frames, range(len(sequence.frames)), sequence.boxes_xywh[0])
