"""OpenCV's trackers with `start` and `update`; also a program, for the OpenCV of another Python.

Two OpenCV wheels cannot share an environment, and only the contrib wheel has CSRT and KCF. Run as a program
(`python opencv_worker.py KIND [FOLDER]`, needs NumPy and OpenCV only) it reads requests from standard input and
writes answers to standard output; `opencv.py` is the parent's side.

Convention: OpenCV takes whole pixels at the start; where it reports the target as lost, the last box stays.
MIL draws samples from a random state that cannot be set: its boxes depend on what was tracked before.
"""

import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

REQUEST = struct.Struct("<cii4d")
"""b"s" (start) or b"u" (update), height and width of the RGB frame that follows, box x,y,w,h."""

ANSWER = struct.Struct("<4d")

CLASSES = {"csrt": "TrackerCSRT", "kcf": "TrackerKCF", "mil": "TrackerMIL", "nanotrack": "TrackerNano"}
"""OpenCV's class of each kind."""


class OpenCvTracker:
    """One of OpenCV's trackers.

    Args:
        kind: A key of `CLASSES`.
        folder: Where NanoTrack's two ONNX files lie; not used by the others.
    """

    def __init__(self, kind: str, folder: str) -> None:
        self._kind = kind
        self._folder = Path(folder)
        self._tracker: Any = None
        self._box = np.zeros(4)

    def start(self, image: np.ndarray, box_xywh: np.ndarray) -> None:
        """Show the tracker its target."""
        self._tracker = _create(self._kind, self._folder)
        self._box = np.array(box_xywh, dtype=np.float64)
        x, y, w, h = (round(float(value)) for value in box_xywh)
        self._tracker.init(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (x, y, max(1, w), max(1, h)))

    def update(self, image: np.ndarray) -> np.ndarray:
        """Return where the target is."""
        found, box = self._tracker.update(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if found:
            self._box = np.array(box, dtype=np.float64)
        return self._box


def _create(kind: str, folder: Path) -> Any:
    created = getattr(cv2, CLASSES[kind])
    if kind != "nanotrack":
        return created.create()
    # OpenCV 5 logs twice a sequence that its new engine runs on the CPU.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    settings = cv2.TrackerNano.Params()
    settings.backbone, settings.neckhead = (str(find_onnx(folder, part)) for part in ("backbone", "head"))
    return created.create(settings)


def find_onnx(folder: Path, part: str) -> Path:
    """Return NanoTrack's file of that part; FileNotFoundError when there is not exactly one."""
    found = sorted(folder.glob(f"*{part}*.onnx"))
    if len(found) != 1:
        raise FileNotFoundError(
            f"NanoTrack needs one file *{part}*.onnx in {folder}, got {len(found)}; "
            "name the folder of its two files"
        )
    return found[0]


def serve(kind: str, folder: str, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    tracker = OpenCvTracker(kind, folder)
    while header := requests.read(REQUEST.size):
        what, height, width, *box = REQUEST.unpack(header)
        image = np.frombuffer(requests.read(height * width * 3), np.uint8).reshape(height, width, 3)
        if what == b"s":
            tracker.start(image, np.array(box))
        else:
            box = tracker.update(image).tolist()
        answers.write(ANSWER.pack(*box))
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ".", sys.stdin.buffer, sys.stdout.buffer)
