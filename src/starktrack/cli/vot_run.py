"""`starktrack vot run`: the experiments of a VOT workspace, in the toolkit's result files."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from starktrack.cli.campaign_progress import campaign_progress
from starktrack.cli.evaluation_job import (
    Broken,
    Contestant,
    Done,
    Settings,
    broken,
    describe_contestant,
    open_team,
)
from starktrack.cli.options import Device, DeviceOption, RefineOption
from starktrack.data.regions import Mask, Rectangle
from starktrack.data.result_folder import claim_folder
from starktrack.data.sources.dataset import Dataset
from starktrack.data.sources.registry import open_dataset
from starktrack.errors import ConfigError, DatasetError
from starktrack.tracking.campaign import Clip, Failed, Finished, Standing, Task, run_campaign
from starktrack.tracking.refined_team import RefinedTarget, RefinedTeam
from starktrack.tracking.refinement import tight_region
from starktrack.tracking.shares import Lost, Share, shares_here, work_here
from starktrack.tracking.team import Team


class Experiment(StrEnum):
    """Experiments of the VOT2020 stacks: `baseline` starts at the anchors, the others at the first frame."""

    baseline = "baseline"
    unsupervised = "unsupervised"
    longterm = "longterm"


@dataclass(frozen=True)
class VotRun:
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


def plan(dataset: Dataset, experiment: Experiment) -> list[VotRun]:
    """Return the runs of an experiment.

    Raises:
        DatasetError: The anchor experiment is asked for and a sequence has no anchors.
    """
    if experiment != Experiment.baseline:
        return [VotRun(name, "001", 0, 1) for name in dataset.names]
    runs: list[VotRun] = []
    for name in dataset.names:
        anchors = dataset.facts(name).anchors
        if anchors is None or not anchors.any():
            raise DatasetError(
                f"{name} must have anchor.value to start from, got none; is this a long-term set?"
            )
        frames = np.flatnonzero(anchors).tolist()
        runs += [VotRun(name, f"{frame:08d}", frame, 1 if anchors[frame] > 0 else -1) for frame in frames]
    return runs


@dataclass(frozen=True)
class VotJob:
    """The runs of one tracker; sent to every worker, which does its share."""

    workspace: Path
    contestant: Contestant
    settings: Settings
    benchmark: str
    as_mask: bool
    folder: Path
    runs: Mapping[str, VotRun]

    def path(self, run: VotRun) -> Path:
        """Return the file of a run's regions; its presence says that the run is finished."""
        return self.folder / run.sequence / f"{run.name}.txt"

    def left(self, share: Share) -> list[VotRun]:
        """Return the unfinished runs of a share."""
        return [
            self.runs[name] for name in share.of(list(self.runs)) if not self.path(self.runs[name]).exists()
        ]

    def __call__(self, share: Share) -> Iterator[Done | Broken | Standing]:
        """Do what is unfinished of a share and yield what there is to tell."""
        dataset = open_dataset("vot", self.workspace, "all")
        tasks = [Task(run.name, partial(_clip, dataset, run)) for run in self.left(share)]
        with open_team(self.contestant, self.benchmark, self.settings, share) as team:
            for event in run_campaign(self._refined(team), tasks):
                if isinstance(event, Standing):
                    yield event
                elif isinstance(event, Failed):
                    yield broken(event)
                else:
                    self._write(self.runs[event.name], event)
                    yield Done(event.name, len(event.trajectory))

    def _refined(self, team: Team) -> Team:
        if not self.contestant.refine:
            return team
        from starktrack.api import load_refiner

        return RefinedTeam(team, load_refiner(self.contestant.refine, device=self.settings.device))

    def _regions(self, event: Finished) -> list[Mask | Rectangle]:
        boxes = event.trajectory.boxes_xywh
        if not self.as_mask:
            return [Rectangle(box) for box in boxes]
        if isinstance(event.target, RefinedTarget):
            return list(event.target.regions)
        return [tight_region(np.zeros((1, 1), bool), box) for box in boxes]

    def _write(self, run: VotRun, event: Finished) -> None:
        from starktrack.evaluation.vot_results import write_run

        trajectory, regions = event.trajectory, self._regions(event)
        known = not np.isnan(trajectory.scores).all()
        path = self.path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written elsewhere first, and the regions moved last: a run is finished or is not.
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            whole = Path(folder) / path.name
            write_run(whole, regions, trajectory.seconds, trajectory.scores.tolist() if known else None)
            for file in sorted(Path(folder).iterdir(), key=lambda file: file == whole):
                shutil.move(file, path.parent / file.name)


def run(
    workspace: Annotated[Path, typer.Argument(metavar="WORKSPACE", help="With sequences/list.txt.")],
    experiment: Annotated[Experiment, typer.Option(help="baseline starts at the anchors.")],
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Checkpoint of our network.")] = None,
    tracker: Annotated[str, typer.Option(help="Another tracker; as in `starktrack evaluate`.")] = "",
    name: Annotated[str, typer.Option(help="Its folder below results/; default: the file's name.")] = "",
    mask: Annotated[
        bool, typer.Option("--mask", help="Answer masks: outlines with --refine, else the box filled.")
    ] = False,
    refine: RefineOption = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Such as tracking.search_growth=2."),
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Processes on this machine.")] = 1,
    batch: Annotated[int, typer.Option(metavar="B", min=0, help="Runs in one forward pass.")] = 0,
    device: DeviceOption = Device.auto,
    nanotrack: Annotated[Path | None, typer.Option(metavar="DIR", help="NanoTrack's two files.")] = None,
    opencv_python: Annotated[Path | None, typer.Option(metavar="FILE", help="Python with contrib.")] = None,
) -> None:
    """Run an experiment and write the toolkit's result files; goes on where it stopped.

    The realtime experiment needs the toolkit's clock and is not run here: starktrack vot init, then vot evaluate.
    Score them with `starktrack report` or with `vot analysis`.
    """
    if (weights is None) == (not tracker):
        raise ConfigError("a run needs either --weights FILE or --tracker NAME, got both or none")
    dataset = open_dataset("vot", workspace, "all")
    label = name or (weights.stem if weights else tracker.replace(":", "."))
    folder = workspace / "results" / label / experiment.value
    contestant = Contestant(label, weights, tracker, refine or "")
    benchmark = "vot_longterm" if experiment == Experiment.longterm else "vot"
    settings = Settings(
        device.value,
        batch,
        tuple(overrides or ()),
        workers=workers,
        nanotrack=nanotrack,
        opencv_python=opencv_python,
    )
    told = describe_contestant(contestant, benchmark, settings)
    claim_folder(folder, {"dataset": benchmark, "experiment": experiment.value, "mask": mask, **told})
    job = VotJob(
        workspace,
        contestant,
        settings,
        benchmark,
        mask,
        folder,
        {each.name: each for each in plan(dataset, experiment)},
    )
    problems = _follow(job, shares_here(workers, os.environ))
    num_done = sum(job.path(each).exists() for each in job.runs.values())
    sys.stdout.write(f"{num_done} of {len(job.runs)} runs are in {folder}\n")
    for problem in problems:
        sys.stderr.write(f"failed: {problem}\n")
    if problems:
        raise typer.Exit(1)


def _follow(job: VotJob, shares: Sequence[Share]) -> list[str]:
    left = sum(len(job.left(share)) for share in shares)
    if not left:
        return []
    problems: list[str] = []
    with campaign_progress(job.contestant.name, left) as progress:
        for share, event in work_here(job, shares):
            if isinstance(event, Standing):
                progress.update(share, event)
            elif isinstance(event, Broken):
                problems.append(f"{job.contestant.name} on {event.name}, {event.reason}")
            elif isinstance(event, Lost):
                problems.append(f"{job.contestant.name}, worker {share.index}: {event.reason.strip()}")
    return problems


def _clip(dataset: Dataset, run: VotRun) -> Clip:
    sequence = dataset[run.sequence]
    return Clip(sequence.frames, run.order(len(sequence)), sequence.boxes_xywh[run.start])
