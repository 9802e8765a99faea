"""`starktrack evaluate`: track a data set with one or more trackers, and score them."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from starktrack.cli.batch_progress import follow
from starktrack.cli.options import Device, DeviceOption, RefineOption, named
from starktrack.cli.tables import Form
from starktrack.data.formats.result_folder import ResultFolder
from starktrack.data.sources.dataset import Dataset
from starktrack.errors import ConfigError, DatasetError, nearest_name
from starktrack.pretrained import DEFAULT
from starktrack.tracking.sharding import LostWorker, Shard, local_shards, run_shards
from starktrack.workflows.evaluation_job import (
    Broken,
    Contestant,
    DataPlace,
    EvaluationJob,
    Settings,
    check_overrides,
    describe,
    named_contestant,
)
from starktrack.workflows.launch import ends_badly, is_first, is_launched, meet, wait_for_others


def evaluate(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="lasot, otb, …; `all` for every data set below ROOT.")
    ],
    root: Annotated[Path, typer.Option(metavar="DIR", help="Where the data set lies.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]FILE", help="Checkpoint of our network; repeat for more."),
    ] = None,
    tracker: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]TRACKER",
            help="stark_mobile (weights of the package), csrt, kcf, mil, nanotrack, or module:factory of your "
            "own; repeat for more.",
        ),
    ] = None,
    refine: RefineOption = None,
    split: Annotated[str | None, typer.Option(help="Part of the data set; default: the benchmark's.")] = None,
    sequence: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this sequence; repeat for more.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results go.")] = Path("results"),
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Processes on this machine.")] = 1,
    batch: Annotated[
        int, typer.Option(metavar="B", min=0, help="Sequences in one forward pass; 0: what suits the device.")
    ] = 0,
    device: DeviceOption = Device.auto,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Such as tracking.update_interval=10."),
    ] = None,
    integer: Annotated[
        bool, typer.Option("--integer", help="Write whole pixels, as the authors' result files have.")
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Take the sequences that are there.")
    ] = False,
    nanotrack: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of NanoTrack's two ONNX files.")
    ] = None,
    opencv_python: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A Python with OpenCV's contrib wheel.")
    ] = None,
    per_sequence: Annotated[
        bool, typer.Option("--per-sequence", help="Also a table with a row per sequence.")
    ] = False,
    form: Annotated[Form, typer.Option(help="How tables are printed.")] = Form.terminal,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write scores and curves as JSON.")
    ] = None,
) -> None:
    """Track a data set, go on where an earlier run stopped, and print a table.

    With --refine every tracker's boxes are refined, and their results are those of TRACKER+REFINER.

    Under `torchrun` every process does its share, and the first waits for the others and prints the table.
    """
    place = DataPlace(dataset, root, split, allow_missing)
    settings = Settings(
        device.value, batch, tuple(overrides or ()), integer, workers, nanotrack, opencv_python
    )
    contestants = [
        _refined(each, refine) for each in _contestants(weights or [], tracker or [], device.value)
    ]
    check_overrides(settings, contestants)
    opened = place.open()
    names = _chosen(opened, sequence or [])
    home = out / f"{opened.name}_{opened.split.replace('/', '-')}"
    jobs = [
        EvaluationJob(place, contestant, settings, home / contestant.name, names)
        for contestant in contestants
    ]
    for job in jobs:
        ResultFolder(job.folder).claim(describe(job, opened))
        _clear(job)
    meet()
    problems = [problem for job in jobs for problem in _run(job)]
    if is_first():
        if is_launched():
            for job in jobs:
                wait_for_others(ResultFolder(job.folder).is_over, job.names)
        _report(opened, jobs, per_sequence=per_sequence, form=form, json_path=json_path)
    for problem in problems:
        sys.stderr.write(f"failed: {problem}\n")
    if ends_badly(problems, lambda: _unfinished(jobs)):
        raise typer.Exit(1)


def _contestants(weights: Sequence[str], trackers: Sequence[str], device: str) -> list[Contestant]:
    """Return who takes part; a preset among the trackers stands for its weights of the package.

    Raises:
        CheckpointError: A preset has no weights in the package.
        ConfigError: Nobody, or two of one name.
    """
    found = [Contestant(name or Path(value).stem, Path(value)) for name, value in map(named, weights)]
    found += [named_contestant(value, device, name) for name, value in map(named, trackers)]
    names = [contestant.name for contestant in found]
    if not names:
        raise ConfigError(
            "an evaluation needs a tracker, got none; give --weights FILE or --tracker NAME, "
            f"such as --tracker {DEFAULT}"
        )
    if len(set(names)) < len(names):
        raise ConfigError(f"trackers must differ in name, got {', '.join(names)}; write NAME=…")
    return found


def _refined(contestant: Contestant, refine: str | None) -> Contestant:
    """Return the contestant with the refiner behind it, under a name that says so."""
    if refine is None:
        return contestant
    return replace(contestant, name=f"{contestant.name}+{Path(refine).stem}", refine=refine)


def _chosen(dataset: Dataset, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the names to track; DatasetError when one of the wanted is not there."""
    unknown = [name for name in wanted if name not in dataset.names]
    if unknown:
        hint = nearest_name(unknown[0], dataset.names)
        raise DatasetError(f"{dataset.name} {dataset.split} has no sequence {unknown[0]!r} here{hint}")
    return tuple(wanted or dataset.names)


def _clear(job: EvaluationJob) -> None:
    """Remove what earlier runs left of the sequences that this process has to do: failures and half files."""
    ResultFolder(job.folder).clear(_names_here(job))


def _names_here(job: EvaluationJob) -> list[str]:
    shards = local_shards(job.settings.workers, os.environ)
    return [name for shard in shards for name in shard.of(job.names)]


def _run(job: EvaluationJob) -> list[str]:
    """Track what this process has to do of a job; return what went wrong."""
    shards, mine = local_shards(job.settings.workers, os.environ), _names_here(job)
    left = sum(not ResultFolder(job.folder).is_finished(name) for name in mine)
    if not left:
        sys.stderr.write(f"{job.contestant.name}: all {len(mine)} sequences were finished before\n")
        return []
    return follow(job.contestant.name, left, run_shards(job, shards), partial(_take, job))


def _take(job: EvaluationJob, shard: Shard, event: Any) -> list[str]:
    """Return the problem that an event tells of, if it does."""
    who = job.contestant.name
    if isinstance(event, Broken):
        return [f"{who} on {event.name}, {event.reason}; all of it: {job.folder}/failed/{event.name}.txt"]
    if isinstance(event, LostWorker):
        folder = ResultFolder(job.folder)
        left = [name for name in shard.of(job.names) if not folder.is_finished(name)]
        for name in left:
            folder.write_failure(name, event.reason)
        return [f"{who}, worker {shard.index}: {event.reason.strip()}; unfinished: {', '.join(left[:5])}"]
    return []


def _unfinished(jobs: Sequence[EvaluationJob]) -> bool:
    return any(not ResultFolder(job.folder).is_finished(name) for job in jobs for name in job.names)


def _report(
    dataset: Dataset, jobs: Sequence[EvaluationJob], *, per_sequence: bool, form: Form, json_path: Path | None
) -> None:
    from starktrack.cli.evaluation_table import print_tables

    done = [name for name in jobs[0].names if all(ResultFolder(job.folder).is_finished(name) for job in jobs)]
    if len(done) < len(jobs[0].names):
        sys.stderr.write(f"{len(done)} of {len(jobs[0].names)} sequences are finished by every tracker\n")
    print_tables(
        dataset,
        {job.contestant.name: job.folder for job in jobs},
        done,
        per_sequence=per_sequence,
        form=form,
        json_path=json_path,
    )
