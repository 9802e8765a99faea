"""`starktrack vot run`: the experiments of a VOT workspace, in the toolkit's result files."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from starktrack.cli.batch_progress import follow
from starktrack.cli.options import Device, DeviceOption, RefineOption
from starktrack.data.formats.result_folder import claim_folder
from starktrack.data.sources.registry import open_dataset
from starktrack.errors import ConfigError
from starktrack.tracking.batch_runner import BatchProgress
from starktrack.tracking.sharding import LostWorker, Shard, local_shards, run_shards
from starktrack.workflows.evaluation_job import (
    Broken,
    Contestant,
    Done,
    Settings,
    check_overrides,
    describe_contestant,
    named_contestant,
)
from starktrack.workflows.launch import ends_badly, is_first, is_launched, meet, wait_for_others
from starktrack.workflows.vot_job import Experiment, VotJob, plan


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

    Under `torchrun` every process does its share, and the first waits for the others.
    The realtime experiment needs the toolkit's clock: starktrack vot init, then vot evaluate of toolkit 0.7.3.
    Score them with `starktrack report` or with `vot analysis`.
    """
    if (weights is None) == (not tracker):
        raise ConfigError("a run needs either --weights FILE or --tracker NAME, got both or none")
    dataset = open_dataset("vot", workspace, "all")
    runs = {each.name: each for each in plan(dataset, experiment)}
    contestant = (
        Contestant(name or weights.stem, weights, refine=refine or "")
        if weights
        else named_contestant(tracker, device.value, name, refine or "")
    )
    folder = workspace / "results" / contestant.name / experiment.value
    benchmark = "vot_longterm" if experiment == Experiment.longterm else "vot"
    settings = Settings(
        device.value,
        batch,
        tuple(overrides or ()),
        workers=workers,
        nanotrack=nanotrack,
        opencv_python=opencv_python,
    )
    check_overrides(settings, [contestant])
    told = describe_contestant(contestant, benchmark, settings)
    claim_folder(folder, {"dataset": benchmark, "experiment": experiment.value, "mask": mask, **told})
    job = VotJob(
        workspace,
        contestant,
        settings,
        benchmark,
        mask,
        folder,
        runs,
    )
    shards = local_shards(workers, os.environ)
    for shard in shards:
        job.clear(shard)
    meet()
    problems = _follow(job, shards)
    if is_first():
        if is_launched():
            wait_for_others(job.is_over, list(job.runs))
        num_done = sum(map(job.is_finished, job.runs))
        sys.stdout.write(f"{num_done} of {len(job.runs)} runs are in {folder}\n")
    for problem in problems:
        sys.stderr.write(f"failed: {problem}\n")
    if ends_badly(problems, lambda: not all(map(job.is_finished, job.runs))):
        raise typer.Exit(1)


def _follow(job: VotJob, shards: Sequence[Shard]) -> list[str]:
    left = sum(len(job.left(shard)) for shard in shards)
    if not left:
        return []
    return follow(job.contestant.name, left, run_shards(job, shards), partial(_take, job))


def _take(job: VotJob, shard: Shard, event: Done | Broken | BatchProgress | LostWorker) -> list[str]:
    """Return the problem that an event tells of, if it does."""
    who = job.contestant.name
    if isinstance(event, Broken):
        return [f"{who} on {event.name}, {event.reason}; all of it: {job.folder}/failed/{event.name}.txt"]
    if isinstance(event, LostWorker):
        left = [run.name for run in job.left(shard)]
        for name in left:
            job.failures.write_failure(name, event.reason)
        return [f"{who}, worker {shard.index}: {event.reason.strip()}; unfinished: {', '.join(left[:5])}"]
    return []
