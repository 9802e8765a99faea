"""Validation of a run: tracks real sequences with its weights, and scores them."""

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from starktrack.arrays import Boxes
from starktrack.config.schema import Config
from starktrack.config.training import ValidationConfig
from starktrack.data.video_sequence import SequenceCollection, VideoSequence
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import BoxError, DatasetError
from starktrack.evaluation.metrics import overlaps, success_curve
from starktrack.models.build import build_network
from starktrack.tracking.tracker import Tracker
from starktrack.training.job import Validate

THRESHOLDS = np.linspace(0, 1, 21)
"""Overlaps at which success is counted; its mean is the area under the curve."""

_LOG = logging.getLogger(__name__)


def choose_sequences(
    collections: Mapping[str, SequenceCollection], config: ValidationConfig
) -> list[VideoSequence]:
    """Return the sequences to track, evenly spread over each data set, cut to the longest length."""
    chosen = []
    for collection in collections.values():
        count = min(config.max_sequences or len(collection), len(collection))
        for index in np.linspace(0, len(collection) - 1, count).round().astype(int):
            chosen.append(collection[int(index)])
    return chosen


def track_and_score(
    sequences: Sequence[VideoSequence], device: torch.device, *, max_frames: int = 0
) -> Validate:
    """Return the function that scores weights by tracking these sequences with them.

    A sequence that cannot be scored (for example with a damaged picture) is logged and left out.
    """

    def validate(state: Mapping[str, Tensor], config: Config) -> Iterator[tuple[float, float]]:
        network = build_network(config.model)
        network.load_state_dict(dict(state))
        tracker = Tracker(TorchEngine(network, config, device=device))
        for sequence in sequences:
            try:
                score = score_sequence(tracker, sequence, max_frames)
            except (DatasetError, BoxError) as error:
                _LOG.warning("left out of the validation: %s: %s", sequence.name, error)
            else:
                yield score

    return validate


def score_sequence(tracker: Tracker, sequence: VideoSequence, max_frames: int = 0) -> tuple[float, float]:
    """Return mean overlap and success of one run from the first visible frame to the last.

    Frames without a visible target do not count, nor does the one with the given box, unless there is no other.

    Raises:
        DatasetError: The target is visible in no frame.
    """
    shown = np.flatnonzero(sequence.visible)
    if not len(shown):
        raise DatasetError(
            f"a sequence to validate on must show its target, {sequence.name} does in none of its "
            f"{len(sequence)} frames; leave it out"
        )
    first = int(shown[0])
    end = min(len(sequence), first + max_frames) if max_frames else len(sequence)
    tracker.start(sequence.frames.read(first), box_xywh=sequence.boxes_xywh[first])
    boxes = [sequence.boxes_xywh[first]]
    boxes += [tracker.update(sequence.frames.read(index)).box_xywh for index in range(first + 1, end)]
    visible = sequence.visible[first:end].copy()
    visible[0] = not visible[1:].any()
    return score_boxes(np.stack(boxes)[visible], sequence.boxes_xywh[first:end][visible])


def score_boxes(predicted_xywh: Boxes, true_xywh: Boxes) -> tuple[float, float]:
    """Return mean overlap, and mean over 21 thresholds of the share of frames that overlap by more."""
    overlap = overlaps(predicted_xywh, true_xywh)
    return float(overlap.mean()), float(success_curve(overlap, THRESHOLDS).mean())
