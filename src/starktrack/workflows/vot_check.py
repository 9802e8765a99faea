"""Start a tracker of a VOT workspace as the toolkit would, and show what it prints when it fails."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import cv2

from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.errors import InputError
from starktrack.workflows.vot_check_python import check_python
from starktrack.workflows.vot_check_trax import check_trax

NUM_FRAMES = 5
TOOLKIT_TIMEOUT_SECONDS = 30.0
"""How long the toolkit waits for an answer where the entry does not say."""

PROTOCOLS = {"trax": check_trax, "traxpython": check_trax, "python": check_python}


def check_tracker(entry: Mapping[str, str], workspace: Path, timeout: float | None = None) -> str:
    """Return in a line how a tracker did on a few frames.

    Args:
        entry: The tracker's lines in `trackers.ini`.
        workspace: Where `paths` of the entry start.
        timeout: Seconds to wait for its greeting, and for each of its answers; what the entry says by default.

    Raises:
        InputError: The entry cannot be started.
        StarktrackError: The tracker failed; holds all that it printed.
    """
    protocol = entry.get("protocol", "")
    if protocol not in PROTOCOLS or "command" not in entry:
        raise InputError(
            f"an entry to check must have a command, and the protocol {', '.join(PROTOCOLS)}, got {protocol!r}"
        )
    seconds = _timeout(entry) if timeout is None else timeout
    clip = list(synthetic_clip(NUM_FRAMES))
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{index:08d}.jpg") for index in range(len(clip))]
        for path, frame in zip(paths, clip, strict=True):
            cv2.imwrite(path, cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
        answers = PROTOCOLS[protocol](entry, workspace, seconds, paths, clip[0].box_xywh)
    return f"works: {len(answers)} frames over {protocol}; the last answer is {answers[-1]}"


def _timeout(entry: Mapping[str, str]) -> float:
    seconds = entry.get("timeout", str(TOOLKIT_TIMEOUT_SECONDS))
    try:
        return float(seconds)
    except ValueError as error:
        raise InputError(f"an entry's timeout must be seconds, got {seconds!r}") from error
