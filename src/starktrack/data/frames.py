"""The one door to frames: a video file, a folder or glob of images, a camera, or a stream address."""

from pathlib import Path

from starktrack.data.video.frame_stream import Frame, FrameStream
from starktrack.errors import VideoError

__all__ = ["Frame", "FrameStream", "open_frames"]


def open_frames(
    source: str | Path | int, *, start_frame: int = 0, timeout_seconds: float = 10.0
) -> FrameStream:
    """Return the frames of a source, upright and in order.

    Args:
        source: A video file, a folder or glob of images, one image, a camera's number (`0`, `"0"`), or an
            address such as `rtsp://host/stream`. A folder whose name is a number is given as a `Path`.
        start_frame: Index of the first frame to give; frames keep their true index.
        timeout_seconds: How long an address may stay silent.

    Raises:
        VideoError: The source is missing, empty, unreadable or not a video.

    Example:
        >>> with open_frames("dog.mp4") as frames:  # doctest: +SKIP
        ...     for frame in frames:
        ...         print(frame.index, frame.seconds, frame.image.shape)
    """
    from starktrack.data.video import camera, file, image_files

    if isinstance(source, int) or (isinstance(source, str) and source.isdecimal()):
        return camera.open_camera(int(source), start_frame=start_frame)
    if "://" in str(source):
        return file.open_address(str(source), start_frame=start_frame, timeout_seconds=timeout_seconds)
    if not str(source):
        raise VideoError("a video must be a file, an image folder, a camera or an address, got an empty name")
    path = Path(source)
    if path.is_dir() or image_files.is_image(path) or _is_glob(path):
        return image_files.open_images(
            path.name or str(path), image_files.find_images(path), start_frame=start_frame
        )
    if not path.is_file():
        raise VideoError(
            f"{source} must be a video file, an image folder, a camera or an address, got no such file"
        )
    return file.open_video(path, start_frame=start_frame)


def _is_glob(path: Path) -> bool:
    return not path.exists() and any(mark in str(path) for mark in "*?[")
