"""An exported network with fewer bits, written only if it tracks as the one in float32 does."""

import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from starktrack.arrays import Boxes
from starktrack.config.precision import PRECISION_KEY
from starktrack.engines.exported import ExportedEngine
from starktrack.engines.onnx_engine import open_onnx
from starktrack.errors import CheckpointError, InputError, require_extra
from starktrack.evaluation.metrics import area_under, overlaps, success_curve
from starktrack.files import atomic_write
from starktrack.kinds import kind_of
from starktrack.tracking.protocol import BoxQueries
from starktrack.tracking.tracker import Tracker
from starktrack.workflows.callbacks import Note
from starktrack.workflows.clips import CalibrationClip, open_clips

ReducedPrecision = Literal["float16", "int8"]

NUM_SAMPLES = 96
"""Frames from which the ranges of activations are taken, spread over all clips."""

_THRESHOLDS = np.linspace(0, 1, 21)


@dataclass(frozen=True)
class Limits:
    """What a network with fewer bits must reach to be written.

    Attributes:
        mean_overlap: Of its boxes with those in float32, over all clips; each clip counts the same.
        worst_overlap: Of the clip in which they differ most. Where a target is ambiguous, two networks may go apart
            for good, so this is far lower.
        lost_success: Points of success that it may lose on annotated clips.
    """

    mean_overlap: float = 0.9
    worst_overlap: float = 0.5
    lost_success: float = 1.0


LIMITS = Limits()


@dataclass(frozen=True)
class ClipCheck:
    """How one clip is tracked in both precisions.

    Attributes:
        name: Of the clip.
        num_frames: Frames that were tracked.
        overlap: Mean of the boxes with those in float32.
        success: Area under the success curve of float32 and of fewer bits, percent; None without annotations.
    """

    name: str
    num_frames: int
    overlap: float
    success: tuple[float, float] | None


@dataclass(frozen=True)
class TrackingCheck:
    """How a network with fewer bits tracks, beside the one in float32.

    Attributes:
        clips: One record each.
        mean_overlap: See `Limits`.
        worst: The clip of the lowest overlap.
        success: Of both, percent, over the annotated clips; None where none is annotated.
    """

    clips: tuple[ClipCheck, ...]

    @property
    def mean_overlap(self) -> float:
        """Return the mean over clips."""
        return float(np.mean([clip.overlap for clip in self.clips]))

    @property
    def worst(self) -> ClipCheck:
        """Return the clip in which both differ most."""
        return min(self.clips, key=lambda clip: clip.overlap)

    @property
    def success(self) -> tuple[float, float] | None:
        """Return the success of both over the annotated clips."""
        pairs = [clip.success for clip in self.clips if clip.success is not None]
        if not pairs:
            return None
        first, second = np.mean(pairs, axis=0)
        return float(first), float(second)

    def problems(self, limits: Limits) -> list[str]:
        """Return what falls below the limits, in words."""
        found = []
        if not self.mean_overlap >= limits.mean_overlap:
            found.append(
                f"boxes overlap those in float32 by {self.mean_overlap:.3f}, not {limits.mean_overlap}"
            )
        if not self.worst.overlap >= limits.worst_overlap:
            found.append(f"by {self.worst.overlap:.3f} in {self.worst.name}, not {limits.worst_overlap}")
        if self.success is not None and not self.success[0] - self.success[1] <= limits.lost_success:
            found.append(
                f"success falls from {self.success[0]:.1f} to {self.success[1]:.1f}, by more than "
                f"{limits.lost_success} points"
            )
        return found


def export_reduced(
    source: Path,
    target: Path,
    precision: ReducedPrecision,
    calibrate: Sequence[str],
    *,
    limits: Limits | None = None,
    on_clip: Note | None = None,
) -> TrackingCheck:
    """Write an exported tracker in fewer bits, if it tracks the clips as the one in float32 does.

    Both track with ONNX Runtime on the CPU.

    Args:
        source: The tracker in float32, as `starktrack export` wrote it.
        target: Where to write; it ends in `.onnx`.
        precision: `int8` for the CPU, `float16` for GPUs.
        calibrate: Videos and data sets, see `workflows.clips.open_clips`.
        limits: What it must reach; `LIMITS` by default.
        on_clip: Called with the name of each clip that is tracked.

    Raises:
        InputError: No clips.
        CheckpointError: The source is damaged, not a tracker or not in float32, or the result falls below a limit;
            nothing is written then.
        MissingExtraError: What quantises is not installed.
    """
    from starktrack.engines.quantise import set_metadata, write_float16, write_int8

    limits = limits or LIMITS
    require_extra("quantise", "quantising a network", "onnx", "nncf")
    reference = open_onnx(source, kind="tracker", precision="float32")
    clips = open_clips(list(calibrate))
    if not clips:
        raise InputError(
            f"{precision} needs clips to be checked on, got none with a visible target; give --calibrate a video or "
            "an annotated data set"
        )
    boxes = [_tracked(reference, clip, on_clip) for clip in clips]
    with atomic_write(target) as partial, TemporaryDirectory() as folder:
        reduced = Path(folder) / "reduced.onnx"
        if precision == "int8":
            heads = kind_of(reference.config).heads
            write_int8(source, reduced, list(_samples(reference, clips, boxes)), heads)
        else:
            write_float16(source, reduced)
        set_metadata(reduced, {PRECISION_KEY: json.dumps({"precision": precision})})
        engine = open_onnx(reduced, kind="tracker")
        check = TrackingCheck(
            tuple(
                _compared(clip, before, _tracked(engine, clip, on_clip))
                for clip, before in zip(clips, boxes, strict=True)
            )
        )
        problems = check.problems(limits)
        if problems:
            raise CheckpointError(
                f"a network in {precision} must track as the one in float32 does, but {'; '.join(problems)}; {target} "
                "was not written. Give more clips like those that you track, or stay with float32"
            )
        set_metadata(reduced, {PRECISION_KEY: json.dumps(_record(precision, check, limits))})
        partial.write_bytes(reduced.read_bytes())
    return check


def _record(precision: str, check: TrackingCheck, limits: Limits) -> dict[str, Any]:
    """Return what the file says of its precision."""
    tool = "nncf" if precision == "int8" else "onnxruntime"
    return {
        "precision": precision,
        "made_with": f"{tool} {importlib.metadata.version(tool)}",
        "limits": asdict(limits),
        "mean_overlap": round(check.mean_overlap, 4),
        "worst_clip": check.worst.name,
        "success": check.success,
        "clips": [asdict(clip) for clip in check.clips],
    }


def _tracked(engine: ExportedEngine, clip: CalibrationClip, on_clip: Note | None) -> Boxes:
    """Return the box in each frame of a clip, the given one first."""
    if on_clip is not None:
        on_clip(f"{clip.name} in {engine.runtime.precision}")
    tracker = Tracker(engine)
    boxes = [clip.start_xywh]
    for index, image in enumerate(clip.images()):
        if index == 0:
            tracker.start(image, box_xywh=clip.start_xywh)
        else:
            boxes.append(tracker.update(image).box_xywh)
    return np.stack(boxes)


def _samples(
    engine: ExportedEngine, clips: Sequence[CalibrationClip], boxes: Sequence[Boxes]
) -> Iterator[dict[str, np.ndarray]]:
    """Yield inputs of both halves: the target of the first frame, and the search region of a later one."""
    each = max(1, NUM_SAMPLES // len(clips))
    crops = engine.config.model.crops
    for clip, tracked in zip(clips, boxes, strict=True):
        wanted = set(np.linspace(1, len(tracked) - 1, each).astype(int).tolist()) if len(tracked) > 1 else {0}
        kept, inputs = [], {}
        for index, image in enumerate(clip.images()):
            if index == 0:
                queries = _query(image, clip.start_xywh)
                inputs, kept = engine.template_inputs(queries), engine.embed(queries) * crops.num_templates
            if index in wanted:
                cut, masks = engine.crop(_query(image, tracked[max(index - 1, 0)]), crops.search)
                yield {**inputs, **engine.search_inputs(cut, masks, [kept])}


def _query(image: Any, box_xywh: Any) -> BoxQueries:
    return BoxQueries([image], np.zeros(1, np.int64), np.asarray(box_xywh, np.float64)[None])


def _compared(clip: CalibrationClip, before: Boxes, after: Boxes) -> ClipCheck:
    # The first box is given, and would flatter both.
    start = 1 if len(before) > 1 else 0
    agreed = np.nan_to_num(overlaps(after[start:], before[start:]))
    success = None
    if clip.true_xywh is not None:
        seen = np.isfinite(clip.true_xywh[: len(before)]).all(axis=1)
        first, second = (
            100
            * float(
                area_under(
                    success_curve(overlaps(each[seen], clip.true_xywh[: len(before)][seen]), _THRESHOLDS)
                )
            )
            for each in (before, after)
        )
        success = (first, second)
    return ClipCheck(clip.name, len(before), float(agreed.mean()), success)
