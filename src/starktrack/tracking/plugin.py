"""Trackers by name: OpenCV's, and `module:factory` for others."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from starktrack.errors import InputError, nearest_name
from starktrack.tracking.batch_tracker import PluginTracker
from starktrack.tracking.opencv_worker import CLASSES


def load_factory(
    name: str, *, nanotrack: Path | None = None, opencv_python: Path | None = None
) -> Callable[[], PluginTracker]:
    """Return the factory of the trackers of that name.

    Args:
        name: `csrt`, `kcf`, `mil`, `nanotrack`, or `module:factory`; modules are also looked for in the
            current folder. Calling `factory()` gives an object with `start(image, box_xywh)` and
            `update(image) -> box_xywh`, images RGB, boxes x,y,w,h in pixels.
        nanotrack: The folder of NanoTrack's two ONNX files.
        opencv_python: A Python with OpenCV's contrib wheel.

    Raises:
        InputError: Unknown name, no such module or factory, or what it makes lacks a method.
    """
    if name in CLASSES:
        from starktrack.tracking.opencv import OpenCvFactory

        return OpenCvFactory(name, folder=nanotrack, python=opencv_python)
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise InputError(
            f"a tracker must be module:factory or one of ours, got {name!r}{nearest_name(name, CLASSES)}"
        )
    factory = getattr(_import(module_name), attribute, None)
    if not callable(factory):
        raise InputError(
            f"a tracker must be module:factory, got {name!r}, and {module_name} has no {attribute}() to call"
        )
    return cast("Callable[[], PluginTracker]", factory)


def _import(module_name: str) -> object:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(
            f"a tracker's module must be importable, {module_name} is not: {error}; "
            "run where it lies, or set PYTHONPATH"
        ) from error
