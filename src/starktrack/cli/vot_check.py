"""Start a tracker of a VOT workspace as the toolkit would, and show what it prints when it fails."""

import importlib
import os
import queue
import shlex
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2

from starktrack.arrays import Box
from starktrack.data.synthetic_clip import ClipFrame, synthetic_clip
from starktrack.errors import InputError, MissingExtraError, StarktrackError
from starktrack.geometry.boxes import whole_pixels

NUM_FRAMES = 5
_RAISED_BY_TRACKERS = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, OSError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
"""The families of errors in anybody's code; our own errors are clear as they are."""


def check_tracker(entry: Mapping[str, str], workspace: Path, timeout: float) -> str:
    """Return in a line how a tracker did on a few frames.

    Args:
        entry: The tracker's lines in `trackers.ini`.
        workspace: Where it is started.
        timeout: Seconds to wait for its greeting, and for each of its answers.

    Raises:
        InputError: The entry cannot be started.
        StarktrackError: The tracker failed; holds all that it printed.
    """
    clip = list(synthetic_clip(NUM_FRAMES))
    checks = {"trax": _check_trax, "python": _check_python}
    protocol = entry.get("protocol", "")
    if protocol not in checks or "command" not in entry:
        raise InputError(
            f"an entry to check must have a command, and the protocol trax or python, got {protocol!r}"
        )
    with tempfile.TemporaryDirectory() as folder:
        paths = [_write(Path(folder) / f"{index:08d}.jpg", frame) for index, frame in enumerate(clip)]
        answers = checks[protocol](entry, workspace, timeout, paths, clip[0].box_xywh)
    return f"works: {len(answers)} frames over {protocol}; the last answer is {answers[-1]}"


def _write(path: Path, frame: ClipFrame) -> str:
    cv2.imwrite(str(path), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    return str(path)


def _check_python(
    entry: Mapping[str, str], workspace: Path, timeout: float, paths: Sequence[str], box_xywh: Box
) -> list[str]:
    module, _, factory = entry["command"].partition(":")
    try:
        make = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise InputError(f"a command must be module:factory, {entry['command']!r} fails: {error}") from error
    arguments = {key.removeprefix("arg_"): value for key, value in entry.items() if key.startswith("arg_")}
    try:
        tracker = make(**arguments)
        answers = [tracker.initialize(paths[0], (tuple(box_xywh.tolist()), {}))]
        answers += [tracker.update(path, [], {}) for path in paths[1:]]
    except _RAISED_BY_TRACKERS as error:
        raise StarktrackError(
            f"the tracker {entry['command']} failed: {type(error).__name__}: {error}"
        ) from error
    return [str(answer) for answer in answers]


def _check_trax(
    entry: Mapping[str, str], workspace: Path, timeout: float, paths: Sequence[str], box_xywh: Box
) -> list[str]:
    if find_spec("trax") is None:
        raise MissingExtraError("vot-trax", "vot", "starting a tracker as the VOT toolkit does")
    # The toolkit's own way: the tracker calls back on a socket, and what it prints is its own.
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    environment = {**os.environ, **_environment(entry), "TRAX": "1", "TRAX_SOCKET": str(port)}
    with server, tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            shlex.split(entry["command"]),
            cwd=workspace,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            return _wait(lambda: _talk(server, timeout, paths, box_xywh), process, timeout)
        except StarktrackError as error:
            raise StarktrackError(f"{error}; it printed:\n{_text(printed)}") from error
        finally:
            process.kill()
            process.wait()


def _environment(entry: Mapping[str, str]) -> dict[str, str]:
    return {key[4:]: value for key, value in entry.items() if key.startswith("env_")}


def _text(printed: Any) -> str:
    printed.seek(0)
    return printed.read().decode(errors="replace").strip() or "nothing"


def _wait(talk: Callable[[], list[str] | StarktrackError], process: Any, timeout: float) -> list[str]:
    """Return the answers; a tracker that ends is noticed at once, though the library would wait for it."""
    box: queue.Queue[list[str] | StarktrackError] = queue.Queue()
    threading.Thread(target=lambda: box.put(talk()), daemon=True).start()
    for _ in range(int(10 * timeout * (NUM_FRAMES + 1))):
        try:
            found = box.get(timeout=0.1)
        except queue.Empty:
            if process.poll() is None:
                continue
            raise StarktrackError(f"the tracker ended with code {process.returncode}") from None
        if isinstance(found, StarktrackError):
            raise found
        return found
    raise StarktrackError(f"the tracker must answer within {timeout:g} s, and did not")


def _talk(
    server: socket.socket, timeout: float, paths: Sequence[str], box_xywh: Box
) -> list[str] | StarktrackError:
    """Return the tracker's answers, or what went wrong: it is called in a thread of its own."""
    import trax
    from trax.client import Client

    try:
        # Without a logger the library (4.0.2) fails before it listens.
        client = Client(server.fileno(), timeout=round(timeout), log=lambda text: None)
        images = [{trax.ImageChannel.COLOR: trax.FileImage.create(path)} for path in paths]
        wants_box = trax.Region.RECTANGLE in client.region_formats
        region = _rectangle(trax, box_xywh) if wants_box else _mask(trax, box_xywh)
        answers = [client.initialize(images[0], [(region, {})], {})[0]]
        answers += [client.frame(image, {}, [])[0] for image in images[1:]]
        client.quit()
    except (trax.TraxException, OSError) as error:
        return StarktrackError(f"the tracker failed: {error}")
    return [", ".join(f"{region} {properties}" for region, properties in answer) for answer in answers]


def _rectangle(trax: Any, box_xywh: Box) -> Any:
    return trax.Rectangle.create(*box_xywh.tolist())


def _mask(trax: Any, box_xywh: Box) -> Any:
    import numpy as np

    left, top, columns, rows = whole_pixels(box_xywh)
    return trax.Mask.create(np.ones((rows, columns), np.uint8), left, top)
