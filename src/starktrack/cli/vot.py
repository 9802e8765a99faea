"""`starktrack vot`: our tracker in a workspace of the VOT toolkit, and our own run of its experiments."""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as IniError
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from starktrack.api import pretrained_file
from starktrack.cli.options import Device, DeviceOption, RefineOption
from starktrack.cli.vot_run import run
from starktrack.config.presets import PRESETS
from starktrack.errors import InputError, nearest_name
from starktrack.files import atomic_write
from starktrack.pretrained import DEFAULT
from starktrack.workflows.evaluation_job import resolve_config

REGISTRY = "trackers.ini"
NAME = re.compile(r"[A-Za-z0-9_-]+")
TIMEOUT_SECONDS = 300
"""How long the toolkit waits for an answer: a large network on a busy machine takes long to load."""

app = typer.Typer(
    help="Work with a workspace of the VOT toolkit.", add_completion=False, no_args_is_help=True
)
app.command("run")(run)


class Output(StrEnum):
    """What the tracker answers: a box (always with its confidence), or the box filled as a mask."""

    box = "box"
    mask = "mask"


class Benchmark(StrEnum):
    """Whose inference settings apply."""

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
    if not workspace.is_dir():
        raise InputError(
            f"a workspace must be a folder, {workspace} is not; "
            f"run: vot initialize STACK --workspace {workspace}"
        )
    settings = tuple(map(_check_setting, overrides or ()))
    label = name or Path(weights).stem
    weights = _check_weights(weights, benchmark, settings)
    if not NAME.fullmatch(label):
        raise InputError(
            f"a tracker's name must be letters, digits, - and _ for the toolkit, got {label!r}; give --name"
        )
    path = workspace / REGISTRY
    taken = _entries(path)
    options = {"weights": weights, "output": output, "benchmark": benchmark, "device": device}
    entries = _trax_entry(label, {**options, **_refine_option(refine)}, settings)
    if output == Output.box:
        entries += _python_entry(f"{label}_python", weights, benchmark, device, settings)
    for each in (label, f"{label}_python"):
        if each in taken:
            raise InputError(f"{path} has an entry {each!r} already; give another --name, or remove it there")
    before = path.read_text(encoding="utf-8").rstrip() + "\n\n" if path.exists() else ""
    with atomic_write(path) as partial:
        partial.write_text(before + entries, encoding="utf-8")
    sys.stdout.write(f"wrote {path}; next: starktrack vot check {workspace} {label}\n")


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

    entries = _entries(workspace / REGISTRY)
    if name not in entries:
        raise InputError(
            f"{workspace / REGISTRY} must have an entry {name!r}"
            f"{nearest_name(name, entries.sections()) if entries.sections() else ', it has none'}"
        )
    sys.stdout.write(check_tracker(dict(entries[name]), workspace, timeout) + "\n")


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


def _check_setting(text: str) -> str:
    """Return `key=value` without spaces around its parts, for an entry parts several by spaces."""
    setting = "=".join(part.strip() for part in text.split("="))
    if len(setting.split()) > 1:
        raise InputError(
            f"--set in an entry must hold no spaces within key or value, got {text!r}; write KEY=VALUE"
        )
    return setting


def _check_weights(weights: str, benchmark: Benchmark, settings: Sequence[str]) -> str:
    """Return what an entry calls the weights: a full path, or a preset's name.

    The toolkit starts elsewhere. Links stay links, since engines are chosen by the name of the file.

    Raises:
        InputError: There is no such file.
        ConfigError: A setting that the weights do not have.
        CheckpointError: A damaged file, or a preset without weights in the package.
        MissingExtraError: A checkpoint, which needs PyTorch, and that is not installed.
    """
    is_file = Path(weights).is_file()
    if not is_file and weights not in PRESETS:
        raise InputError(f"weights must be a file or {DEFAULT}, {weights} does not exist")
    file = Path(weights).absolute() if is_file else pretrained_file(weights)
    resolve_config(file, benchmark.value, settings)
    return str(file) if is_file else weights


def _entries(path: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  variables keep their case
    try:
        parser.read(path, encoding="utf-8")
    except (IniError, UnicodeDecodeError) as error:
        raise InputError(f"{path} must be an ini file of trackers, got: {error}") from error
    return parser


def _refine_option(refine: str | None) -> dict[str, str]:
    """Return the option of the entry's command; a file by its full path, for the toolkit starts elsewhere."""
    if refine is None:
        return {}
    return {"refine": str(Path(refine).absolute()) if Path(refine).is_file() else refine}


def _trax_entry(label: str, options: Mapping[str, object], settings: Sequence[str]) -> str:
    command = [sys.executable, "-m", "starktrack", "vot", "serve"]
    command += [part for key, value in options.items() for part in (f"--{key}", str(value))]
    command += [part for each in settings for part in ("--set", each)]
    return (
        f"[{label}]\nlabel = {label}\nprotocol = trax\ncommand = {shlex.join(command)}\n"
        f"timeout = {TIMEOUT_SECONDS}\n\n"
    )


def _python_entry(
    label: str, weights: str, benchmark: Benchmark, device: Device, settings: Sequence[str]
) -> str:
    told = f"arg_settings = {' '.join(settings)}\n" if settings else ""
    return (
        f"# In the toolkit's own process: install starktrack[torch] where the toolkit is.\n"
        f"[{label}]\nlabel = {label}\nprotocol = python\ncommand = starktrack.vot:tracker\n"
        f"timeout = {TIMEOUT_SECONDS}\nmultiobject = False\n"
        f"arg_weights = {weights}\narg_benchmark = {benchmark}\narg_device = {device}\n{told}"
    )
