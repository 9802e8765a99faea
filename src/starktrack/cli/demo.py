"""`starktrack demo`: a clip, a tracker, a picture; no download, no GPU."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from starktrack.errors import InputError

if TYPE_CHECKING:
    from starktrack.data.frames import Frame

NUM_FRAMES = 120
FRAME_RATE = 30.0
STRIP_COLUMNS, STRIP_ROWS = 4, 2


def demo(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the video and the pictures go.")] = Path(
        "demo"
    ),
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Track an object made by arithmetic instead; each number gives another."),
    ] = None,
) -> None:
    """Track a helicopter in a real clip with the weights of the package, and show the result."""
    import numpy as np

    from starktrack.api import load
    from starktrack.data.video.image_files import write_image
    from starktrack.data.video.writer import VideoWriter
    from starktrack.geometry.boxes import overlap, xywh_to_xyxy
    from starktrack.tracking.overlay import draw_boxes, image_grid

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out must be a folder that can be made, got {out}: {error.strerror}") from error
    num_frames, size_hw, frames, labels = _real_clip() if seed is None else _made_clip(seed)
    shown = np.linspace(0, num_frames - 1, STRIP_COLUMNS * STRIP_ROWS).astype(int).tolist()
    found, pictures = [], []
    with VideoWriter(out / "tracked.mp4", size_hw, FRAME_RATE) as writer:
        for tracked in load().track(frames, labels[0]):
            frame, output = tracked.frame, tracked.output
            picture = draw_boxes(frame.image, {0: output.box_xywh}, {0: output.score}, {0: output.state})
            writer.write(picture)
            if frame.index in shown:
                pictures.append(picture)
            if frame.index in labels and frame.index > 0:
                found.append([output.box_xywh, labels[frame.index]])
    captions = [f"frame {index}" for index in shown]
    write_image(out / "strip.png", image_grid(pictures, STRIP_COLUMNS, captions))
    each = overlap(*xywh_to_xyxy(np.array(found, np.float64).swapaxes(0, 1)))
    sys.stdout.write(
        f"tracked {num_frames} frames, mean overlap {each.mean():.3f}, worst frame {each.min():.3f} "
        f"({len(each)} labelled frames)\nlook at {out / 'tracked.mp4'} and {out / 'strip.png'}\n"
    )


Clip = tuple[int, tuple[int, int], Iterator["Frame"], Mapping[int, Any]]
"""Number of frames, their size, the frames, and the true boxes of those that are labelled."""


def _real_clip() -> Clip:
    from starktrack.data.demo import BOXES_XYWH, CLIP
    from starktrack.data.frames import open_frames

    stream = open_frames(CLIP)
    return max(BOXES_XYWH) + 1, stream.size_hw, iter(stream), BOXES_XYWH


def _made_clip(seed: int) -> Clip:
    from starktrack.data.frames import Frame
    from starktrack.data.synthetic.clip import synthetic_clip

    clip = list(synthetic_clip(NUM_FRAMES, seed=seed, object_seed=seed))
    frames = (Frame(frame.image, index, index / FRAME_RATE) for index, frame in enumerate(clip))
    return len(clip), clip[0].image.shape[:2], frames, {i: frame.box_xywh for i, frame in enumerate(clip)}
