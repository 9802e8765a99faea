"""`starktrack demo`: a clip, a tracker, a picture; no download, no GPU."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starktrack.errors import InputError

if TYPE_CHECKING:
    from starktrack.data.synthetic.clip import ClipFrame
    from starktrack.data.track_output import TrackOutput
    from starktrack.tracking.tracker import Tracker

NUM_FRAMES = 120
FRAME_RATE = 30.0
STRIP_COLUMNS, STRIP_ROWS = 4, 2


def demo(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the video and the pictures go.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Another object, background and path.")] = 0,
) -> None:
    """Make a clip with a moving object, track it with the weights of the package, and show the result."""
    from starktrack.api import load
    from starktrack.data.synthetic.clip import synthetic_clip

    _make_folder(out)
    clip = list(synthetic_clip(NUM_FRAMES, seed=seed, object_seed=seed))
    outputs = _track(load(), clip)
    _write_video(out / "tracked.mp4", clip, outputs)
    _write_strip(out / "strip.png", clip, outputs)
    mean, worst = _overlap(clip, outputs)
    sys.stdout.write(
        f"tracked {len(clip)} frames, mean overlap {mean:.3f}, worst frame {worst:.3f}\n"
        f"look at {out / 'tracked.mp4'} and {out / 'strip.png'}\n"
    )


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out must be a folder that can be made, got {out}: {error.strerror}") from error


def _track(tracker: "Tracker", clip: Sequence["ClipFrame"]) -> list["TrackOutput"]:
    from starktrack.data.frames import Frame

    frames = (Frame(frame.image, index, index / FRAME_RATE) for index, frame in enumerate(clip))
    return [tracked.output for tracked in tracker.track(frames, clip[0].box_xywh)]


def _write_video(path: Path, clip: Sequence["ClipFrame"], outputs: Sequence["TrackOutput"]) -> None:
    from starktrack.data.video.writer import VideoWriter
    from starktrack.tracking.overlay import draw_boxes

    with VideoWriter(path, clip[0].image.shape[:2], FRAME_RATE) as writer:
        for frame, output in zip(clip, outputs, strict=True):
            writer.write(draw_boxes(frame.image, {0: output.box_xywh}, {0: output.score}, {0: output.state}))


def _write_strip(path: Path, clip: Sequence["ClipFrame"], outputs: Sequence["TrackOutput"]) -> None:
    import numpy as np

    from starktrack.data.video.image_files import write_image
    from starktrack.tracking.overlay import draw_boxes, image_grid

    chosen = np.linspace(0, len(clip) - 1, STRIP_COLUMNS * STRIP_ROWS).astype(int)
    pictures = [draw_boxes(clip[i].image, {0: outputs[i].box_xywh}) for i in chosen]
    write_image(path, image_grid(pictures, STRIP_COLUMNS, [f"frame {i}" for i in chosen]))


def _overlap(clip: Sequence["ClipFrame"], outputs: Sequence["TrackOutput"]) -> tuple[float, float]:
    import numpy as np

    from starktrack.geometry.boxes import overlap, xywh_to_xyxy

    found = np.stack([output.box_xywh for output in outputs[1:]])
    true = np.stack([frame.box_xywh for frame in clip[1:]])
    each = overlap(xywh_to_xyxy(found), xywh_to_xyxy(true))
    return float(each.mean()), float(each.min())
