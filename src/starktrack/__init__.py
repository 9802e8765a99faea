"""Point at anything in the first frame of a video; get its box in every later frame."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starktrack.api import from_pretrained, load, push, track
    from starktrack.errors import StarktrackError
    from starktrack.tracking.presence import TargetState
    from starktrack.tracking.tracker import Tracker, TrackOutput

__version__ = "0.1.0"

__all__ = [
    "StarktrackError",
    "TargetState",
    "TrackOutput",
    "Tracker",
    "from_pretrained",
    "load",
    "push",
    "track",
]

_HOME = {
    "StarktrackError": "starktrack.errors",
    "TargetState": "starktrack.tracking.presence",
    "TrackOutput": "starktrack.tracking.tracker",
    "Tracker": "starktrack.tracking.tracker",
    "from_pretrained": "starktrack.api",
    "load": "starktrack.api",
    "push": "starktrack.api",
    "track": "starktrack.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `starktrack --help` imports nothing heavy."""
    if name not in _HOME:
        raise AttributeError(f"module 'starktrack' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
