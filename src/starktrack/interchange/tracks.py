"""The in-memory model of annotated tracks that every format is read into and written from.

Convention: frames count from 0. Coordinates are image pixels with continuous edges: pixel j spans [j, j + 1].
A frame in which a target is absent, outside the picture or not annotated holds no observation of it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool

from starktrack.data.formats.regions import mask_of_runs, run_lengths

Real: TypeAlias = float | int
Point: TypeAlias = tuple[Real, Real]
BoxTuple: TypeAlias = tuple[Real, Real, Real, Real]


@dataclass(frozen=True)
class Rectangle:
    """A box, upright or turned about its centre.

    Attributes:
        box_xywh: Top-left corner, width and height before the turn.
        rotation: Degrees clockwise, as seen in the image, in [0, 360).

    Example:
        >>> Rectangle((10, 20, 30, 40)).corners_xy
        ((10.0, 20.0), (40.0, 20.0), (40.0, 60.0), (10.0, 60.0))
    """

    box_xywh: BoxTuple
    rotation: Real = 0.0

    @property
    def corners_xy(self) -> tuple[Point, ...]:
        """Return the four corners, clockwise from the one that is at the top left before the turn."""
        x, y, w, h = self.box_xywh
        centre_x, centre_y = x + w / 2, y + h / 2
        turn = math.radians(self.rotation)
        cos, sin = math.cos(turn), math.sin(turn)
        return tuple(
            (centre_x + dx * cos - dy * sin, centre_y + dx * sin + dy * cos)
            for dx, dy in ((-w / 2, -h / 2), (w / 2, -h / 2), (w / 2, h / 2), (-w / 2, h / 2))
        )

    @property
    def bounds_xywh(self) -> BoxTuple:
        """Return the upright box around it."""
        return self.box_xywh if self.rotation == 0 else _bounds(self.corners_xy)


@dataclass(frozen=True)
class Polygon:
    """A closed outline.

    Example:
        >>> Polygon(((10, 20), (40, 20), (40, 60))).bounds_xywh
        (10, 20, 30, 40)
    """

    points_xy: tuple[Point, ...]

    @property
    def bounds_xywh(self) -> BoxTuple:
        """Return the upright box around it."""
        return _bounds(self.points_xy)


@dataclass(frozen=True)
class Mask:
    """The pixels of a target, in a window that just holds them.

    Attributes:
        corner_xy: The window's first pixel.
        size_wh: Its size.
        runs: Lengths of alternating runs of pixels along the window's rows, the first one off the target.

    Example:
        >>> pixels = np.zeros((48, 64), bool)
        >>> pixels[10:20, 30:35] = True
        >>> Mask.of_pixels(pixels).bounds_xywh
        (30.0, 10.0, 5.0, 10.0)
    """

    corner_xy: tuple[int, int]
    size_wh: tuple[int, int]
    runs: tuple[int, ...]

    @classmethod
    def of_pixels(
        cls, pixels: Bool[np.ndarray, "height width"], corner_xy: tuple[int, int] = (0, 0)
    ) -> "Mask | None":
        """Return the mask of these pixels, of which the first lies at `corner_xy`; None when all are False."""
        rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        if not len(rows):
            return None
        top, left = int(rows[0]), int(columns[0])
        window = pixels[top : rows[-1] + 1, left : columns[-1] + 1]
        return cls((corner_xy[0] + left, corner_xy[1] + top), window.shape[::-1], tuple(run_lengths(window)))

    @property
    def window(self) -> Bool[np.ndarray, "height width"]:
        """Return the window's pixels."""
        return mask_of_runs(list(self.runs), self.corner_xy, self.size_wh).pixels

    def pixels(self, size_hw: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
        """Return the mask in a frame of this size; what lies outside is left out."""
        frame = np.zeros(size_hw, bool)
        (left, top), (width, height) = self.corner_xy, self.size_wh
        rows, columns = slice(max(top, 0), top + height), slice(max(left, 0), left + width)
        frame[rows, columns] = self.window[max(-top, 0) :, max(-left, 0) :][
            : max(size_hw[0] - max(top, 0), 0), : max(size_hw[1] - max(left, 0), 0)
        ]
        return frame

    @property
    def bounds_xywh(self) -> BoxTuple:
        """Return the upright box around it."""
        (x, y), (w, h) = self.corner_xy, self.size_wh
        return float(x), float(y), float(w), float(h)


Shape: TypeAlias = Rectangle | Polygon | Mask


@dataclass(frozen=True)
class Observation:
    """Where a target is in one frame.

    Attributes:
        frame: Index in the video, from 0.
        shape: Where it is.
        seconds: When the frame is shown; None where the file does not say.
        score: How likely the target is there, [0, 1]; None without one.
        visibility: Which share of the target can be seen, [0, 1]; None where the file does not say.
        occluded: Whether something hides a part of it; None where the file does not say.
        key: Whether a person or a tracker placed it here; False where a tool filled in between two key boxes.
        attributes: Further values by name, as text.

    Example:
        >>> Observation(3, Rectangle((10, 20, 30, 40)), score=0.9).box_xywh
        (10, 20, 30, 40)
    """

    frame: int
    shape: Shape
    seconds: Real | None = None
    score: Real | None = None
    visibility: Real | None = None
    occluded: bool | None = None
    key: bool = True
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def box_xywh(self) -> BoxTuple:
        """Return the upright box around the shape, which is what a tracker starts from."""
        return self.shape.bounds_xywh


@dataclass(frozen=True)
class Track:
    """One target through a video.

    Attributes:
        id: Unique among the tracks of the video.
        label: What it is, as the file writes it; empty where it does not say.
        observations: In the order of their frames, at most one a frame.
        colour: How it is drawn, `#rrggbb`; None where the file does not say.

    Example:
        >>> ends = (Observation(0, Rectangle((0, 0, 8, 8))), Observation(2, Rectangle((4, 0, 8, 8))))
        >>> Track(0, "duck", ends).interpolated().at(1).box_xywh
        (2.0, 0.0, 8.0, 8.0)
    """

    id: int
    label: str
    observations: tuple[Observation, ...]
    colour: str | None = None

    def __len__(self) -> int:
        """Return in how many frames the target is."""
        return len(self.observations)

    def at(self, frame: int) -> Observation | None:
        """Return the observation of a frame, or None where there is none."""
        return self._by_frame.get(frame)

    @cached_property
    def _by_frame(self) -> dict[int, Observation]:
        return {observation.frame: observation for observation in self.observations}

    def interpolated(self) -> "Track":
        """Return the track with the frames between two boxes filled in, linearly; polygons and masks are not."""
        filled: list[Observation] = []
        for observation in self.observations:
            if filled:
                filled += between(filled[-1], observation)
            filled.append(observation)
        return replace(self, observations=tuple(filled))

    def thinned(self, tolerance: Real) -> "Track":
        """Return the track with as few key boxes as keep every edge of every box in its place.

        A labelling tool moves the boxes between two key boxes along with them, so that few of them are quick to
        correct. Turned boxes, polygons and masks stay key boxes, and so do the ends of every run of boxes.

        Args:
            tolerance: How far an edge may lie from the straight line between two key boxes, pixels.
        """
        keys: set[int] = set()
        run: list[Observation] = []
        for seen in (*self.observations, None):
            upright = seen is not None and isinstance(seen.shape, Rectangle) and not seen.shape.rotation
            goes_on = upright and (not run or (seen is not None and seen.frame == run[-1].frame + 1))
            if not goes_on:
                keys |= _key_frames(run, tolerance)
                run = []
            if seen is not None and upright:
                run.append(seen)
            elif seen is not None:
                keys.add(seen.frame)
        return replace(
            self, observations=tuple(replace(seen, key=seen.frame in keys) for seen in self.observations)
        )


@dataclass(frozen=True)
class VideoTracks:
    """The annotated targets of one video.

    Attributes:
        tracks: The targets.
        name: What the video is called; empty where the file does not say.
        size_hw: Height and width of its frames; None where the file does not say.
        num_frames: How many frames it has; None where the file does not say.
        frame_rate: Frames per second; None where the file does not say.

    Example:
        >>> box = Observation(3, Rectangle((10.0, 20.0, 30.0, 40.0)))
        >>> video = VideoTracks((Track(0, "duck", (box,)),))
        >>> video.starts()
        {3: {0: (10.0, 20.0, 30.0, 40.0)}}
    """

    tracks: tuple[Track, ...]
    name: str = ""
    size_hw: tuple[int, int] | None = None
    num_frames: int | None = None
    frame_rate: Real | None = None

    def __len__(self) -> int:
        return len(self.tracks)

    @property
    def labels(self) -> list[str]:
        """Return the labels in the order in which they appear, each once."""
        return list(dict.fromkeys(track.label for track in self.tracks))

    @property
    def length(self) -> int:
        """Return the number of frames, or how many the observations need where it is not known."""
        last = max((track.observations[-1].frame for track in self.tracks if len(track)), default=-1)
        return max(self.num_frames or 0, last + 1)

    def by_frame(self) -> Iterator[tuple[int, list[tuple[Track, Observation]]]]:
        """Yield each frame that holds observations, in order, with its targets."""
        frames: dict[int, list[tuple[Track, Observation]]] = {}
        for track in self.tracks:
            for observation in track.observations:
                frames.setdefault(observation.frame, []).append((track, observation))
        yield from sorted(frames.items())

    def starts(self, first_frame: int = 0) -> dict[int, dict[int, BoxTuple]]:
        """Return where each target is seen first, from `first_frame` on: by frame, its id and its box."""
        starts: dict[int, dict[int, BoxTuple]] = {}
        for track in self.tracks:
            seen = (each for each in track.observations if each.frame >= first_frame)
            if (first := next(seen, None)) is not None:
                starts.setdefault(first.frame, {})[track.id] = first.box_xywh
        return dict(sorted(starts.items()))


def between(before: Observation, after: Observation) -> list[Observation]:
    """Return the boxes of the frames between two, on straight lines; none between polygons or masks.

    Convention: a turn goes the short way round.
    """
    if not (isinstance(before.shape, Rectangle) and isinstance(after.shape, Rectangle)):
        return []
    steps = after.frame - before.frame
    turn = (after.shape.rotation - before.shape.rotation + 180) % 360 - 180
    filled = []
    for step in range(1, steps):
        share = step / steps
        x, y, w, h = (
            (1 - share) * a + share * b
            for a, b in zip(before.shape.box_xywh, after.shape.box_xywh, strict=True)
        )
        shape = Rectangle((x, y, w, h), (before.shape.rotation + share * turn) % 360)
        filled.append(
            replace(before, frame=before.frame + step, shape=shape, seconds=None, score=None, key=False)
        )
    return filled


def _key_frames(run: list[Observation], tolerance: Real) -> set[int]:
    """Return the frames of a run that lines between them need to stay within the tolerance."""
    if not run:
        return set()
    boxes = np.array([seen.box_xywh for seen in run], float)
    edges = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    keys, open_parts = {0, len(run) - 1}, [(0, len(run) - 1)]
    while open_parts:
        first, last = open_parts.pop()
        share = np.linspace(0, 1, last - first + 1)[:, None]
        away = np.abs(edges[first : last + 1] - (1 - share) * edges[first] - share * edges[last]).max(axis=1)
        worst = int(away.argmax())
        if away[worst] > tolerance:
            keys.add(first + worst)
            open_parts += [(first, first + worst), (first + worst, last)]
    return {run[index].frame for index in keys}


def _bounds(points_xy: tuple[Point, ...]) -> BoxTuple:
    columns, rows = zip(*points_xy, strict=True)
    left, top = min(columns), min(rows)
    return left, top, max(columns) - left, max(rows) - top
