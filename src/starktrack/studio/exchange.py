"""Tracks of a project as files, and files as tracks of a project."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from starktrack.data.track_output import TargetState
from starktrack.data.video.writer import VideoWriter
from starktrack.errors import InputError
from starktrack.interchange import FORMATS, Observation, Track, VideoTracks, read, write
from starktrack.interchange.building import rectangle
from starktrack.studio.insight import Insight
from starktrack.studio.outline import export_masks
from starktrack.studio.project import COLOURS, Kind, State, Target, frames_of
from starktrack.studio.session import Session
from starktrack.tracking.overlay import draw_boxes

VIDEO, MASKS = "video", "masks"

EXPORTS: dict[str, str] = {
    VIDEO: "Annotated video (.mp4)",
    MASKS: "Masks, outlined by a refiner (folder)",
    "got10k": "Text, x,y,w,h a line (.txt)",
    **{
        name: f"{each.title} ({max(each.suffixes) or 'folder'})"
        for name, each in FORMATS.items()
        if name != "got10k"
    },
}
"""What can be exported, by name, with what a page calls it."""


def tracks_of(session: Session) -> VideoTracks:
    """Return the targets of a project as annotated tracks; targets without a box are left out."""
    tracks = []
    for target in session.project.targets.values():
        is_key = (target.kinds == Kind.KEY).tolist()
        observations = tuple(
            Observation(
                frame,
                rectangle(*target.boxes_xywh[frame].tolist()),
                seconds=session.frames.seconds(frame),
                score=None if np.isnan(target.scores[frame]) else float(target.scores[frame]),
                key=is_key[frame],
                attributes=_attributes(State(target.states[frame])),
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
        session.frames.frame_rate,
    )


def _attributes(state: State) -> dict[str, str]:
    return {} if state is State.NONE else {"state": state.name.lower()}


def export_tracks(
    session: Session,
    name: str,
    folder: Path,
    insight: Insight,
    on_frame: Callable[[int], None] = lambda _: None,
) -> list[Path]:
    """Write the tracks below an empty folder; return the files.

    Args:
        session: The open video.
        name: A key of `EXPORTS`.
        folder: Where to write.
        insight: Has the refiner that outlines the targets.
        on_frame: Takes the number of each frame that was written, in what takes long.

    Raises:
        InputError: No such format, or no box to export.
        AnnotationError: The format cannot hold these tracks.
    """
    if name not in EXPORTS:
        raise InputError(f"an export must be one of {', '.join(EXPORTS)}, got {name!r}")
    stem = session.video.stem or session.video.name
    if name == VIDEO:
        return [_write_video(session, folder / f"{stem}.tracked.mp4", on_frame)]
    if name == MASKS:
        targets = list(session.project.targets.values())
        export_masks(folder / f"{stem}.masks", insight.refiner(), session.frames, targets, on_frame)
    else:
        suffix = next((each for each in FORMATS[name].suffixes if each), "")
        write(folder / f"{stem}{suffix}", tracks_of(session), name)
    return sorted(path for path in folder.rglob("*") if path.is_file())


_STATES = {
    State.TRACKED: TargetState.TRACKED,
    State.UNCERTAIN: TargetState.UNCERTAIN,
    State.LOST: TargetState.LOST,
}


def _write_video(session: Session, path: Path, on_frame: Callable[[int], None]) -> Path:
    targets = session.project.targets
    names = {key: target.name for key, target in targets.items()}
    colours = {key: _rgb(target.colour) for key, target in targets.items()}
    frames = session.frames
    with VideoWriter(path, frames.size_hw, frames.frame_rate, pixel_aspect=frames.pixel_aspect) as writer:
        for frame in range(session.project.num_frames):
            shown = {key: target for key, target in targets.items() if target.has_box(frame)}
            picture = draw_boxes(
                frames.read(frame),
                {key: target.boxes_xywh[frame].astype(np.float64) for key, target in shown.items()},
                {key: float(target.scores[frame]) for key, target in shown.items()},
                {key: _STATES.get(State(target.states[frame])) for key, target in shown.items()},
                names=names,
                colours=colours,
            )
            writer.write(picture, frames.seconds(frame))
            on_frame(frame)
    return path


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


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
            number,
            track.label or f"target {target_id + 1}",
            track.colour or COLOURS[target_id % len(COLOURS)],
            project.num_frames,
        )
        for each in track.observations:
            if 0 <= each.frame < project.num_frames:
                kind = Kind.KEY if each.key else Kind.TRACKED
                score = np.nan if each.score is None else each.score
                state = State.__members__.get(each.attributes.get("state", "").upper(), State.NONE)
                target.put(each.frame, kind, each.box_xywh, score, state)
        if target.kinds.any():
            targets.append(target)
    if not targets:
        raise InputError(
            f"{path.name} must hold boxes in frames 0 to {project.num_frames - 1} of this video, got none"
        )
    return targets
