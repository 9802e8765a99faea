"""Mining of hard examples: tracks training videos and writes the frames in which the tracker loses its target."""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from starktrack.data.samples.mistakes import Mistake, write_mistakes
from starktrack.data.video_sequence import SequenceCollection, VideoSequence
from starktrack.errors import BoxError, DatasetError
from starktrack.evaluation.metrics import overlaps
from starktrack.tracking.tracker import Tracker

OFF_TARGET = 0.3
"""A box with a lower overlap with the true box is a mistake."""

FRAMES_OFF = 5
"""Most visible frames of one loss in the file; then the tracker starts again from the true box."""

_LOG = logging.getLogger(__name__)


def mine(
    tracker: Tracker,
    collections: Mapping[str, SequenceCollection],
    path: Path,
    *,
    max_sequences: int = 0,
    seed: int = 0,
    progress: Callable[[int, int, int], None] = lambda done, total, found: None,
) -> int:
    """Track the videos of data sets and write the mistakes for `sampling.mistakes`; return how many there are.

    Still pictures are left out. A sequence that cannot be read is logged and left out.

    Args:
        tracker: Tracker with the weights to examine.
        collections: Data sets by the names that the recipe gives them.
        path: The file to write.
        max_sequences: At most this many sequences of each data set, drawn at random; 0 takes all.
        seed: Of that draw.
        progress: Called with the sequences done, all of them, and the mistakes found so far.

    Raises:
        InputError: The file cannot be written.

    Example:
        >>> from starktrack import load
        >>> from starktrack.training.datasets import open_collections
        >>> collections = open_collections(recipe.datasets, root, 0)  # doctest: +SKIP
        >>> mine(load(weights="run/weights.safetensors"), collections, Path("mistakes.json"))  # doctest: +SKIP
        812
    """
    rng = np.random.default_rng(seed)
    wanted = []
    for name, collection in collections.items():
        count = min(max_sequences or len(collection), len(collection))
        wanted += [(name, int(index)) for index in np.sort(rng.permutation(len(collection))[:count])]
    found: list[Mistake] = []
    for done, (name, index) in enumerate(wanted, start=1):
        sequence = collections[name][index]
        try:
            found += mistakes_of(tracker, name, sequence)
        except (DatasetError, BoxError) as error:
            _LOG.warning("left out of the mining: %s: %s", sequence.name, error)
        progress(done, len(wanted), len(found))
    return write_mistakes(path, found)


def mistakes_of(tracker: Tracker, dataset: str, sequence: VideoSequence) -> Iterator[Mistake]:
    """Yield the frames of one sequence in which a tracker is off its target, with its boxes. The tracker starts in
    the first visible frame, and again after `FRAMES_OFF` visible frames off the target.

    Args:
        tracker: Started here; its targets are dropped.
        dataset: Name of the data set in the recipe.
        sequence: The sequence, tracked from its first visible frame to its last one.

    Raises:
        DatasetError: A frame cannot be read.
    """
    shown = np.flatnonzero(sequence.visible)
    num_off, is_started = 0, False
    for frame in range(shown[0], shown[-1] + 1) if len(shown) > 1 else ():
        image, is_visible = sequence.frames.read(frame), bool(sequence.visible[frame])
        if not is_started:
            if is_visible:
                tracker.start(image, box_xywh=sequence.boxes_xywh[frame])
                num_off, is_started = 0, True
            continue
        box = tracker.update(image).box_xywh
        if not is_visible:
            continue
        if overlaps(box[None], sequence.boxes_xywh[[frame]])[0] >= OFF_TARGET:
            num_off = 0
            continue
        x, y, w, h = (float(value) for value in box)
        yield Mistake(dataset, sequence.name, frame, (x, y, w, h))
        num_off += 1
        is_started = num_off < FRAMES_OFF
