"""`starktrack evaluate`: track a data set with one or more trackers, and score them."""

from pathlib import Path
from typing import Annotated

import typer

from starktrack.cli.options import (
    ComparedEngineOption,
    Device,
    DeviceOption,
    EngineName,
    PrecisionName,
    PrecisionOption,
    RefineOption,
    SetOption,
    WorkersOption,
    named,
)
from starktrack.cli.progress import JobsProgress
from starktrack.cli.tables import Form, print_error, show, write_json
from starktrack.evaluation import report, tables
from starktrack.workflows import evaluate as workflow
from starktrack.workflows.trackers import TrackerSpec, tracker_spec


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
    workers: WorkersOption = 1,
    batch: Annotated[
        int, typer.Option(metavar="B", min=0, help="Sequences in one forward pass; 0: what suits the device.")
    ] = 0,
    device: DeviceOption = Device.auto,
    engine: ComparedEngineOption = EngineName.auto,
    precision: PrecisionOption = PrecisionName.auto,
    overrides: SetOption = None,
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
    specs = [TrackerSpec(name or Path(value).stem, Path(value)) for name, value in map(named, weights or [])]
    specs += [
        tracker_spec(value, device.value, name=name, engine=engine.value)
        for name, value in map(named, tracker or [])
    ]
    finished = "{progress.title}: all {progress.finished_before} sequences were finished before\n"
    with JobsProgress(finished) as on_progress:
        run = workflow.evaluate(
            dataset,
            root,
            specs,
            refine=refine,
            split=split,
            sequences=sequence or (),
            out=out,
            workers=workers,
            batch=batch,
            device=device.value,
            engine=engine.value,
            precision=precision.value,
            overrides=overrides or (),
            integer=integer,
            allow_missing=allow_missing,
            nanotrack=nanotrack,
            opencv_python=opencv_python,
            on_progress=on_progress,
            on_note=print_error,
        )
    if run.evaluations:
        scores = [report.scores_of(evaluation) for evaluation in run.evaluations]
        show(tables.overall_table(scores), form)
        if per_sequence:
            show(tables.sequence_table(scores, ""), form)
        if json_path is not None:
            write_json(json_path, report.to_json(run.evaluations, run.conventions))
    for problem in run.problems:
        print_error(f"failed: {problem}")
    if run.has_failed:
        raise typer.Exit(1)
