"""VOT's unsupervised experiment: one run over the whole sequence, and its mean overlap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from starktrack.data.video_sequence import VideoSequence
from starktrack.evaluation.vot_longterm import run_overlaps
from starktrack.evaluation.vot_regions import is_empty
from starktrack.evaluation.vot_results import VotRun
from starktrack.evaluation.vot_tags import TagScore, share, tagged_frames

BURN_IN = 1
"""Frames at the start that do not count: the first is given."""


@dataclass(frozen=True, eq=False)
class UnsupervisedParts:
    """Mean overlap of each sequence, [0, 1], and its frames."""

    accuracy: Float[np.ndarray, " num_sequences"]
    length: Float[np.ndarray, " num_sequences"]

    def measures(
        self, counts: Float[np.ndarray, "num_samples num_sequences"]
    ) -> dict[str, Float[np.ndarray, " num_samples"]]:
        """Return the score for each row of counts, which says how often each sequence counts."""
        return {"accuracy": (counts @ (self.accuracy * self.length)) / np.maximum(counts @ self.length, 1)}


@dataclass(frozen=True)
class UnsupervisedScore:
    """Mean overlap, [0, 1]: over sequences weighted by their length, by sequence name, and over tagged frames."""

    accuracy: float
    sequence_accuracy: dict[str, float]
    parts: UnsupervisedParts
    tags: dict[str, TagScore]


def score_unsupervised(sequences: Sequence[VideoSequence], runs: Mapping[str, VotRun]) -> UnsupervisedScore:
    """Return the mean overlap of one tracker with a run per sequence; frames without target do not count."""
    overlap = {s.name: run_overlaps(runs[s.name], s) for s in sequences}
    counted = {s.name: _counted(s) for s in sequences}
    accuracy = {
        name: float(values[counted[name]].mean()) if counted[name].any() else 0.0
        for name, values in overlap.items()
    }
    parts = UnsupervisedParts(
        np.array(list(accuracy.values())), np.array([len(sequence) for sequence in sequences], float)
    )
    tags = {}
    for tag, num_frames in tagged_frames(sequences).items():
        tagged = {s.name: s.benchmark.tags[tag] for s in sequences if tag in s.benchmark.tags}
        chosen = [overlap[name][counted[name] & flags] for name, flags in tagged.items()]
        values = np.concatenate(chosen)
        tags[tag] = TagScore(num_frames, {"accuracy": share(values.sum(), len(values))})
    (overall,) = parts.measures(np.ones((1, len(sequences))))["accuracy"].tolist()
    return UnsupervisedScore(overall, accuracy, parts, tags)


def _counted(sequence: VideoSequence) -> Bool[np.ndarray, " num_frames"]:
    present = np.array([not is_empty(region) for region in sequence.benchmark.regions])
    present[:BURN_IN] = False
    return present
