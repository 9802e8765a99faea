"""Scores results of a tracker against the truth of a data set, for `evaluate`, `report` and `plot`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from starktrack.data.collection import by_benchmark
from starktrack.data.sources.dataset import Dataset
from starktrack.data.video_sequence import VideoSequence
from starktrack.evaluation.attributes import read_attributes, with_derived_attributes
from starktrack.evaluation.conventions import explain
from starktrack.evaluation.dialects import Dialect, dialect
from starktrack.evaluation.metrics import frames_per_second
from starktrack.evaluation.result_files import TrackerResults, read_repetitions
from starktrack.evaluation.scoring import Evaluation, evaluate, join
from starktrack.evaluation.truth import frame_size_hw, missing_labels, scored_sequences
from starktrack.workflows.callbacks import Note

DEFAULT_DIALECTS = {"got10k": "got10k", "trackingnet": "trackingnet"}
"""Data sets with an official number by their own toolkit; the paper scores all others with `stark`."""


@dataclass(frozen=True)
class Truth:
    """The truth of a data set, with the rules by which each of its parts is scored.

    Attributes:
        dataset: Its name in tables.
        parts: By data set, the conventions and the sequences.
        has_derived_attributes: Whether attributes follow from the boxes because the data set names none.
    """

    dataset: str
    parts: Mapping[str, tuple[Dialect, Sequence[VideoSequence]]]
    has_derived_attributes: bool = False

    @property
    def sequences(self) -> list[VideoSequence]:
        """Return all sequences."""
        return [sequence for _, sequences in self.parts.values() for sequence in sequences]

    @property
    def conventions(self) -> dict[str, list[str]]:
        """Return by data set every convention of its dialect in words."""
        return {part: explain(rules) for part, (rules, _) in self.parts.items()}


def read_truth(
    dataset: Dataset,
    names: Sequence[str] | None = None,
    *,
    toolkit: str = "",
    drop_invalid: bool = False,
    attributes: Path | None = None,
    on_note: Note | None = None,
) -> Truth:
    """Return the truth for scoring results.

    Args:
        dataset: Opened, perhaps without frames.
        names: Only these sequences.
        toolkit: The dialect; "" for that of the data set's official number.
        drop_invalid: Divide by valid frames only.
        attributes: JSON of what makes each sequence hard; by default that follows from the boxes.
        on_note: Called with a line about every deviation from the official scoring.
    """
    note = on_note or _ignore
    chosen = list(dataset.names if names is None else names)
    sequences = scored_sequences(dataset, chosen)
    if len(sequences) < len(chosen):
        note(
            f"{len(chosen) - len(sequences)} sequences show their first box only and are not scored here; "
            "a server does that: starktrack submit"
        )
    sequences = read_attributes(attributes, sequences) if attributes else sequences
    known = {sequence.name: sequence for sequence in with_derived_attributes(sequences)}
    parts = {}
    for part, of_part in by_benchmark(dataset, known).items():
        rules = dialect(toolkit or default_dialect(part), part, drop_invalid=drop_invalid)
        parts[part] = (rules, [known[name] for name in of_part])
        for line in missing_labels(part, parts[part][1], rules):
            note(f"{part}: {line}")
    return Truth(dataset.name, parts, not all(sequence.benchmark.attributes for sequence in sequences))


def default_dialect(dataset: str) -> str:
    """Return the dialect of a data set's official number."""
    return DEFAULT_DIALECTS.get(dataset, "stark")


def score_results(tracker: str, results: Path, truth: Truth, *, on_note: Note | None = None) -> Evaluation:
    """Return the scores of one tracker's folder or zip of results.

    A tracker that ran several times (`_001`, `_002` …) is scored over all its runs. Each sequence gets the mean of
    its runs: the GOT-10k toolkit puts all runs into one list, which is the same, for they have equally many frames.

    Raises:
        ResultFileError: A result is missing, damaged, or breaks a rule of its dialect; names the file.
    """
    sequences = {sequence.name: sequence for sequence in truth.sequences}
    runs = read_repetitions(results, sequences, size_of=lambda name: frame_size_hw(sequences[name]))
    scored = [_score_run(tracker, run, truth) for run in runs]
    if len(scored) == 1:
        return scored[0]
    (on_note or _ignore)(f"{tracker}: scored over {len(scored)} runs of every sequence")
    first, speeds = scored[0], [run.frames_per_second for run in scored if run.frames_per_second]
    return replace(
        first,
        curves={key: np.mean([run.curves[key] for run in scored], axis=0) for key in first.curves},
        values={key: np.mean([run.values[key] for run in scored], axis=0) for key in first.values},
        frames_per_second=float(np.mean(speeds)) if speeds else None,
    )


def _score_run(tracker: str, found: TrackerResults, truth: Truth) -> Evaluation:
    parts = [
        evaluate(tracker, part, found.boxes_xywh, sequences, rules, found.files)
        for part, (rules, sequences) in truth.parts.items()
    ]
    scored = parts[0] if len(parts) == 1 else join(truth.dataset, parts)
    rules, _ = next(iter(truth.parts.values()))
    return replace(scored, frames_per_second=frames_per_second(list(found.seconds.values()), rules.speed))


def _ignore(line: str) -> None:
    pass
