"""A tracker that speaks TraX, started as the VOT toolkit starts it: in an empty folder, in its entry's environment.

Convention: what toolkit 0.9.0 was seen to do. `traxpython` runs a module with `-m` and anything else with `-c`, in the
interpreter `python` of the entry, and finds its modules below `paths`.
"""

import os
import queue
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from starktrack.arrays import Box
from starktrack.errors import InputError, MissingExtraError, StarktrackError
from starktrack.geometry.boxes import whole_pixels

_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_POLL_SECONDS = 0.1


def check_trax(
    entry: Mapping[str, str], workspace: Path, timeout: float, paths: Sequence[str], box_xywh: Box
) -> list[str]:
    """Return the tracker's answers to the frames at `paths`, as text.

    Raises:
        InputError: The entry cannot be started.
        MissingExtraError: `vot-trax` is not installed.
        StarktrackError: The tracker failed; holds all that it printed.
    """
    if find_spec("trax") is None:
        raise MissingExtraError("vot-trax", "vot", "starting a tracker as the VOT toolkit does")
    command, environment = trax_command(entry, workspace)
    # The tracker calls back on a socket, so that what it prints is its own.
    server = socket.create_server(("127.0.0.1", 0))
    environment = {**os.environ, **environment, "TRAX": "1", "TRAX_SOCKET": str(server.getsockname()[1])}
    with server, tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as printed:
        process = _start(command, Path(folder), environment, printed)
        try:
            return _wait(lambda: _talk(server, timeout, paths, box_xywh), process, timeout * (len(paths) + 1))
        except StarktrackError as error:
            printed.seek(0)
            text = printed.read().decode(errors="replace").strip() or "nothing"
            raise StarktrackError(f"{error}; it printed:\n{text}") from error
        finally:
            process.kill()
            process.wait()


def trax_command(entry: Mapping[str, str], workspace: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command of an entry, and the variables that it sets.

    Raises:
        InputError: `paths` in an entry whose protocol has none.
    """
    variables = {key.removeprefix("env_"): value for key, value in entry.items() if key.startswith("env_")}
    if entry["protocol"] == "trax":
        if "paths" in entry:
            raise InputError(
                "an entry with protocol trax must not have paths, the toolkit refuses it; "
                "give env_PYTHONPATH, or protocol = traxpython"
            )
        return shlex.split(entry["command"]), variables
    folders = [str(workspace.resolve() / part) for part in entry.get("paths", "").split(os.pathsep) if part]
    known = variables.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    variables["PYTHONPATH"] = os.pathsep.join([*folders, *filter(None, [known])])
    option = "-m" if _MODULE.fullmatch(entry["command"]) else "-c"
    return [entry.get("python", sys.executable), option, entry["command"]], variables


def _start(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], printed: Any
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise InputError(
            f"a tracker's command must start from any folder, {shlex.join(command)} does not: {error.strerror}; "
            "give full paths"
        ) from error


def _wait(
    talk: Callable[[], list[str] | StarktrackError], process: subprocess.Popen[bytes], seconds: float
) -> list[str]:
    """Return the answers; a tracker that ends is noticed at once, though the library would wait for it."""
    box: queue.Queue[list[str] | StarktrackError] = queue.Queue()
    threading.Thread(target=lambda: box.put(talk()), daemon=True).start()
    for _ in range(int(seconds / _POLL_SECONDS)):
        try:
            found = box.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            if process.poll() is None:
                continue
            raise StarktrackError(f"the tracker ended with code {process.returncode}") from None
        if isinstance(found, StarktrackError):
            raise found
        return found
    raise StarktrackError(f"the tracker must answer within {seconds:g} s, and did not")


def _talk(
    server: socket.socket, timeout: float, paths: Sequence[str], box_xywh: Box
) -> list[str] | StarktrackError:
    """Return the tracker's answers, or what went wrong: it is called in a thread of its own."""
    import trax
    from trax.client import Client

    try:
        # Without a logger the library (4.0.2) fails before it listens.
        client = Client(server.fileno(), timeout=round(timeout), log=lambda text: None)  # pyright: ignore[reportArgumentType]
        images = [{trax.ImageChannel.COLOR: trax.FileImage.create(path)} for path in paths]
        wants_box = trax.Region.RECTANGLE in client.region_formats
        region = trax.Rectangle.create(*box_xywh.tolist()) if wants_box else _mask(trax, box_xywh)
        answers = [client.initialize(images[0], [(region, {})], {})[0]]
        answers += [client.frame(image, {}, [])[0] for image in images[1:]]
        client.quit()
    except (trax.TraxException, OSError) as error:
        return StarktrackError(f"the tracker failed: {error}")
    return [", ".join(f"{region} {properties}" for region, properties in answer) for answer in answers]


def _mask(trax: Any, box_xywh: Box) -> Any:
    import numpy as np

    left, top, columns, rows = whole_pixels(box_xywh)
    return trax.Mask.create(np.ones((rows, columns), np.uint8), left, top)
