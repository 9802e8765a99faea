"""`starktrack vot`: our tracker in a workspace of the VOT toolkit, and our own run of its experiments."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from starktrack.cli.options import Device, DeviceOption, RefineOption, WorkersOption
from starktrack.cli.progress import JobsProgress
from starktrack.cli.tables import print_error
from starktrack.errors import ConfigError
from starktrack.pretrained import DEFAULT
from starktrack.workflows.trackers import TrackerSpec, tracker_spec
from starktrack.workflows.vot import Experiment, run_vot
from starktrack.workflows.vot_entry import add_entry, read_entry

app = typer.Typer(
    help="Work with a workspace of the VOT toolkit.", add_completion=False, no_args_is_help=True
)


class Output(StrEnum):
    """What the tracker answers: a box (always with its confidence), or the box filled as a mask."""

    box = "box"
    mask = "mask"


class Benchmark(StrEnum):
    """The benchmark of the inference settings."""

    vot = "vot"
    vot_longterm = "vot_longterm"


WorkspaceArgument = Annotated[Path, typer.Argument(metavar="WORKSPACE", help="Made by: vot initialize.")]
WeightsOption = Annotated[
    str,
    typer.Option("--weights", metavar="FILE", help="Checkpoint or exported network; default: the package's."),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Such as tracking.search_growth=2.")
]
OutputOption = Annotated[Output, typer.Option("--output", help="mask for segmentation stacks (vot2020).")]
BenchmarkOption = Annotated[Benchmark, typer.Option("--benchmark", help="Whose inference settings apply.")]


@app.callback()
def vot() -> None:
    """Work with a workspace of the VOT toolkit."""


@app.command("run")
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
    overrides: SetOption = None,
    workers: WorkersOption = 1,
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
    spec = (
        TrackerSpec(name or weights.stem, weights, refine=refine or "")
        if weights
        else tracker_spec(tracker, device.value, name=name, refine=refine or "")
    )
    with JobsProgress() as on_progress:
        runs = run_vot(
            workspace,
            experiment.value,
            spec,
            mask=mask,
            workers=workers,
            batch=batch,
            device=device.value,
            overrides=overrides or (),
            nanotrack=nanotrack,
            opencv_python=opencv_python,
            on_progress=on_progress,
        )
    if runs.is_first:
        sys.stdout.write(f"{runs.num_finished} of {runs.num_runs} runs are in {runs.folder}\n")
    for problem in runs.problems:
        print_error(f"failed: {problem}")
    if runs.has_failed:
        raise typer.Exit(1)


@app.command("init")
def init(
    workspace: WorkspaceArgument,
    weights: WeightsOption = DEFAULT,
    name: Annotated[str, typer.Option(help="The tracker's name there; default: the file's.")] = "",
    output: OutputOption = Output.box,
    benchmark: BenchmarkOption = Benchmark.vot,
    device: DeviceOption = Device.auto,
    refine: RefineOption = None,
    overrides: SetOption = None,
) -> None:
    """Write entries for our tracker: NAME speaks TraX from this Python, NAME_python runs in the toolkit.

    Answers are boxes with confidence, or masks: outlines with --refine, else the box filled. The in-process
    protocol has boxes only.
    """
    path = add_entry(
        workspace,
        weights,
        name=name,
        output=output.value,
        benchmark=benchmark.value,
        device=device.value,
        refine=refine,
        overrides=overrides or (),
    )
    sys.stdout.write(f"wrote {path}; next: starktrack vot check {workspace} {name or Path(weights).stem}\n")


@app.command("check")
def check(
    workspace: WorkspaceArgument,
    name: Annotated[str, typer.Argument(metavar="TRACKER", help="An entry of trackers.ini.")],
    timeout: Annotated[
        float | None,
        typer.Option(min=1, help="Seconds to wait for each answer; default: what the entry says."),
    ] = None,
) -> None:
    """Start a tracker as the toolkit would, follow an object for a few frames, and show what it printed."""
    from starktrack.workflows.vot_check import check_tracker

    sys.stdout.write(check_tracker(read_entry(workspace, name), workspace, timeout) + "\n")


@app.command("serve", hidden=True)
def serve(
    weights: WeightsOption,
    output: OutputOption = Output.box,
    benchmark: BenchmarkOption = Benchmark.vot,
    device: DeviceOption = Device.auto,
    refine: RefineOption = None,
    overrides: SetOption = None,
) -> None:
    """Speak TraX with the toolkit; this is the command of the entry that `init` writes."""
    from starktrack.vot import serve as speak

    speak(
        weights,
        output=output.value,
        benchmark=benchmark.value,
        device=device.value,
        refine=refine,
        settings=overrides or (),
    )
