"""Tags of single frames in a VOT workspace, and the scores over tagged frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsFloat

from starktrack.data.video_sequence import VideoSequence


@dataclass(frozen=True)
class TagScore:
    """Scores over the frames that carry a tag, those of all sequences in one.

    Attributes:
        num_frames: Number of these frames.
        values: By the measure's key; NaN where no frame counts.
    """

    num_frames: int
    values: dict[str, float]


def tagged_frames(sequences: Sequence[VideoSequence]) -> dict[str, int]:
    """Return how many frames carry each tag, by name; tags of no frame are left out."""
    found: dict[str, int] = {}
    for sequence in sequences:
        for tag, flags in sequence.benchmark.tags.items():
            found[tag] = found.get(tag, 0) + int(flags.sum())
    return {tag: found[tag] for tag in sorted(found) if found[tag]}


def share(part: SupportsFloat, whole: SupportsFloat) -> float:
    """Return part over whole; NaN where there is nothing."""
    return float(part) / float(whole) if float(whole) else float("nan")
