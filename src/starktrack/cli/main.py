"""The command: its verbs, each imported on use, and the handling of errors."""

import io
import os
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from starktrack.cli.verb_command import VerbCommand
from starktrack.errors import SourceWarning, StarktrackError, printable

VERBS = {
    "track": "Track one or more targets through a video.",
    "batch": "Track every video of a list, in many processes or on a Ray cluster; go on where it stopped.",
    "studio": "Open a page to draw boxes, watch them tracked, correct them and export the tracks.",
    "train": "Train a model; on several GPUs or machines start it with torchrun.",
    "ablate": "Train every row of Tables 7 and 8 under one budget, score them, and print both tables.",
    "evaluate": "Track a benchmark's sequences with our tracker, OpenCV's or one's own.",
    "report": "Score raw result files: overall, per sequence, per attribute.",
    "plot": "Draw success, precision and speed of trackers, or one sequence over time.",
    "submit": "Pack results for a server and say what it would reject.",
    "demo": "Track a helicopter in a clip of the package and show the result.",
    "models": "List the presets: size, cost, inputs, and whether weights are at hand.",
    "convert": "Convert an authors' checkpoint; nothing in the file is executed.",
    "export": "Write a network as ONNX, which runs without PyTorch.",
    "explain": "Track one target and show attention, corner maps and score.",
    "profile": "Measure a preset: parameters, MACs, and time per frame.",
    "vot": "Run inside the VOT toolkit, and its experiments without it.",
    "annotations": "Show annotated tracks, or write them in another format.",
    "data": "Look at folders of data, and make them from annotated videos.",
    "doctor": "Show versions, devices, codecs and missing extras.",
}
"""Name and first line of help; `cli/NAME.py` holds the function NAME, or an `app` of further verbs."""

SETTINGS = {"help_option_names": ["-h", "--help"]}


class _Verb(TyperCommand):
    """A verb's name and help; the real command replaces it when its arguments are read."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Return the context of the real command."""
        return load_verb(self.name or "").make_context(info_name, args, parent=parent, **extra)


class _Verbs(TyperGroup):
    """All verbs, without importing any: `starktrack --help` starts at once."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.commands = {name: _Verb(name, help=text) for name, text in VERBS.items()}


app = typer.Typer(cls=_Verbs, no_args_is_help=True, pretty_exceptions_enable=False, context_settings=SETTINGS)


@app.callback()
def starktrack() -> None:
    """Point at anything in the first frame of a video; get its box in every later frame."""


def main() -> None:
    """Run the command; errors of ours are one line on standard error and exit code 1."""
    # OpenCV reads this on import; its own warnings would appear beside our one line.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    warnings.showwarning = _show_warning
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell: `>&-`
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a letter shows ? in its place
    try:
        app()
    except StarktrackError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any
) -> None:
    """Write a warning about a source as one line; others as Python does."""
    where = "" if issubclass(category, SourceWarning) else f"{filename}:{lineno}: {category.__name__}: "
    sys.stderr.write(f"warning: {where}{printable(str(message))}\n")


def load_verb(name: str) -> Any:
    """Return the click command of a verb: its file is imported now."""
    module = import_module(f"starktrack.cli.{name}")
    verb = getattr(module, "app", None)
    if verb is None:
        verb = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings=SETTINGS)
        verb.command(name)(getattr(module, name))
    for command in verb.registered_commands:
        command.cls = VerbCommand
    return typer.main.get_command(verb)
