"""Submissions: a zip for a benchmark's server, and what that server would reject."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from starktrack.data.sources.frames_on_disk import MissingFrames
from starktrack.errors import InputError
from starktrack.evaluation.result_files import read_results
from starktrack.evaluation.submission import FirstFrame, server, submission_problems, write_submission
from starktrack.evaluation.truth import open_truth
from starktrack.files import atomic_write


@dataclass(frozen=True)
class Submission:
    """A zip in which a server would reject nothing.

    Attributes:
        path: The file.
        num_sequences: Of the test set.
        num_counted: Sequences whose frames are there, so that the number of boxes is checked.

    Example:
        >>> Submission(Path("ours.zip"), num_sequences=180, num_counted=0).num_sequences
        180
    """

    path: Path
    num_sequences: int
    num_counted: int


def submit(
    benchmark: str,
    results: str | Path,
    annotations: str | Path,
    out: str | Path | None = None,
    *,
    on_problem: Callable[[str], None] | None = None,
) -> Submission:
    """Pack results for a benchmark's server and check the zip, or check one that was packed before.

    The raw results stay where they are. A zip that would be rejected is not kept. Frames are counted where the test
    set has them.

    Args:
        benchmark: `got10k` or `trackingnet`.
        results: One tracker's folder or zip of results; without `out` the zip to check.
        annotations: The test set, or only the files with the first box of each sequence.
        out: The zip to write, which must not exist yet; None to check `results`.
        on_problem: Called with each line on what the server would reject, before the error.

    Raises:
        ConfigError: An unknown benchmark.
        DatasetError: The annotations are missing or malformed.
        InputError: The zip exists, cannot be written, or would be rejected.
        ResultFileError: Results are missing or damaged.

    Example:
        >>> import starktrack
        >>> found = starktrack.submit("got10k", "results/test", "data/got10k", "ours.zip")
        >>> found.num_sequences, found.num_counted
        (180, 0)
    """
    target = server(benchmark)
    truth = _first_frames(benchmark, Path(annotations))
    counted = sum(frame.num_frames is not None for frame in truth)

    note = on_problem or (lambda problem: None)

    def require_good(path: Path, problems: Sequence[str]) -> None:
        for problem in problems:
            note(problem)
        if problems:
            raise InputError(f"{path} must be what the server accepts, got {len(problems)} problems")

    if out is None:
        packed = Path(results)
        require_good(packed, submission_problems(target, packed, truth))
        return Submission(packed, len(truth), counted)
    packed = Path(out)
    if packed.exists():
        raise InputError(f"a submission must be a new file, {packed} exists; name another or move it away")
    with atomic_write(packed) as partial:
        write_submission(target, read_results(Path(results), [frame.name for frame in truth]), partial)
        require_good(packed, submission_problems(target, partial, truth))
    return Submission(packed, len(truth), counted)


def _first_frames(benchmark: str, annotations: Path) -> list[FirstFrame]:
    """Return the first true box of every sequence, and its length where the frames are there."""
    dataset = open_truth(benchmark, annotations, "test")
    found = []
    for name in dataset.names:
        sequence = dataset[name]
        is_bare = isinstance(sequence.frames, MissingFrames)
        found.append(FirstFrame(name, sequence.boxes_xywh[0], None if is_bare else len(sequence.frames)))
    return found
