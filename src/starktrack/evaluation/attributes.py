"""Attributes of sequences (such as fast motion), derived from the true boxes, for data sets without their own."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from starktrack.arrays import Boxes
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import DatasetError

SMALL_AREA = 1000.0
"""Boxes of fewer square pixels are of low resolution."""

LARGEST_RATIO = 2.0
"""Sizes and shapes that leave [1/2, 2] times the first count as changed."""


def with_derived_attributes(sequences: Sequence[VideoSequence]) -> list[VideoSequence]:
    """Return the sequences with attributes derived from their boxes, if they have none of their own."""
    return [s if s.benchmark.attributes else _with(s, derive_attributes(s)) for s in sequences]


def derive_attributes(sequence: VideoSequence) -> tuple[str, ...]:
    """Return which hold: absence, aspect ratio change, fast motion, low resolution, scale variation.

    Convention: our own definitions over the true boxes, similar to those of LaSOT.
    """
    boxes = sequence.boxes_xywh
    present = np.asarray((boxes[:, 2:] > 0).all(axis=1))
    if sequence.flagged_absent is not None:
        present &= ~sequence.flagged_absent
    found = {
        "absence": not present.all(),
        "aspect ratio change": _leaves_range(boxes[present, 2] / boxes[present, 3]),
        "fast motion": _moves_fast(boxes, present),
        "low resolution": bool((boxes[present, 2] * boxes[present, 3] < SMALL_AREA).any()),
        "scale variation": _leaves_range(np.sqrt(boxes[present, 2] * boxes[present, 3])),
    }
    return tuple(name for name, holds in found.items() if holds)


def read_attributes(path: Path, sequences: Sequence[VideoSequence]) -> list[VideoSequence]:
    """Return the sequences with the attributes of a JSON file: `{"sequence": ["attribute", …], …}`.

    Raises:
        DatasetError: The file is missing, is not such JSON, or lacks a sequence.
    """
    try:
        attributes = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"attributes must be a JSON file, {path} does not exist") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} must be JSON, {error}") from error
    missing = [s.name for s in sequences if not isinstance(attributes, dict) or s.name not in attributes]
    if missing:
        raise DatasetError(f"{path} must map every sequence to its attributes, got none for {missing[0]}")
    return [_with(sequence, tuple(attributes[sequence.name])) for sequence in sequences]


def _with(sequence: VideoSequence, attributes: tuple[str, ...]) -> VideoSequence:
    return replace(sequence, benchmark=replace(sequence.benchmark, attributes=attributes))


def _leaves_range(values: Float[np.ndarray, " num_present"]) -> bool:
    if not len(values):
        return False
    ratio = values / values[0]
    return bool((ratio > LARGEST_RATIO).any() or (ratio < 1 / LARGEST_RATIO).any())


def _moves_fast(boxes: Boxes, present: np.ndarray) -> bool:
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    step = np.hypot(*np.diff(centres, axis=0).T)
    size = np.sqrt(np.abs(boxes[:, 2] * boxes[:, 3]))[1:]
    return bool((step > size)[present[1:] & present[:-1]].any())
