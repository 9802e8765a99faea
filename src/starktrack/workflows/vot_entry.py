"""Our tracker's entries in the `trackers.ini` of a VOT workspace."""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as IniError
from pathlib import Path

from starktrack.api import weights_file
from starktrack.config.presets import presets_of
from starktrack.errors import InputError, nearest_name
from starktrack.files import atomic_write
from starktrack.pretrained import DEFAULT
from starktrack.workflows.trackers import resolve_config

REGISTRY = "trackers.ini"
NAME = re.compile(r"[A-Za-z0-9_-]+")
TIMEOUT_SECONDS = 300
"""How long the toolkit waits for an answer: a large network on a busy machine takes long to load."""


def add_entry(
    workspace: Path,
    weights: str = DEFAULT,
    *,
    name: str = "",
    output: str = "box",
    benchmark: str = "vot",
    device: str = "auto",
    refine: str | None = None,
    overrides: Sequence[str] = (),
) -> Path:
    """Write entries for our tracker: NAME speaks TraX from this Python, NAME_python runs in the toolkit.

    Args:
        workspace: Its folder.
        weights: Checkpoint or exported network, or a preset with weights in the package.
        name: The tracker's name there; the file's by default.
        output: `box`, or `mask` for segmentation stacks, which the in-process protocol does not have.
        benchmark: Whose inference settings apply, `vot` or `vot_longterm`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        refine: Weights of a refiner, or the name of one that comes with the package.
        overrides: `tracking.key=value`.

    Returns:
        The file of entries.

    Raises:
        InputError: No such workspace or weights, a name that the toolkit refuses, or one that is taken.
        ConfigError: A setting that the weights do not have.
        CheckpointError: A damaged file, or a preset without weights in the package.
        MissingExtraError: A checkpoint, which needs PyTorch, and that is not installed.
    """
    if not workspace.is_dir():
        raise InputError(
            f"a workspace must be a folder, {workspace} is not; "
            f"run: vot initialize STACK --workspace {workspace}"
        )
    settings = tuple(map(_check_setting, overrides))
    label = name or Path(weights).stem
    weights = _check_weights(weights, benchmark, settings)
    if not NAME.fullmatch(label):
        raise InputError(
            f"a tracker's name must be letters, digits, - and _ for the toolkit, got {label!r}; give --name"
        )
    path = workspace / REGISTRY
    taken = _read(path)
    options = {"weights": weights, "output": output, "benchmark": benchmark, "device": device}
    if refine is not None:
        # A file by its full path, for the toolkit starts elsewhere.
        options["refine"] = str(Path(refine).absolute()) if Path(refine).is_file() else refine
    entries = _trax_entry(label, options, settings)
    if output == "box":
        entries += _python_entry(f"{label}_python", weights, benchmark, device, settings)
    for each in (label, f"{label}_python"):
        if each in taken:
            raise InputError(f"{path} has an entry {each!r} already; give another --name, or remove it there")
    before = path.read_text(encoding="utf-8").rstrip() + "\n\n" if path.exists() else ""
    with atomic_write(path) as partial:
        partial.write_text(before + entries, encoding="utf-8")
    return path


def read_entry(workspace: Path, name: str) -> dict[str, str]:
    """Return the lines of an entry; InputError where there is none of that name."""
    entries = _read(workspace / REGISTRY)
    if name not in entries:
        raise InputError(
            f"{workspace / REGISTRY} must have an entry {name!r}"
            f"{nearest_name(name, entries.sections()) if entries.sections() else ', it has none'}"
        )
    return dict(entries[name])


def _check_setting(text: str) -> str:
    """Return `key=value` without spaces around its parts, for an entry parts several by spaces."""
    setting = "=".join(part.strip() for part in text.split("="))
    if len(setting.split()) > 1:
        raise InputError(
            f"--set in an entry must hold no spaces within key or value, got {text!r}; write KEY=VALUE"
        )
    return setting


def _check_weights(weights: str, benchmark: str, settings: Sequence[str]) -> str:
    """Return what an entry calls the weights: a full path, or a preset's name.

    The toolkit starts elsewhere. Links stay links, since engines are chosen by the name of the file.

    Raises:
        InputError: There is no such file.
        ConfigError: A setting that the weights do not have.
        CheckpointError: A damaged file, or a preset without weights in the package.
        MissingExtraError: A checkpoint, which needs PyTorch, and that is not installed.
    """
    is_file = Path(weights).is_file()
    if not is_file and weights not in presets_of("tracker"):
        raise InputError(f"weights must be a file or {DEFAULT}, {weights} does not exist")
    file = Path(weights).absolute() if is_file else weights_file(weights, "tracker")
    resolve_config(file, benchmark, settings)
    return str(file) if is_file else weights


def _read(path: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  variables keep their case
    try:
        parser.read(path, encoding="utf-8")
    except (IniError, UnicodeDecodeError) as error:
        raise InputError(f"{path} must be an ini file of trackers, got: {error}") from error
    return parser


def _trax_entry(label: str, options: Mapping[str, object], settings: Sequence[str]) -> str:
    command = [sys.executable, "-m", "starktrack", "vot", "serve"]
    command += [part for key, value in options.items() for part in (f"--{key}", str(value))]
    command += [part for each in settings for part in ("--set", each)]
    return (
        f"[{label}]\nlabel = {label}\nprotocol = trax\ncommand = {shlex.join(command)}\n"
        f"timeout = {TIMEOUT_SECONDS}\n\n"
    )


def _python_entry(label: str, weights: str, benchmark: str, device: str, settings: Sequence[str]) -> str:
    arguments = f"arg_settings = {' '.join(settings)}\n" if settings else ""
    return (
        f"# In the toolkit's own process: install starktrack[torch] where the toolkit is.\n"
        f"[{label}]\nlabel = {label}\nprotocol = python\ncommand = starktrack.vot:tracker\n"
        f"timeout = {TIMEOUT_SECONDS}\nmultiobject = False\n"
        f"arg_weights = {weights}\narg_benchmark = {benchmark}\narg_device = {device}\n{arguments}"
    )
