"""Point at anything in the first frame of a video; get its box in every later frame."""

from starktrack.api import load, track
from starktrack.errors import StarktrackError
from starktrack.tracking.tracker import Tracker, TrackOutput

__all__ = ["StarktrackError", "TrackOutput", "Tracker", "load", "track"]
__version__ = "0.1.0"
