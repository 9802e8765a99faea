"""A VOT toolkit workspace: its configuration, and the entry by which the toolkit starts our tracker."""

import re
from configparser import ConfigParser, Error
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from starktrack.errors import InputError

Protocol = Literal["trax", "python"]


@dataclass(frozen=True)
class TrackerEntry:
    """One section of `trackers.ini`.

    Attributes:
        identifier: Section name; letters, digits, `-` and `_`.
        label: How reports name the tracker.
        protocol: `trax` starts a program that speaks TraX over a socket; `python` (toolkit 0.9 and later)
            imports a factory that must be installed beside the toolkit.
        command: A command line for `trax`, `module:factory` for `python`.
        environment: Variables of the program.
        timeout_seconds: How long the toolkit waits for an answer.
    """

    identifier: str
    label: str
    protocol: Protocol
    command: str
    environment: dict[str, str] = field(default_factory=dict)
    timeout_seconds: int = 60


def write_workspace(root: Path, stack: str) -> bool:
    """Write `config.yaml` for a stack of the toolkit (`vot2020/shortterm` …); an existing one is left alone.

    Returns:
        Whether it was written.
    """
    root.mkdir(parents=True, exist_ok=True)
    path = root / "config.yaml"
    if path.exists():
        return False
    path.write_text(f"registry:\n- ./trackers.ini\nstack: {stack}\nsequences: sequences\n", encoding="utf-8")
    return True


def add_tracker(root: Path, entry: TrackerEntry) -> Path:
    """Append the entry to `trackers.ini` of a workspace; what is there stays as it is.

    Raises:
        InputError: The identifier is taken or malformed, the command does not fit the protocol, or the file
            is not an ini file.
    """
    _check(entry)
    path = root / "trackers.ini"
    known = _sections(path)
    if entry.identifier in known:
        names = ", ".join(known)
        raise InputError(f"a tracker's identifier must be new, got {entry.identifier!r}; {path} has {names}")
    text = path.read_text(encoding="utf-8").rstrip() + "\n\n" if known else ""
    path.write_text(text + format_entry(entry), encoding="utf-8")
    return path


def format_entry(entry: TrackerEntry) -> str:
    """Return the section as text."""
    lines = [
        f"[{entry.identifier}]",
        f"label = {entry.label}",
        f"protocol = {entry.protocol}",
        f"command = {entry.command}",
        *(f"env_{name} = {value}" for name, value in entry.environment.items()),
        f"timeout = {entry.timeout_seconds}",
    ]
    return "\n".join(lines) + "\n"


def _check(entry: TrackerEntry) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_\-]+", entry.identifier):
        raise InputError(f"a tracker's identifier must be letters, digits, - and _, got {entry.identifier!r}")
    if entry.protocol == "python" and not re.fullmatch(r"[\w.]+:\w+", entry.command):
        raise InputError(f"the python protocol wants module:factory as command, got {entry.command!r}")


def _sections(path: Path) -> list[str]:
    if not path.exists():
        return []
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except Error as error:
        raise InputError(f"{path} must be an ini file: {error}") from error
    return parser.sections()
