"""Common parts of all readers: tracks built box by box, and formats with one file a frame."""

import json
import re
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starktrack.errors import AnnotationError
from starktrack.interchange.tracks import Observation, Polygon, Real, Rectangle, Shape, Track, VideoTracks
from starktrack.interchange.values import LARGEST_FRAME, Value

UNNAMED = "object"
"""The label of targets without one, in formats that require a label."""

DIGITS = 6
"""Digits of the frame number in the names of files, in formats with one file a frame."""


@dataclass(frozen=True)
class VideoInfo:
    """Properties of the video from the caller, for formats that do not hold them.

    Attributes:
        size_hw: Height and width of the frames; formats in shares of the frame (YOLO, Label Studio) need it.
        frame_rate: Frames per second.
        first_frame: Number of the first frame in the names of files that lie one a frame.
        name: Which video, of a file that holds several.
    """

    size_hw: tuple[int, int] | None = None
    frame_rate: float | None = None
    first_frame: int = 0
    name: str = ""

    def required_size(self, where: str) -> tuple[int, int]:
        """Return height and width of the frames.

        Raises:
            AnnotationError: They are not known.
        """
        if self.size_hw is None:
            raise AnnotationError(
                f"{where} holds shares of the frame, so the size of the video must be known, got none; "
                "give the video or its size"
            )
        return self.size_hw


@dataclass
class _Draft:
    id: int | None
    label: str
    colour: str | None
    observations: dict[int, Observation] = field(default_factory=dict)


class TrackBuilder:
    """Builds tracks box by box, in any order.

    Convention: a target whose key is a whole number has it as its id; other targets are numbered in the order
    in which they appear, with the numbers that are free. A shape without area is no observation.

    Example:
        >>> builder = TrackBuilder()
        >>> builder.add("duck 1", Observation(3, rectangle(10, 20, 30, 40)), "line 1", label="duck")
        >>> builder.build().starts()
        {3: {0: (10.0, 20.0, 30.0, 40.0)}}
    """

    def __init__(self) -> None:
        self._drafts: dict[Hashable, _Draft] = {}

    def target(self, key: Hashable, label: str = "", colour: str | None = None) -> None:
        """Add a target before its first box, to fix its order; an earlier label stays."""
        draft = self._drafts.setdefault(key, _Draft(key if isinstance(key, int) else None, "", None))
        draft.label, draft.colour = draft.label or label, draft.colour or colour

    def add(self, key: Hashable, observation: Observation, where: str, label: str = "") -> None:
        """Add where a target is in one frame.

        Raises:
            AnnotationError: It has a box in this frame already, or another label in another frame.
        """
        self.target(key, label)
        draft = self._drafts[key]
        if observation.frame in draft.observations:
            raise AnnotationError(
                f"{where} must hold each target once a frame, got target {key} again in frame {observation.frame}"
            )
        if label and draft.label != label:
            raise AnnotationError(
                f"{where} must give a target one label, got {label!r} for target {key}, which is {draft.label!r}"
            )
        if min(observation.box_xywh[2:]) > 0:
            draft.observations[observation.frame] = observation

    def add_run(self, key: Hashable, run: Iterable[tuple[Observation, str]], label: str) -> None:
        """Add the key boxes of a target with their places, and the boxes between them, on straight lines.

        Raises:
            AnnotationError: As `add`.
        """
        keys = TrackBuilder()
        for observation, where in run:
            keys.add(key, observation, where, label)
        for track in keys.build().tracks:
            for observation in track.interpolated().observations:
                self.add(key, observation, "a run of boxes", label)

    def build(
        self,
        *,
        name: str = "",
        size_hw: tuple[int, int] | None = None,
        num_frames: int | None = None,
        frame_rate: float | None = None,
    ) -> VideoTracks:
        """Return the targets with at least one box."""
        taken = {draft.id for draft in self._drafts.values()}
        free = (number for number in range(LARGEST_FRAME) if number not in taken)
        tracks = []
        for draft in self._drafts.values():
            number = next(free) if draft.id is None else draft.id
            observations = tuple(draft.observations[frame] for frame in sorted(draft.observations))
            track = Track(number, draft.label, observations, draft.colour)
            if observations:
                tracks.append(track)
        return VideoTracks(tuple(tracks), name, size_hw, num_frames, frame_rate)


class LabelCounter:
    """Keys for boxes of one frame that carry no identity: the n-th box of a label is its n-th target."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def key(self, label: str) -> Hashable:
        """Return the key of the next box with this label."""
        self._counts[label] = self._counts.get(label, -1) + 1
        return label, self._counts[label]


KEY = "keyframe"
"""The name under which most tools say whether a box is a key box."""


def described(
    frame: int,
    shape: Shape,
    further: Mapping[str, Value],
    *,
    score: Value | None = None,
    key: str = KEY,
    known: Collection[str | None] = (),
) -> Observation:
    """Return where a target is, with what further values by name say of it.

    Args:
        further: `visibility`, `occluded` and the key box under their names, and attributes.
        score: The score; it lies elsewhere in some formats.
        key: The name under which `further` says whether the box is a key box.
        known: Further names that are no attributes.
    """
    visibility, occluded, is_key = (further.get(name) for name in ("visibility", "occluded", key))
    own = {"visibility", "occluded", key, *known}
    return Observation(
        frame,
        shape,
        score=None if score is None else score.number(0, 1),
        visibility=None if visibility is None else visibility.number(0, 1),
        occluded=None if occluded is None else occluded.flag(),
        key=is_key is None or is_key.flag(),
        attributes={
            name: value.raw if isinstance(value.raw, str) else json.dumps(value.raw, ensure_ascii=False)
            for name, value in further.items()
            if name not in own
        },
    )


def description(seen: Observation, key: str = KEY) -> dict[str, Any]:
    """Return the values by name that `described` takes, except the score."""
    values: dict[str, Any] = dict(seen.attributes)
    if seen.occluded is not None:
        values["occluded"] = seen.occluded
    if seen.visibility is not None:
        values["visibility"] = rounded(seen.visibility)
    if not seen.key:
        values[key] = False
    return values


def rectangle(x: Real, y: Real, w: Real, h: Real, rotation: Real = 0.0) -> Rectangle:
    """Return a rectangle in the model's terms, turned by any number of degrees."""
    return Rectangle((float(x), float(y), float(w), float(h)), float(rotation) % 360)


def polygon(values: list[float], where: Value) -> Polygon:
    """Return the polygon of x, y, x, y ...

    Raises:
        AnnotationError: Fewer than three points, or half a point.
    """
    if len(values) < 6 or len(values) % 2:
        raise where.wrong("be three points x,y or more")
    return Polygon(tuple(zip(values[::2], values[1::2], strict=True)))


def rounded(number: Real) -> Real:
    """Return a number as files hold it: six decimals, none where it is whole."""
    short = round(number, 6)
    return int(short) if short == int(short) else short


def frame_files(folder: Path, suffix: str, info: VideoInfo) -> dict[int, Path]:
    """Return the files of a folder by frame: the last number in a name, less the number of the first frame.

    Raises:
        AnnotationError: There are none, a name has no number, or two have the same.
    """
    found: dict[int, Path] = {}
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == suffix and path.is_file())
    for path in files:
        number = frame_number(path.name, str(path), info)
        if found.setdefault(number, path) != path:
            raise AnnotationError(
                f"{path} and {found[number].name} must be of different frames, got {number} twice"
            )
    if not found:
        raise AnnotationError(f"{folder} must hold a file {suffix} for each frame, got none")
    return found


def frame_number(name: str, where: str, info: VideoInfo) -> int:
    """Return the frame that a file's name tells by the last number in it.

    Raises:
        AnnotationError: There is no number, or it is below that of the first frame.
    """
    digits = re.findall(r"\d+", Path(name).stem)
    if not digits:
        raise AnnotationError(
            f"{where} must have the number of its frame in its name, such as frame_000012, got none"
        )
    return Value(digits[-1], f"{where}: the number in the name").frame(info.first_frame)


def frame_name(frame: int) -> str:
    """Return the name of the file of a frame, without a suffix."""
    return f"frame_{frame:0{DIGITS}d}"


def every_frame(video: VideoTracks) -> Iterable[tuple[int, list[tuple[Track, Observation]]]]:
    """Yield all frames of a video with their targets, those without any too."""
    held = dict(video.by_frame())
    return ((frame, held.get(frame, [])) for frame in range(video.length))


def places(path: Path, video: VideoTracks) -> list[tuple[Track, Path]]:
    """Return where each target goes in formats of one target: `NAME_ID` where there are several."""
    if len(video.tracks) == 1:
        return [(video.tracks[0], path)]
    return [(track, path.with_name(f"{path.stem}_{track.id}{path.suffix}")) for track in video.tracks]
