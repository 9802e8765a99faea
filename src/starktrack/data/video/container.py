"""Open what FFmpeg reads, with the limits that hold for every source."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

import av
from av.container import InputContainer
from av.format import ContainerFormat

MOST_PIXELS = 2**26
"""Of a frame: twice 8K. Headers of damaged files ask for more, and for all memory with it."""

_PLAYLISTS = frozenset({"concat", "dash", "hls", "imf", "rtsp", "sap", "sdp", "webm_dash_manifest"})
"""Formats that only name other files and addresses."""


def open_file(place: str) -> InputContainer:
    """Open a file of this machine, which must hold the video itself.

    A playlist that is called `dog.mp4` would make its reader open other files and addresses, or wait for ever
    for the end of a live stream.

    Raises:
        FFmpegError: It cannot be opened, or only names other files.
    """
    # "file:" because FFmpeg would read "10:30.mp4" as the address of a protocol named 10.
    return open_source(
        f"file:{place}", {"format_whitelist": formats_that_hold_video(), "protocol_whitelist": "file"}
    )


def open_source(
    source: Any, options: Mapping[str, str] = {}, timeout_seconds: float | None = None
) -> InputContainer:
    """Open a file, a pipe or an address.

    Raises:
        FFmpegError: It cannot be opened.
    """
    opened = av.open(
        source, mode="r", options=dict(options), timeout=timeout_seconds, metadata_errors="replace"
    )
    container = cast(InputContainer, opened)  # the mode says which of both it is
    for video in container.streams.video:
        context: Any = video.codec_context
        if context is not None:  # a codec that this FFmpeg does not know
            context.options = {"max_pixels": str(MOST_PIXELS)}
    return container


@lru_cache
def formats_that_hold_video() -> str:
    """Return the names of all formats but those that only name other files, as FFmpeg takes them."""
    names = []
    for name in av.formats_available:
        try:
            names.append(ContainerFormat(name, "r").name)
        except ValueError:  # a format that can only be written
            continue
    return ",".join(sorted(set(names) - _PLAYLISTS))
