"""Opens frames from any source: a video file, a folder or glob of images, a camera, a pipe, a stream address."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from starktrack.data.video.frame_stream import Frame, FrameStream
from starktrack.data.video.intensity import IntensityRange
from starktrack.data.video.live import LiveSettings, OnEvent, OnHealth
from starktrack.errors import VideoError

__all__ = ["Frame", "FrameStream", "local_path", "open_frames"]

_STANDARD_INPUT = ("-", "pipe:", "pipe:0")


def open_frames(
    source: str | Path | int,
    *,
    start_frame: int = 0,
    intensity_range: IntensityRange | None = None,
    decoder_threads: int = 0,
    live: LiveSettings | None = None,
    on_event: OnEvent | None = None,
    on_health: OnHealth | None = None,
) -> FrameStream:
    """Return the frames of a source, upright and in order of presentation.

    Args:
        source: A video file, a folder or glob of images, a numbered pattern (`img/%04d.png`), one image or
            animation, a camera's number (`0`), `-` for a video from standard input, a named pipe, or an
            address such as `rtsp://host/stream` or `s3://bucket/dog.mp4` (`data.video.remote`). A folder whose
            name is a number is given as a `Path`.
        start_frame: Index of the first frame to give; frames keep their true index.
        intensity_range: LOW and HIGH of pictures of more than 8 bits, shown as black and white; without it
            percentiles of the first frame (`data.video.intensity`).
        decoder_threads: Threads that decode a video file; 0 takes one for each core.
        live: How to read a camera or a stream address, and that a pipe is read as live; files go without it.
        on_event: Called when a live source is lost, returns, freezes or moves again. Without it such an event is
            a `SourceWarning`.
        on_health: Called every `live.health_seconds` with the numbers of a live source.

    Raises:
        VideoError: The source is missing, empty, unreadable or not a video.
        MissingExtraError: The address is read by fsspec, which is not installed.

    Example:
        >>> with open_frames("dog.mp4") as frames:
        ...     for frame in frames:
        ...         print(frame.index, frame.seconds, frame.image.shape)
        0 0.0 (240, 320, 3)
        1 0.04 (240, 320, 3)
        2 0.08 (240, 320, 3)
    """
    from starktrack.data.video import camera, file, image_files, remote, streams

    if isinstance(source, int) or (isinstance(source, str) and source.isdecimal()):
        return camera.open_camera(
            int(source), start_frame=start_frame, live=live, on_event=on_event, on_health=on_health
        )
    if not str(source):
        raise VideoError("a video must be a file, an image folder, a camera or an address, got an empty name")
    path = local_path(source)
    if path is not None:
        try:
            path.exists()
        except (
            OSError,
            ValueError,
        ) as error:  # a name too long for the system, a folder that may not be read
            raise VideoError(f"{source} must be a place that can be looked at, got: {error}") from error
    if path is None and remote.is_remote_file(str(source)):
        return remote.open_remote_file(
            str(source),
            start_frame=start_frame,
            intensity_range=intensity_range,
            threads=decoder_threads,
        )
    if path is None:
        return streams.open_address(
            str(source),
            start_frame=start_frame,
            intensity_range=intensity_range,
            threads=decoder_threads,
            live=live,
            on_event=on_event,
            on_health=on_health,
        )
    if path.is_dir() or image_files.is_image(path) or image_files.is_pattern(path):
        images = image_files.find_images(path)
        first = images[0]
        if len(images) > 1 or image_files.num_pictures(first) == 1:
            return image_files.open_images(
                path.name or str(path), images, start_frame=start_frame, intensity_range=intensity_range
            )
        path = first
        if path.suffix.lower() not in (".gif", ".png"):  # FFmpeg plays animated GIF and PNG as they stream
            return image_files.open_pictures(path, start_frame=start_frame, intensity_range=intensity_range)
    if path.is_fifo():
        return streams.open_pipe(
            path,
            start_frame=start_frame,
            intensity_range=intensity_range,
            live=live,
            on_event=on_event,
            on_health=on_health,
        )
    if not path.is_file():
        raise VideoError(
            f"{source} must be a video file, an image folder, a camera or an address, got no such file"
        )
    return file.open_video(
        path, start_frame=start_frame, intensity_range=intensity_range, threads=decoder_threads
    )


def local_path(source: str | Path) -> Path | None:
    """Return where a source lies on this machine, `file://` addresses too; None for other addresses.

    Example:
        >>> local_path("file:///clips/my%20dog.mp4").as_posix()
        '/clips/my dog.mp4'
        >>> local_path("rtsp://host/stream") is None
        True
    """
    text = str(source)
    if text in _STANDARD_INPUT and not Path(text).exists():
        return Path("/dev/stdin")
    if text.startswith("file:"):
        return Path(unquote(urlsplit(text).path))
    return None if "://" in text else Path(source)
