"""Videos that the studio refuses before it decodes a frame of them: declared sizes that would fill the memory."""

from pathlib import Path
from typing import cast

import av
import PIL.Image
from av.error import FFmpegError

from starktrack.data.video import image_files
from starktrack.errors import VideoError
from starktrack.studio.launch import MOST_PIXELS

CONTAINERS = (
    "mov,mp4,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg,gif,apng,live_flv,mpegvideo,h264,hevc,m4v,ivf,webp_pipe,"
    "rawvideo,swf,nut,dv,mxf"
)
"""What an upload may be. Playlists and manifests are not: they make FFmpeg open other files and addresses."""


def check_video(place: Path) -> None:
    """Check what a video says of itself.

    Raises:
        VideoError: Its frames are too large, or it is a list of other files.
    """
    if place.is_dir():
        first = next((path for path in sorted(place.iterdir()) if image_files.is_image(path)), None)
        if first is not None:
            _check_image(first)
        return
    if image_files.is_image(place):
        _check_image(place)
        return
    if place.stat().st_size == 0:
        return  # whoever reads it says so
    try:
        with av.open(
            f"file:{place}",
            options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
            metadata_errors="replace",  # titles in other encodings
        ) as opened:
            # A stream of a codec that this FFmpeg lacks says no size; whoever decodes it says so.
            sizes = [
                (video.width, video.height)
                for video in opened.streams.video
                if cast(object, video.codec_context) is not None
            ]
    except FFmpegError as error:
        raise VideoError(
            f"{place.name} must be a whole video that FFmpeg can read, got something else; copy or download it again"
        ) from error
    for width, height in sizes:
        _check_size(place, width, height)


def _check_image(path: Path) -> None:
    try:
        with PIL.Image.open(path) as image:
            _check_size(path, *image.size)
    except OSError:
        pass  # no picture: whoever reads it says so
    except (ValueError, PIL.Image.DecompressionBombError) as error:
        raise VideoError(f"{path.name} must be a picture that can be read, got: {error}") from error


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise VideoError(
            f"{path.name} must have frames of at most {MOST_PIXELS} pixels, got {width} x {height}; scale it down"
        )
