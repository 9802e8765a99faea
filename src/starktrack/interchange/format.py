"""The record of a format: a reader, a writer, and the properties of tracks that it keeps."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from starktrack.interchange.building import UNNAMED, VideoInfo
from starktrack.interchange.tracks import Mask, Observation, Polygon, Rectangle, Shape, Track, VideoTracks
from starktrack.interchange.values import Value

KEEPS = {
    "several targets": "more than one target",
    "ids": "the numbers of the targets",
    "labels": "what the targets are",
    "colours": "the colours of the targets",
    "scores": "scores",
    "times": "seconds",
    "visibility": "visible shares",
    "occluded": "which boxes are occluded",
    "key boxes": "which boxes are key boxes",
    "rotation": "turned boxes",
    "polygons": "polygons",
    "masks": "masks",
    "attributes": "further attributes",
    "name": "the name of the video",
    "size": "the size of the frames",
    "length": "the number of frames",
    "frame rate": "the frame rate",
}
"""The properties of tracks that a format may keep, with their names in sentences."""

_NOT_IN_FILES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that UTF-8 or XML 1.0 cannot hold; JSON can, so labels may have them."""


@dataclass(frozen=True)
class Format:
    """One annotation format.

    Attributes:
        name: Its name in the command, `read` and `write`.
        title: Its published name.
        suffixes: Suffixes of written files; an empty one is a folder.
        keeps: Keys of `KEEPS`: what a file that is written holds, and is read again.
        frames_from: Number of the first frame.
        coordinates: The file's pixel convention.
        note: A sentence about a peculiarity; empty without one.
        source: The description of the format.
        read: Gives the tracks of a path.
        write: Writes tracks that hold no more than the format keeps.
        matches: Whether a path holds this format, by its name and the beginning of its content.
        own_attributes: Further attributes that it keeps although it does not keep any.

    Example:
        >>> from starktrack import interchange
        >>> mot = interchange.FORMATS["mot"]
        >>> mot.suffixes, mot.frames_from, "masks" in mot.keeps
        (('', '.txt'), 1, False)
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    keeps: frozenset[str]
    frames_from: int
    coordinates: str
    note: str
    source: str
    read: Callable[[Path, VideoInfo], VideoTracks]
    write: Callable[[Path, VideoTracks], None]
    matches: Callable[[Path, Value | None], bool]
    own_attributes: frozenset[str] = frozenset()


def reduced(
    video: VideoTracks, keeps: frozenset[str], own_attributes: frozenset[str] = frozenset()
) -> VideoTracks:
    """Return the part of the tracks that a format keeps.

    Convention: a turned box becomes a polygon where the format keeps those, else the upright box around it; a
    polygon or a mask becomes the upright box around it. Without ids the targets are numbered in their order.
    A target without a label is called `object`. A character that no text file can hold becomes U+FFFD. A length
    that is not known becomes the one that the boxes need.

    Example:
        >>> video = VideoTracks((Track(7, "duck", (Observation(0, Rectangle((1, 2, 3, 4)), score=0.5),)),))
        >>> track = reduced(video, frozenset({"labels"})).tracks[0]
        >>> track.id, track.label, track.observations[0].score
        (0, 'duck', None)
    """
    tracks = tuple(
        Track(
            track.id if "ids" in keeps else number,
            _clean(track.label or UNNAMED) if "labels" in keeps else "",
            tuple(_reduced(observation, keeps, own_attributes) for observation in track.observations),
            track.colour if "colours" in keeps else None,
        )
        for number, track in enumerate(each for each in video.tracks if len(each))
    )
    return VideoTracks(
        tracks,
        _clean(video.name) if "name" in keeps else "",
        video.size_hw if "size" in keeps else None,
        video.length if "length" in keeps else None,
        video.frame_rate if "frame rate" in keeps else None,
    )


def losses(
    video: VideoTracks, keeps: frozenset[str], own_attributes: frozenset[str] = frozenset()
) -> list[str]:
    """Return what these tracks have and a format does not keep, in words.

    Example:
        >>> video = VideoTracks((Track(0, "duck", (Observation(0, Rectangle((1, 2, 3, 4)), score=0.5),)),))
        >>> losses(video, frozenset({"labels"}))
        ['scores']
    """
    observations = [each for track in video.tracks for each in track.observations]
    shapes = [each.shape for each in observations]
    has = {
        "several targets": len(video.tracks) > 1,
        "ids": [track.id for track in video.tracks] != list(range(len(video.tracks))),
        "labels": any(track.label for track in video.tracks),
        "colours": any(track.colour for track in video.tracks),
        "scores": any(each.score is not None for each in observations),
        "times": any(each.seconds is not None for each in observations),
        "visibility": any(each.visibility is not None for each in observations),
        "occluded": any(each.occluded is not None for each in observations),
        "key boxes": not all(each.key for each in observations),
        "rotation": any(isinstance(shape, Rectangle) and shape.rotation for shape in shapes),
        "polygons": any(isinstance(shape, Polygon) for shape in shapes),
        "masks": any(isinstance(shape, Mask) for shape in shapes),
        "attributes": any(each.attributes.keys() - own_attributes for each in observations),
        "name": bool(video.name),
        "size": video.size_hw is not None,
        "length": video.num_frames is not None,
        "frame rate": video.frame_rate is not None,
    }
    return [words for key, words in KEEPS.items() if has[key] and key not in keeps]


def _reduced(observation: Observation, keeps: frozenset[str], own: frozenset[str]) -> Observation:
    attributes = observation.attributes.items()
    return replace(
        observation,
        shape=_reduced_shape(observation.shape, keeps),
        seconds=observation.seconds if "times" in keeps else None,
        score=observation.score if "scores" in keeps else None,
        visibility=observation.visibility if "visibility" in keeps else None,
        occluded=observation.occluded if "occluded" in keeps else None,
        key=observation.key or "key boxes" not in keeps,
        attributes={
            _clean(name): _clean(text) for name, text in attributes if "attributes" in keeps or name in own
        },
    )


def _clean(text: str) -> str:
    return _NOT_IN_FILES.sub("\ufffd", text)


def _reduced_shape(shape: Shape, keeps: frozenset[str]) -> Shape:
    if isinstance(shape, Rectangle):
        if not shape.rotation or "rotation" in keeps:
            return shape
        return Polygon(shape.corners_xy) if "polygons" in keeps else Rectangle(shape.bounds_xywh)
    if isinstance(shape, Polygon):
        return shape if "polygons" in keeps else Rectangle(shape.bounds_xywh)
    return shape if "masks" in keeps else Rectangle(shape.bounds_xywh)
