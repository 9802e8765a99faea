"""Tracks of a project as files, and files as tracks of a project."""

from pathlib import Path

import numpy as np

from starktrack.data.video.writer import VideoWriter
from starktrack.errors import InputError
from starktrack.interchange import FORMATS, Observation, Track, VideoTracks, read, write
from starktrack.interchange.building import rectangle
from starktrack.studio.project import COLOURS, Kind, Target, frames_of
from starktrack.studio.session import Session
from starktrack.tracking.overlay import draw_boxes

VIDEO = "video"

EXPORTS: dict[str, str] = {
    VIDEO: "Annotated video (.mp4)",
    **{
        name: f"{name}, {'a file' if '' not in each.suffixes else 'a folder'}"
        for name, each in FORMATS.items()
    },
}
"""What can be exported, by name, with what a page calls it."""


def tracks_of(session: Session) -> VideoTracks:
    """Return the targets of a project as annotated tracks; targets without a box are left out."""
    rate = session.frames.frame_rate
    tracks = []
    for target in session.project.targets.values():
        observations = tuple(
            Observation(
                frame,
                rectangle(*target.boxes_xywh[frame].tolist()),
                seconds=frame / rate if rate else None,
                score=None if np.isnan(target.scores[frame]) else float(target.scores[frame]),
                key=bool(target.kinds[frame] == Kind.KEY),
            )
            for frame in frames_of(target)
        )
        if observations:
            tracks.append(Track(target.id, target.name, observations, target.colour))
    if not tracks:
        raise InputError("an export needs at least one box, got none; draw one first")
    return VideoTracks(
        tuple(tracks),
        session.video.name,
        session.frames.size_hw,
        session.project.num_frames,
        rate,
    )


def export_tracks(session: Session, name: str, folder: Path) -> list[Path]:
    """Write the tracks below an empty folder; return the files.

    Args:
        session: The open video.
        name: A key of `EXPORTS`.
        folder: Where to write.

    Raises:
        InputError: No such format, or no box to export.
        AnnotationError: The format cannot hold these tracks.
    """
    if name not in EXPORTS:
        raise InputError(f"an export must be one of {', '.join(EXPORTS)}, got {name!r}")
    stem = session.video.stem or session.video.name
    if name == VIDEO:
        return [_write_video(session, folder / f"{stem}.tracked.mp4")]
    suffix = next((each for each in FORMATS[name].suffixes if each), "")
    write(folder / f"{stem}{suffix}", tracks_of(session), name)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write_video(session: Session, path: Path) -> Path:
    targets = list(session.project.targets.values())
    with VideoWriter(path, session.frames.size_hw, session.frames.frame_rate) as writer:
        for frame in range(session.project.num_frames):
            boxes = {
                target.id: target.boxes_xywh[frame].astype(np.float64)
                for target in targets
                if not np.isnan(target.boxes_xywh[frame, 0])
            }
            writer.write(draw_boxes(session.frames.read(frame), boxes))
    return path


def import_tracks(session: Session, path: Path) -> list[Target]:
    """Return the tracks of an annotation file as new targets; boxes outside the video are left out.

    Raises:
        AnnotationError: The file holds no format that is known, or is damaged.
        InputError: Nothing of it lies in this video.
    """
    project = session.project
    video = read(path, size_hw=session.frames.size_hw, frame_rate=session.frames.frame_rate)
    targets = []
    for number, track in enumerate(video.tracks):
        target_id = project.next_id() + number
        target = Target.empty(
            target_id,
            track.label or f"target {target_id + 1}",
            track.colour or COLOURS[target_id % len(COLOURS)],
            project.num_frames,
        )
        for each in track.observations:
            if 0 <= each.frame < project.num_frames:
                kind = Kind.KEY if each.key else Kind.TRACKED
                score = np.nan if each.score is None else each.score
                target.put(each.frame, kind, each.box_xywh, score)
        if target.kinds.any():
            targets.append(target)
    if not targets:
        raise InputError(
            f"{path.name} must hold boxes in frames 0 to {project.num_frames - 1} of this video, got none"
        )
    return targets
