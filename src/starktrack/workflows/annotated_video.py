"""A video with annotations: start boxes for a tracker, and a folder to train on."""

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from starktrack.data.frames import open_frames
from starktrack.data.video.frame_stream import FrameStream
from starktrack.data.video.random_access import RandomFrames
from starktrack.errors import AnnotationError
from starktrack.files import atomic_folder, named_write
from starktrack.interchange.registry import read
from starktrack.interchange.text import write_got10k_labels
from starktrack.interchange.tracks import Track, VideoTracks

JPEG_QUALITY = 95


@dataclass(frozen=True)
class ImportedTarget:
    """A folder to train on, with one target.

    Attributes:
        folder: Its frames and labels.
        label: What it is; empty where the annotations do not say.
        num_frames: Number of frames from its first to its last box.
        num_boxes: Number of these frames with a box.
    """

    folder: Path
    label: str
    num_frames: int
    num_boxes: int


def read_for_video(
    path: Path,
    frames: FrameStream | RandomFrames,
    annotation_format: str | None = None,
    *,
    first_frame: int = 0,
) -> VideoTracks:
    """Return annotations with the size of the frames and the frame rate of their video.

    Raises:
        AnnotationError: They cannot be read, or their frames have another size.
    """
    video = read(
        path, annotation_format, size_hw=frames.size_hw, frame_rate=frames.frame_rate, first_frame=first_frame
    )
    if video.size_hw != frames.size_hw:
        shown = [f"{width} x {height}" for height, width in (video.size_hw or (0, 0), frames.size_hw)]
        raise AnnotationError(
            f"{path} must be of a video of {shown[1]} pixels as {frames.name}, got {shown[0]}; is it of another video?"
        )
    return video


def import_video(
    video: str | Path,
    annotations: str | Path,
    out: str | Path,
    *,
    annotation_format: str | None = None,
    start: int = 0,
    end: int | None = None,
    first_frame: int = 0,
    interpolate: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[ImportedTarget]:
    """Write each target of an annotated video as a folder in the layout of GOT-10k, `VIDEO_ID`.

    A folder begins with the first box of its target and ends with the last one; frames between without a box
    are marked as absent. Frames that several targets share are stored once if the file system has links. Data source
    `videos` reads the folders and treats them as one video.

    Args:
        video: A file, or a folder of images.
        annotations: Boxes of it, in any format of `starktrack.interchange`.
        out: Where the folders go; it may hold those of other videos.
        annotation_format: Name of the format; by default the content tells.
        start: First frame to take, from 0.
        end: Frame before which to stop; None for all.
        first_frame: Number of the first frame in names of annotation files that lie one a frame.
        interpolate: Fill in frames between two boxes, for annotations of every tenth frame or so.
        progress: Called with the number of frames done and of all.

    Raises:
        AnnotationError: The annotations cannot be read, none lies in these frames, or they go on after the
        video ends. VideoError: The video cannot be read. InputError: A folder is there already and holds
        something, or cannot be written.
    """
    annotations, out, stem = Path(annotations), Path(out), Path(video).stem
    with open_frames(video, start_frame=start) as frames:
        tracks = read_for_video(annotations, frames, annotation_format, first_frame=first_frame)
        chosen = [cut for track in tracks.tracks if (cut := _cut(track, start, end, interpolate=interpolate))]
        if not chosen:
            raise AnnotationError(
                f"{annotations} must hold a box in frames {start} to {end or 'the end'}, got none; choose others"
            )
        with named_write(out):
            out.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            places = [(out / f"{stem}_{track.id}", track) for track in chosen]
            folders = [
                (stack.enter_context(atomic_folder(place, "a folder of a target")), track)
                for place, track in places
            ]
            last = max(track.observations[-1].frame for track in chosen)
            index = start - 1
            for frame in frames:
                index = frame.index
                if index > last:
                    break
                _write_frame(frame.image, index, folders)
                if progress is not None:
                    progress(index - start + 1, last - start + 1)
            if index < last:
                raise AnnotationError(
                    f"{annotations} must end with the video, which has {index + 1} frames, got a box in frame {last}"
                )
            for folder, track in folders:
                first = track.observations[0].frame
                observations = tuple(replace(seen, frame=seen.frame - first) for seen in track.observations)
                shifted = replace(track, observations=observations)
                about = replace(tracks, tracks=(shifted,), num_frames=shifted.observations[-1].frame + 1)
                write_got10k_labels(folder, shifted, about)
    return [ImportedTarget(place, track.label, len(_frames_of(track)), len(track)) for place, track in places]


def _cut(track: Track, start: int, end: int | None, *, interpolate: bool) -> Track | None:
    whole = track.interpolated() if interpolate else track
    kept = tuple(
        seen for seen in whole.observations if seen.frame >= start and (end is None or seen.frame < end)
    )
    return replace(whole, observations=kept) if kept else None


def _frames_of(track: Track) -> range:
    return range(track.observations[0].frame, track.observations[-1].frame + 1)


def _write_frame(image: "cv2.typing.MatLike", index: int, folders: list[tuple[Path, Track]]) -> None:
    """Write a frame to the first folder that needs it, and link it from the others."""
    written: Path | None = None
    for folder, track in folders:
        if index not in _frames_of(track):
            continue
        path = folder / f"{index - track.observations[0].frame + 1:08d}.jpg"
        if written is not None:
            try:
                os.link(written, path)
            except OSError:
                shutil.copyfile(written, path)  # a file system without links
            continue
        encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        path.write_bytes(encoded.tobytes())
        written = path
