"""A tracker in the toolkit's `python` protocol, in a process of its own, as the VOT toolkit starts it.

Convention: what toolkit 0.9.0 was seen to do. The process has the toolkit's own interpreter, folder and environment:
`env_…` and `paths` of the entry do not count, and modules are not looked for in the folder where it was started.
Run as a program, this file is that process.
"""

import importlib
import inspect
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from pathlib import Path
from typing import Any

from starktrack.arrays import Box
from starktrack.errors import InputError, StarktrackError

_POLL_SECONDS = 0.05


def check_python(
    entry: Mapping[str, str], workspace: Path, timeout: float, paths: Sequence[str], box_xywh: Box
) -> list[str]:
    """Return the tracker's answers to the frames at `paths`, as text.

    Raises:
        InputError: The command is not module:factory.
        StarktrackError: The tracker failed; holds all that it printed.
    """
    module, _, factory = entry["command"].partition(":")
    if not module or not factory:
        raise InputError(f"a command of the python protocol must be module:factory, got {entry['command']!r}")
    arguments = {key.removeprefix("arg_"): value for key, value in entry.items() if key.startswith("arg_")}
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "printed").open("w+b") as printed:
        answers_file = Path(folder) / "answers"
        answers_file.touch()
        task = [module, factory, arguments, list(paths), box_xywh.tolist(), str(answers_file)]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, json.dumps(task)],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            return _answers(process, answers_file, timeout, len(paths))
        except StarktrackError as error:
            printed.seek(0)
            text = printed.read().decode(errors="replace").strip() or "nothing"
            raise StarktrackError(f"{error}; it printed:\n{text}") from error
        finally:
            process.kill()
            process.wait()


def _answers(
    process: subprocess.Popen[bytes], answers_file: Path, timeout: float, num_expected: int
) -> list[str]:
    """Return the lines of the file of answers when all are there."""
    num_seen, deadline = 0, time.monotonic() + timeout
    while True:
        ended = process.poll()
        lines = answers_file.read_text(encoding="utf-8").split("\n")[:-1]
        if len(lines) == num_expected:
            return lines
        if ended is not None:
            raise StarktrackError(f"the tracker ended with code {ended} after {len(lines)} frames")
        if len(lines) > num_seen:
            num_seen, deadline = len(lines), time.monotonic() + timeout
        if time.monotonic() > deadline:
            raise StarktrackError(
                f"the tracker must answer within {timeout:g} s, and did not after {len(lines)} frames; "
                "give its entry a longer timeout"
            )
        time.sleep(_POLL_SECONDS)


def _track(task: Sequence[Any]) -> None:
    """Follow the box and write a line per frame; whatever the tracker raises ends the process with its traceback."""
    module, factory, arguments, paths, box, answers_file = task
    tracker = getattr(importlib.import_module(module), factory)(**arguments)
    start = tracker.initialize if hasattr(tracker, "initialize") else tracker.init
    with Path(answers_file).open("a", encoding="utf-8") as file:
        for index, path in enumerate(paths):
            answer = (
                _call(tracker.update, path, [], {}) if index else _call(start, path, (tuple(box), {}), {})
            )
            file.write(" ".join(str(answer).split()) + "\n")
            file.flush()


def _call(method: Callable[..., Any], *arguments: Any) -> Any:
    """Call a method with as many of the arguments as it takes, as the toolkit does."""
    kinds = [parameter.kind for parameter in inspect.signature(method).parameters.values()]
    if Parameter.VAR_POSITIONAL in kinds:
        return method(*arguments)
    taken = sum(kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)
    return method(*arguments[:taken])


if __name__ == "__main__":
    _track(json.loads(sys.argv[1]))
