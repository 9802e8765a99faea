"""Explanations: a target is tracked, and what the network looks at becomes pictures and a video."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from starktrack.workflows.callbacks import OnFrame


@dataclass(frozen=True)
class Explained:
    """What `explain` wrote.

    Attributes:
        model: Name of the network.
        paths: The video and the pictures that are of all frames.
        missing: What cannot be shown, since the network has no such part.

    Example:
        >>> Explained("stark_mobile", (Path("maps/explained.mp4"),), missing=()).paths[0].name
        'explained.mp4'
    """

    model: str
    paths: tuple[Path, ...]
    missing: tuple[str, ...]


def explain(
    video: str,
    box_xywh: Any,
    out: str | Path = "explained",
    *,
    model: str | None = None,
    weights: str | Path | None = None,
    position_xy: tuple[float, float] | None = None,
    every: int = 20,
    start_frame: int = 0,
    intensity_range: tuple[float, float] | None = None,
    device: str = "auto",
    on_frame: OnFrame | None = None,
) -> Explained:
    """Track one target and show attention, corner maps and score.

    The folder gets `explained.mp4` (the tracked video beside the maps), `strip.png` (maps over frames), `score.png`,
    and for every N-th frame a summary and all heads of all layers of encoder and decoder.

    Args:
        video: As for `starktrack.open_frames`.
        box_xywh: The target in the first frame, four numbers, pixels.
        out: The folder.
        model: A preset; by default the one whose weights come with the package.
        weights: A checkpoint, `.safetensors`.
        position_xy: Search position whose encoder attention is shown, crop units [0, 1]; the box's centre by default.
        every: Frames between pictures.
        start_frame: Frame in which the box was drawn, from 0.
        intensity_range: As for `starktrack.open_frames`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        on_frame: Called before the first frame and after each.

    Raises:
        VideoError, BoxError: The video cannot be read, or the box is not in it.
        ConfigError, CheckpointError, DeviceError, MissingExtraError: As `starktrack.load`.
        InputError: The folder cannot be made.

    Example:
        >>> import starktrack
        >>> found = starktrack.explain("dog.mp4", (110, 75, 60, 60), "maps", every=1)
        >>> sorted(path.name for path in found.paths)
        ['explained.mp4', 'score.png', 'strip.png']
    """
    from starktrack.api import load_engine
    from starktrack.data.frames import open_frames
    from starktrack.geometry.boxes import check_box
    from starktrack.tracking.tracker import Tracker
    from starktrack.workflows.explain_outputs import ExplainOutputs

    with ExitStack() as stack:
        frames = stack.enter_context(
            open_frames(video, start_frame=start_frame, intensity_range=intensity_range)
        )
        check_box(box_xywh, frames.size_hw)  # before the network is loaded, which takes seconds
        loaded = load_engine(
            model, weights=None if weights is None else Path(weights), device=device, engine="torch"
        )
        from starktrack.engines.torch_engine import TorchEngine
        from starktrack.explanation.engine import ExplainingEngine

        engine = ExplainingEngine(cast(TorchEngine, loaded), position_xy)
        threshold = engine.config.tracking.update_score
        outputs = stack.enter_context(ExplainOutputs(Path(out), every, frames.frame_rate, threshold))
        total = None if frames.num_frames is None else frames.num_frames - start_frame
        note = on_frame or (lambda name, done, total: None)
        note(frames.name, 0, total)
        for done, tracked in enumerate(Tracker(engine).track(frames, box_xywh), start=1):
            outputs.write(tracked, engine.last)
            note(frames.name, done, total)
    missing = () if engine.last is None else tuple(engine.last.missing())
    return Explained(engine.config.name, tuple(outputs.paths), missing)
