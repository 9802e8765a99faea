"""Annotations: tracks are read, thinned, and written in another format."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starktrack.interchange import VideoTracks


@dataclass(frozen=True)
class WrittenAnnotations:
    """What `write_annotations` wrote.

    Attributes:
        paths: The files or folders.
        format: Name of their format.
        lost: What the tracks have and the format does not keep.
    """

    paths: tuple[Path, ...]
    format: str
    lost: tuple[str, ...]


def read_annotations(
    source: str | Path,
    format: str | None = None,
    *,
    video: str | None = None,
    size_hw: tuple[int, int] | None = None,
    first_frame: int = 0,
    name: str = "",
    thin: float | None = None,
) -> "VideoTracks":
    r"""Return the annotated targets of one video.

    Args:
        source: A file or folder of annotations.
        format: A key of `interchange.FORMATS`; by default the content decides.
        video: The video, for formats that do not hold the size of its frames; as for `starktrack.open_frames`.
        size_hw: Height and width of the frames, instead of the video.
        first_frame: Number of the first frame in the names of files.
        name: Which video, of a file that holds several.
        thin: Keep as key boxes only those that lines between them miss by more than this, pixels; None keeps all.

    Raises:
        AnnotationError: Unknown format, or a file that does not hold it.
        VideoError: The video cannot be read.

    Example:
        >>> from starktrack.workflows.annotations import read_annotations
        >>> _ = Path("gt.txt").write_text("10,20,30,40\n11,20,30,40\n12,20,30,40\n")
        >>> (track,) = read_annotations("gt.txt", "got10k", thin=0.5).tracks
        >>> [seen.frame for seen in track.observations if seen.key]
        [0, 2]
    """
    from starktrack import interchange

    frame_rate = None
    if video is not None:
        from starktrack.data.frames import open_frames

        with open_frames(video) as frames:
            size_hw, frame_rate = frames.size_hw, frames.frame_rate
    tracks = interchange.read(
        source, format, size_hw=size_hw, frame_rate=frame_rate, first_frame=first_frame, name=name
    )
    if thin is None:
        return tracks
    return replace(tracks, tracks=tuple(track.thinned(thin) for track in tracks.tracks))


def write_annotations(
    target: str | Path, tracks: "VideoTracks", format: str | None = None
) -> WrittenAnnotations:
    r"""Write the annotated targets of one video, and return what the format does not keep.

    Args:
        target: A file, or a folder that is new or empty.
        tracks: The targets.
        format: A key of `interchange.FORMATS`; by default the suffix decides.

    Raises:
        AnnotationError: Unknown format, no target, or the format needs the size of the frames.
        InputError: There is something at `target` already, it cannot be written to, or the disk is full.

    Example:
        >>> from starktrack.workflows.annotations import read_annotations, write_annotations
        >>> _ = Path("gt.txt").write_text("10,20,30,40\n11,20,30,40\n")
        >>> write_annotations("boxes.csv", read_annotations("gt.txt", "got10k", size_hw=(96, 128))).lost
        ('the size of the frames', 'the number of frames')
    """
    from starktrack import interchange

    paths = interchange.write(target, tracks, format)
    written = interchange.format_named(format or interchange.detect(paths[0]))
    lost = interchange.losses(tracks, written.keeps, written.own_attributes)
    return WrittenAnnotations(tuple(paths), written.name, tuple(lost))
