"""OpenCV's trackers as baselines, in this process if its OpenCV has them, else in another Python.

The package depends on the plain OpenCV wheel, which has MIL and NanoTrack. CSRT and KCF are in the contrib wheel,
which would overwrite it. They run in another Python: the one you name, or one that `uv` makes.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from starktrack.arrays import Box, Image
from starktrack.errors import InputError, StarktrackError
from starktrack.tracking import opencv_worker
from starktrack.tracking.batch_tracker import PluginTracker
from starktrack.tracking.opencv_worker import ANSWER, CLASSES, REQUEST, OpenCvTracker, find_onnx

CONTRIB = "opencv-contrib-python-headless==5.0.0.*"
"""The wheel that `uv` installs, of the version of the plain wheel that this package was tested with."""


NEEDS_A_FRESH_PROCESS = ("mil",)
"""Kinds whose boxes depend on earlier targets in the same process; a resumed run must give the same boxes."""


class OpenCvFactory:
    """Makes trackers of one kind; those that need another process share it, one after the other.

    Args:
        kind: `csrt`, `kcf`, `mil` or `nanotrack`.
        folder: Where NanoTrack's two ONNX files lie.
        python: A Python whose OpenCV has the tracker; without it this one, else `uv`.

    Raises:
        InputError: NanoTrack's files are missing, or no installed OpenCV has this tracker.
    """

    def __init__(self, kind: str, *, folder: Path | None = None, python: Path | None = None) -> None:
        self._kind = kind
        self._folder = str((folder or Path.cwd()).resolve())
        if kind == "nanotrack":
            require_nanotrack(folder)
        known = python is None and hasattr(cv2, CLASSES[kind])
        start = [sys.executable] if known else _python(kind, python)
        self._command = [*start, opencv_worker.__file__, kind, self._folder]
        self._here = known and kind not in NEEDS_A_FRESH_PROCESS
        self._worker: _Worker | None = None

    def __call__(self) -> PluginTracker:
        """Return a new tracker."""
        if self._here:
            return OpenCvTracker(self._kind, self._folder)
        if self._kind in NEEDS_A_FRESH_PROCESS:
            self.close()
        if self._worker is None or self._worker.is_gone:
            self._worker = _Worker(self._command)
        return self._worker

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def require_nanotrack(folder: Path | None) -> list[Path]:
    """Return NanoTrack's backbone and head; InputError when they are not there."""
    if folder is None:
        raise InputError(
            "nanotrack needs the folder of its two ONNX files, got none; give --nanotrack FOLDER"
        )
    try:
        return [find_onnx(folder, part) for part in ("backbone", "head")]
    except FileNotFoundError as error:
        raise InputError(str(error)) from error


def opencv_version(kind: str, python: Path | None) -> str:
    """Return the version of the OpenCV that runs a kind of tracker; the wheel's name where `uv` chooses it.

    Raises:
        InputError: The named Python has no OpenCV.
    """
    if python is None:
        return cv2.__version__ if hasattr(cv2, CLASSES[kind]) else CONTRIB
    ask = [str(python), "-c", "import cv2; print(cv2.__version__)"]
    try:
        return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"--opencv-python must be a Python with OpenCV, {python} is not: {error}") from error


def _python(kind: str, python: Path | None) -> Sequence[str]:
    if python is not None:
        return [str(python)]
    if shutil.which("uv") is None:
        raise InputError(
            f"{kind} is in OpenCV's contrib wheel, which cannot lie beside the plain one, and uv was not "
            f"found to make a Python for it; install uv, or give --opencv-python of one with {CONTRIB}"
        )
    return ["uv", "run", "--no-project", "--quiet", "--with", CONTRIB, "--with", "numpy", "python"]


class _Worker:
    """The parent's side of the protocol with `opencv_worker` in another process."""

    def __init__(self, command: Sequence[str]) -> None:
        # A pipe nobody reads would stop the worker when it is full.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )

    @property
    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def start(self, image: Image, box_xywh: Box) -> None:
        self._ask(b"s", image, box_xywh)

    def update(self, image: Image) -> Box:
        return self._ask(b"u", image, np.zeros(4))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _ask(self, what: bytes, image: Image, box_xywh: Box) -> Box:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        height, width = image.shape[:2]
        try:
            self._process.stdin.write(REQUEST.pack(what, height, width, *box_xywh))
            self._process.stdin.write(np.ascontiguousarray(image).data)
            self._process.stdin.flush()
            answer = self._process.stdout.read(ANSWER.size)
        except BrokenPipeError:
            answer = b""
        if len(answer) != ANSWER.size:
            raise StarktrackError(f"the OpenCV tracker ended without an answer: {self._last_words()}")
        return np.array(ANSWER.unpack(answer))

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return "; ".join(lines[-3:]) or f"exit code {code}"
