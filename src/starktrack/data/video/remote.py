"""Videos in object stores and other file systems, read through fsspec in pieces; the extra `remote`."""

from typing import Any
from urllib.parse import urlsplit

from av.container import InputContainer
from av.error import FFmpegError

from starktrack.data.video.container import formats_that_hold_video, open_source
from starktrack.data.video.file import BinaryFile, stream_of
from starktrack.data.video.frame_stream import FrameStream
from starktrack.data.video.intensity import IntensityRange
from starktrack.errors import VideoError, require_extra

_OF_FFMPEG = {
    *("ftp", "gopher", "http", "https", "mmsh", "mmst", "rtmp", "rtmpe", "rtmps", "rtmpt"),
    *("rtp", "rtsp", "rtsps", "sctp", "sftp", "srt", "srtp", "tcp", "tls", "udp"),
}
"""Addresses that FFmpeg reads by itself, most of them live streams."""

BLOCK_BYTES = 2**20
"""What one request asks for; a file in work keeps one such block and the next."""


def is_remote_file(address: str) -> bool:
    """Return whether an address is one of fsspec's: `s3://…`, `gs://…`, `zip://a.mp4::https://…`.

    Example:
        >>> is_remote_file("s3://bucket/dog.mp4"), is_remote_file("https://host/dog.mp4")
        (True, False)
    """
    return "::" in address or urlsplit(address).scheme.lower() not in _OF_FFMPEG


def name_of(address: str) -> str:
    """Return an address as messages show it: without password and query."""
    parts = urlsplit(address.rpartition("::")[2])
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def open_remote(address: str) -> BinaryFile:
    """Return a file that reads an address in blocks, from any place.

    Raises:
        MissingExtraError: fsspec is not installed.
        VideoError: There is no such file, no such protocol, or the package for it is not installed.
    """
    require_extra("remote", f"reading {name_of(address)}", "fsspec")
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(address)
        options: dict[str, Any] = {"block_size": BLOCK_BYTES, "cache_type": "readahead"}
        return files.open(path, "rb", **options)
    except ImportError as error:
        raise VideoError(f"{name_of(address)} needs a package that is not installed: {error}") from error
    except ValueError as error:
        raise VideoError(
            f"{name_of(address)} must be an address that FFmpeg or fsspec can read, got: {error}; check the address"
        ) from error
    except OSError as error:
        raise VideoError(
            f"{name_of(address)} must be a video that can be opened, got: {type(error).__name__}: {error}; check the "
            "address and your credentials"
        ) from error


def open_remote_file(
    address: str, *, start_frame: int = 0, intensity_range: IntensityRange | None = None, threads: int = 0
) -> FrameStream:
    """Return the frames of a video that fsspec reads, in pieces.

    Raises:
        MissingExtraError: fsspec is not installed.
        VideoError: It cannot be opened, or is not a whole video.
    """
    file = open_remote(address)
    try:
        container = open_file_object(file, name_of(address))
        return stream_of(
            container,
            name_of(address),
            None,
            start_frame,
            intensity_range,
            remedy="check the network",
            threads=threads,
            file=file,
        )
    except BaseException:
        file.close()
        raise


def open_file_object(file: BinaryFile, name: str) -> InputContainer:
    """Return the container of a video that Python reads.

    Raises:
        VideoError: It is not a whole video, or cannot be read.
    """
    try:
        return open_source(file, {"format_whitelist": formats_that_hold_video()})
    except (OSError, FFmpegError) as error:  # a file object raises errors of its own through FFmpeg
        raise VideoError(
            f"{name} must be a whole video that can be read, got: {error.strerror or error}; check the network, "
            "or upload it again"
        ) from error
