"""Annotated videos with the tracks of several targets each: one's own labels, or a multi-object tracking set.

The root holds folders of frames (`NAME/00000001.jpg`) or video files (`NAME.mp4`), and their tracks: in one
`tracks.json` for all of them, or beside each video in `NAME.json` (the same record) or `NAME.txt` (the lines of the
MOT Challenge: frame from 1, identity, x, y, w, h).

Convention: boxes are 0-based, image pixels. Every track is a sequence, called `NAME_ID`. A frame in which a track has
no box says nothing about its target: it is neither searched nor taken for a negative. Two tracks of a video are two
objects, but for those with the same `raw_track`, which may be one object in pieces.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float

from starktrack.arrays import Image
from starktrack.data.cache import cache_folder
from starktrack.data.formats.format_error import named_errors
from starktrack.data.formats.number_text import parse_table
from starktrack.data.sources.dataset import Dataset, DatasetSpec, position_of
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import NumberedFrames, all_frames
from starktrack.data.video_sequence import FrameSource, OtherTarget, TargetClasses, VideoSequence
from starktrack.errors import DatasetError, InputError, VideoError
from starktrack.files import atomic_folder

VIDEO_ENDINGS = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".MP4", ".MOV", ".AVI")
_TRACKS = "tracks.json"
_PATTERN = "{:08d}.jpg"
_JPEG_QUALITY = 95
"""Of the frames of video files in the cache; what it loses is far below what a video codec has lost before."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Track:
    """One identity in one video.

    Attributes:
        name: Unique within the data set.
        label: Its boxes and class.
        piece_of: Tracks of a video with the same value may be the same object.
    """

    name: str
    label: OtherTarget
    piece_of: str


@dataclass(frozen=True)
class VideoFileFrames:
    """The frames of a video file, unpacked into the cache folder when the first is read.

    Attributes:
        path: The file.
        count: Frames that the annotation speaks of.
    """

    path: Path
    count: int

    def __len__(self) -> int:
        return self.count

    @property
    def folder(self) -> Path:
        """Return where the frames lie once they are unpacked; it changes when the file does."""
        stat = self.path.stat()
        key = f"{self.path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
        return cache_folder() / "videos" / hashlib.sha256(key.encode()).hexdigest()[:24]

    def read(self, index: int) -> Image:
        """Return frame `index` (from 0), RGB."""
        return NumberedFrames(Folder(self.unpack()), _PATTERN, 1, self.count).read(index)

    def unpack(self) -> Path:
        """Return the folder of the unpacked frames, written now where they are not there yet.

        Raises:
            VideoError: The file cannot be decoded.
            DatasetError: It is shorter than its annotation, or the cache cannot be written.
        """
        folder = self.folder
        if folder.is_dir():
            return folder
        from starktrack.data.frames import open_frames

        try:
            with atomic_folder(folder, "a folder of unpacked frames") as partial:
                number = 0
                with open_frames(self.path) as frames:
                    for number, frame in enumerate(frames, start=1):
                        bgr = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
                        name = str(partial / _PATTERN.format(number))
                        # Not `write_image`, which waits for the disk at every frame: the folder moves as a whole.
                        if not cv2.imwrite(name, bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]):
                            raise OSError(f"{name} could not be written; is the disk full?")
                if number < self.count:
                    raise DatasetError(
                        f"{self.path} must have the {self.count} frames that its tracks speak of, got {number}"
                    )
        except (DatasetError, VideoError):
            raise
        except InputError as error:
            if not folder.is_dir():  # else another process was faster
                raise DatasetError(
                    f"frames of {self.path} must be unpacked, got: {error}; if the cache cannot be written, set "
                    "XDG_CACHE_HOME to another folder"
                ) from error
        return folder


class TracksDataset:
    """The tracks of annotated videos, each a sequence that knows the other targets of its video."""

    name = "tracks"

    def __init__(
        self,
        split: str,
        videos: Sequence[tuple[str, FrameSource, tuple[Track, ...]]],
        missing: tuple[str, ...],
    ) -> None:
        self.split = split
        self.missing = missing
        self._videos = tuple(videos)
        self._tracks = [
            (video, track) for video, (_, _, tracks) in enumerate(self._videos) for track in tracks
        ]
        self._positions = {track.name: position for position, (_, track) in enumerate(self._tracks)}
        if len(self._positions) < len(self._tracks):
            raise DatasetError("the names VIDEO_ID of tracks must differ, got some twice; rename a video")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the tracks, video by video."""
        return tuple(self._positions)

    def target_classes(self) -> TargetClasses:
        """Return the class of every track."""
        names = [track.label.object_class or "" for _, track in self._tracks]
        known = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return TargetClasses(tuple(known), np.array([known[name] for name in names], np.int64))

    def __len__(self) -> int:
        return len(self._tracks)

    def __getitem__(self, key: int | str) -> VideoSequence:
        """Return a track by number (from 0) or by name."""
        which, own = self._tracks[position_of(key, self._positions, self.name)]
        video, frames, tracks = self._videos[which]
        return VideoSequence(
            name=own.name,
            frames=frames,
            boxes_xywh=own.label.boxes_xywh,
            visible=own.label.visible,
            object_class=own.label.object_class,
            videos=frozenset((video,)),
            absent=np.zeros(len(own.label.visible), bool),
            others=tuple(track.label for track in tracks if track.piece_of != own.piece_of),
        )

    def unpack(self, progress: Progress = lambda done, total: None) -> None:
        """Unpack all video files into the cache folder, so that frames can be read in any order.

        Args:
            progress: Called with the number of files done and of all.

        Raises:
            DatasetError: A file cannot be decoded or is shorter than its annotation.
        """
        files = [frames for _, frames, _ in self._videos if isinstance(frames, VideoFileFrames)]
        for done, frames in enumerate(files, start=1):
            frames.unpack()
            progress(done, len(files))


def open_tracks(root: Folder, split: str) -> Dataset:
    """Return the tracks of the annotated videos below a folder.

    Raises:
        DatasetError: No annotation is there, or one is malformed; names the file and the video.
    """
    videos, missing = [], []
    for name, record, where in _records(root):
        tracks = _parse_tracks(name, record, where)
        if not tracks:
            continue
        frames = _frames_of(root, name, len(tracks[0].label.visible))
        if frames is None:
            missing += [track.name for track in tracks]
        else:
            videos.append((name, frames, tracks))
    return TracksDataset(split, videos, tuple(missing))


def _records(root: Folder) -> list[tuple[str, Any, str]]:
    """Return name, record and annotation file of every video."""
    if root.has(_TRACKS):
        where, content = root.label(_TRACKS), _json(root, _TRACKS)
        if not isinstance(content, list) or not all(
            isinstance(each, dict) and each.get("clip") for each in content
        ):
            raise DatasetError(f'{where} must be a list of records with "clip" and "tracks"')
        return [(str(record["clip"]), record, where) for record in content]
    files, folders = root.files(), root.folders()
    there = [Path(name).stem for name in files if name.endswith(VIDEO_ENDINGS)] + list(folders)
    records: list[tuple[str, Any, str]] = []
    for name in sorted(set(there)):
        if f"{name}.json" in files:
            records.append((name, _json(root, f"{name}.json"), root.label(f"{name}.json")))
        elif f"{name}.txt" in files:
            where = root.label(f"{name}.txt")
            records.append((name, _mot_record(root.read_text(f"{name}.txt"), where), where))
    if not records:
        raise DatasetError(
            f"{root} holds no sequence of annotated videos; it must hold {_TRACKS}, or NAME.json or NAME.txt beside "
            "each video"
        )
    return records


def _json(root: Folder, name: str) -> Any:
    try:
        return json.loads(root.read(name))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{root.label(name)} is not valid JSON: {error}") from error


def _mot_record(text: str, where: str) -> dict[str, Any]:
    with named_errors(where, DatasetError):
        rows = parse_table(text, 6)
    numbers = rows[:, :2]
    if not np.isfinite(rows).all() or (numbers != numbers.round()).any() or numbers[:, 0].min() < 1:
        raise DatasetError(f"{where} must hold frame (from 1), identity, x, y, w, h in every line")
    count = int(numbers[:, 0].max())
    if count > _MOST_FRAMES:
        raise DatasetError(f"{where} must speak of at most {_MOST_FRAMES} frames, got {count}")
    tracks = []
    for identity in np.unique(numbers[:, 1]).astype(int).tolist():
        boxes: list[list[float] | None] = [None] * count
        for row in rows[numbers[:, 1] == identity]:
            boxes[int(row[0]) - 1] = row[2:6].tolist()
        tracks.append({"id": identity, "boxes_xywh": boxes})
    return {"tracks": tracks}


_MOST_FRAMES = 1_000_000
"""A frame number above this in a text file is a mistake, which must not cost its memory."""


def _parse_tracks(name: str, record: Any, where: str) -> tuple[Track, ...]:
    try:
        tracks = tuple(_parse_track(name, track) for track in record["tracks"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DatasetError(
            f'{where}: "tracks" of {name} must be records with "id" and "boxes_xywh" (four numbers or null for each '
            f"frame), got {type(error).__name__}: {error}"
        ) from error
    lengths = {len(track.label.visible) for track in tracks}
    if len(lengths) > 1:
        raise DatasetError(
            f"{where}: all tracks of {name} must have an entry for each frame, got lengths {sorted(lengths)}"
        )
    return tracks


def _parse_track(video: str, track: Any) -> Track:
    boxes = np.array([[np.nan] * 4 if box is None else box for box in track["boxes_xywh"]], np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"track {track['id']} has boxes of shape {boxes.shape}")
    first, last = int(track.get("start", 0)), int(track.get("end", len(boxes) - 1))
    frame = np.arange(len(boxes))
    visible: Bool[np.ndarray, " num_frames"] = (
        np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1) & (frame >= first) & (frame <= last)
    )
    kept: Float[np.ndarray, "num_frames 4"] = np.where(visible[:, None], boxes, np.nan)
    identity = str(track["id"])
    kind = track.get("category")
    piece = track.get("raw_track")
    return Track(
        f"{video}_{identity}",
        OtherTarget(kept, visible, None if kind is None else str(kind)),
        f"id {identity}" if piece is None else f"raw {piece}",
    )


def _frames_of(root: Folder, name: str, count: int) -> FrameSource | None:
    folder = root.folder(name)
    if folder is not None:
        frames = all_frames(folder)
        if len(frames) < count:
            raise DatasetError(
                f"{folder} must hold the {count} frames that its tracks speak of, got {len(frames)}"
            )
        return frames
    video = next((name + ending for ending in VIDEO_ENDINGS if root.has(name + ending)), None)
    if video is None:
        return None
    if root.inside is not None:
        raise DatasetError(f"{root.label(video)} must lie on disk to be unpacked, not in a zip; extract it")
    return VideoFileFrames(root.path / video, count)


TRACKS = DatasetSpec("tracks", "annotated videos with the tracks of their targets", ("all",), open_tracks)
