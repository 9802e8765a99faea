"""A tracker's results in a VOT workspace, read and scored by the protocol of their experiment."""

from collections.abc import Sequence
from pathlib import Path

from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import InputError
from starktrack.evaluation.vot_anchors import EAO_INTERVAL, AnchorScore, score_anchors
from starktrack.evaluation.vot_longterm import LongTermScore, score_longterm
from starktrack.evaluation.vot_results import VotRun, anchor_frames, read_run, run_path
from starktrack.evaluation.vot_unsupervised import UnsupervisedScore, score_unsupervised


def score_anchor_results(
    sequences: Sequence[VideoSequence],
    results: Path,
    experiment: str = "baseline",
    interval: tuple[int, int] = EAO_INTERVAL,
) -> AnchorScore:
    """Return accuracy, robustness and EAO of the runs in `results/<tracker>`.

    Args:
        sequences: All that count.
        results: The tracker's folder, which holds a folder per experiment.
        experiment: Which of them.
        interval: Sequence lengths over which EAO is averaged.

    Raises:
        InputError: A run is missing or malformed, or no sequence has anchors.
    """
    if not any(sequence.benchmark.anchors for sequence in sequences):
        raise InputError(
            "the anchor protocol needs anchor.value in the sequences, got none; is this a long-term set?"
        )

    def read(sequence: VideoSequence, anchor: int) -> VotRun:
        path = run_path(results, experiment, sequence.name, f"{anchor:08d}")
        return read_run(path, len(anchor_frames(sequence, anchor)))

    return score_anchors(sequences, read, interval)


def score_longterm_results(
    sequences: Sequence[VideoSequence], results: Path, experiment: str = "longterm"
) -> LongTermScore:
    """Return precision, recall and F of the runs in `results/<tracker>`.

    Raises:
        InputError: A run is missing or malformed.
    """
    return score_longterm(sequences, _single_runs(sequences, results, experiment))


def score_unsupervised_results(
    sequences: Sequence[VideoSequence], results: Path, experiment: str = "unsupervised"
) -> UnsupervisedScore:
    """Return the accuracy of the runs in `results/<tracker>`.

    Raises:
        InputError: A run is missing or malformed.
    """
    return score_unsupervised(sequences, _single_runs(sequences, results, experiment))


def _single_runs(sequences: Sequence[VideoSequence], results: Path, experiment: str) -> dict[str, VotRun]:
    return {s.name: read_run(run_path(results, experiment, s.name, "001"), len(s)) for s in sequences}
