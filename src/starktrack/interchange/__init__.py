"""Annotations in and out: tracks of one video in the formats of benchmarks and labelling tools.

Example:
    >>> from starktrack import interchange
    >>> video = interchange.read("gt.txt", "mot")  # doctest: +SKIP
    >>> interchange.write("annotations.xml", video, "cvat")  # doctest: +SKIP
"""

from starktrack.interchange.building import TrackBuilder
from starktrack.interchange.detections import from_detections, to_detections
from starktrack.interchange.format import KEEPS, Format, losses, reduced
from starktrack.interchange.recording import TrackRecorder
from starktrack.interchange.registry import FORMATS, check_place, detect, format_named, read, recognise, write
from starktrack.interchange.sequences import from_sequences, to_sequences
from starktrack.interchange.tracks import Mask, Observation, Polygon, Rectangle, Track, VideoTracks

__all__ = [
    "FORMATS",
    "KEEPS",
    "Format",
    "Mask",
    "Observation",
    "Polygon",
    "Rectangle",
    "Track",
    "TrackBuilder",
    "TrackRecorder",
    "VideoTracks",
    "check_place",
    "detect",
    "format_named",
    "from_detections",
    "from_sequences",
    "losses",
    "read",
    "recognise",
    "reduced",
    "to_detections",
    "to_sequences",
    "write",
]
