"""Demo: tracks a short clip with the weights of the package, and compares the boxes with the true ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starktrack.errors import InputError

if TYPE_CHECKING:
    from starktrack.data.frames import Frame

FRAME_RATE = 30.0
STRIP_COLUMNS, STRIP_ROWS = 4, 2


@dataclass(frozen=True, eq=False)
class DemoClip:
    """A clip with true boxes.

    Attributes:
        num_frames: Number of frames.
        size_hw: Height and width of the frames.
        frames: The frames, which can be read once.
        boxes_xywh: The true boxes by frame, image pixels; of frame 0, and of others.
    """

    num_frames: int
    size_hw: tuple[int, int]
    frames: Iterable["Frame"]
    boxes_xywh: Mapping[int, Any]


@dataclass(frozen=True)
class DemoResult:
    """How well the clip was tracked, and what was written.

    Attributes:
        num_frames: Number of frames.
        num_labelled: Number of frames with a true box, without the first.
        mean_overlap: Mean overlap with the true boxes.
        worst_overlap: Lowest overlap with a true box.
        video: The clip with the boxes drawn in.
        strip: A picture of frames of the video, side by side.
    """

    num_frames: int
    num_labelled: int
    mean_overlap: float
    worst_overlap: float
    video: Path
    strip: Path


def demo(out: str | Path, clip: DemoClip) -> DemoResult:
    """Track a clip from its first true box, and write a video and a picture with the boxes.

    Args:
        out: The folder; it is made where it is missing.
        clip: `real_clip()` or `made_clip(seed)`.

    Raises:
        InputError: The folder cannot be made or written to.

    Example:
        >>> from starktrack.workflows.demo import demo, made_clip
        >>> found = demo("demo", made_clip(0, num_frames=8))
        >>> found.num_labelled, found.worst_overlap > 0.5, found.strip.name
        (7, True, 'strip.png')
    """
    import numpy as np

    from starktrack.api import load
    from starktrack.data.video.image_files import write_image
    from starktrack.data.video.writer import VideoWriter
    from starktrack.geometry.boxes import overlap, xywh_to_xyxy
    from starktrack.tracking.overlay import draw_boxes, image_grid

    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out must be a folder that can be made, got {out}: {error.strerror}") from error
    video, strip = out / "tracked.mp4", out / "strip.png"
    shown = np.linspace(0, clip.num_frames - 1, STRIP_COLUMNS * STRIP_ROWS).astype(int).tolist()
    pairs, pictures = [], []
    with VideoWriter(video, clip.size_hw, FRAME_RATE) as writer:
        for tracked in load().track(clip.frames, clip.boxes_xywh[0]):
            index, output = tracked.frame.index, tracked.output
            picture = draw_boxes(
                tracked.frame.image, {0: output.box_xywh}, {0: output.score}, {0: output.state}
            )
            writer.write(picture)
            if index in shown:
                pictures.append(picture)
            if index in clip.boxes_xywh and index > 0:
                pairs.append([output.box_xywh, clip.boxes_xywh[index]])
    write_image(strip, image_grid(pictures, STRIP_COLUMNS, [f"frame {index}" for index in shown]))
    overlaps = overlap(*xywh_to_xyxy(np.array(pairs, np.float64).swapaxes(0, 1)))
    return DemoResult(
        clip.num_frames, len(overlaps), float(overlaps.mean()), float(overlaps.min()), video, strip
    )


def real_clip() -> DemoClip:
    """Return the clip of a helicopter that comes with the package; eight frames have true boxes."""
    from starktrack.data.demo import BOXES_XYWH, CLIP
    from starktrack.data.frames import open_frames

    stream = open_frames(CLIP)
    return DemoClip(max(BOXES_XYWH) + 1, stream.size_hw, stream, BOXES_XYWH)


def made_clip(seed: int, *, num_frames: int = 120) -> DemoClip:
    """Return a clip of an object that is computed; each seed gives another, and every frame has a true box."""
    from starktrack.data.frames import Frame
    from starktrack.data.synthetic.clip import synthetic_clip

    clip = list(synthetic_clip(num_frames, seed=seed, object_seed=seed))
    frames = [Frame(frame.image, index, index / FRAME_RATE) for index, frame in enumerate(clip)]
    height, width = clip[0].image.shape[:2]
    return DemoClip(
        num_frames, (height, width), frames, {index: frame.box_xywh for index, frame in enumerate(clip)}
    )
