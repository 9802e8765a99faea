"""The precision in which a network computes: what can be asked for, and what a file of weights says of its own."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from starktrack.errors import CheckpointError, ConfigError

Precision = Literal["auto", "float32", "bfloat16", "float16", "int8"]
"""`auto` is the precision of the file. `bfloat16` is a way to compute with a file in float32; `float16` and `int8` are
files of their own."""

PRECISION_KEY = "starktrack.precision"
"""Where the metadata of an exported network say what its precision is and how that was checked."""

_PRETRAINED = Path(__file__).resolve().parents[1] / "pretrained"

_OF_FILES = ("float32", "float16", "int8")


def precision_record(metadata: Mapping[str, str], path: Path) -> Mapping[str, Any]:
    """Return what an exported network says of its precision: at least `precision`.

    Raises:
        CheckpointError: It is not the JSON of a record.
    """
    text = metadata.get(PRECISION_KEY)
    if text is None:
        return {"precision": "float32"}
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"the metadata {PRECISION_KEY!r} of {path} must be JSON written by starktrack, got: {error}"
        ) from error
    if not isinstance(record, dict) or record.get("precision") not in _OF_FILES:
        raise CheckpointError(
            f"the metadata {PRECISION_KEY!r} of {path} must name a precision, got {text!r:.60}; export it anew"
        )
    return record


def precision_in(path: Path, metadata: Mapping[str, str]) -> str:
    """Return the precision of an exported network; errors as `precision_record`."""
    return str(precision_record(metadata, path)["precision"])


def check_known_precision(precision: str) -> None:
    """Raise ConfigError for what is no precision."""
    if precision not in get_args(Precision):
        raise ConfigError(f"a precision must be one of {', '.join(get_args(Precision))}, got {precision!r}")


def check_precision(path: Path, asked: str, of_file: str, *, engine: str) -> str:
    """Return the precision in which an engine will run a file.

    Args:
        asked: A `Precision`.
        of_file: That of the file.
        engine: The engine's name.

    Raises:
        ConfigError: The engine cannot compute like this.
        CheckpointError: The file is of another precision.
    """
    check_known_precision(asked)
    if asked in ("auto", of_file):
        return of_file
    if asked == "bfloat16":
        if engine == "openvino" and of_file == "float32":
            return asked
        if engine == "openvino":
            raise CheckpointError(f"bfloat16 needs a network in float32, {path} is {of_file}; give that one")
        raise ConfigError(
            f"bfloat16 is a precision of engine openvino, got engine {engine}; "
            "take an exported network (.onnx) and engine openvino, or leave the precision out"
        )
    if engine == "torch":
        raise ConfigError(
            f"{asked} is a precision of exported networks, {path} is a checkpoint; run: "
            f"{_export_command(path, asked)}"
        )
    remedy = "give the file in float32" if asked == "float32" else f"run: {_export_command(path, asked)}"
    raise CheckpointError(f"precision {asked} needs a file in {asked}, {path} is {of_file}; {remedy}")


def _export_command(path: Path, precision: str) -> str:
    """Return a command that works: weights of the package by name, and the new file in the current folder."""
    source = path.stem if path.resolve().parent == _PRETRAINED else shlex.quote(str(path))
    target = shlex.quote(f"{path.stem}_{precision}.onnx")
    return f"starktrack export {source} {target} --precision {precision} --calibrate VIDEO"
