"""`starktrack submit`: a zip for a benchmark's server, and what that server would reject."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from starktrack.data.sources.dataset import Dataset
from starktrack.data.sources.frames_on_disk import MissingFrames
from starktrack.errors import ConfigError, InputError
from starktrack.evaluation.result_files import read_results
from starktrack.evaluation.submission import FirstFrame, server, submission_problems, write_submission
from starktrack.evaluation.truth import open_truth
from starktrack.files import atomic_write

SHOWN = 20
"""Most problems to print; a broken script makes thousands of the same."""


def submit(
    benchmark: Annotated[str, typer.Argument(help="got10k or trackingnet.")],
    results: Annotated[
        Path, typer.Argument(help="One tracker's folder or zip of results; with --check the zip to check.")
    ],
    annotations: Annotated[
        Path, typer.Option(help="The test set, or only the files with the first box of each sequence.")
    ],
    out: Annotated[Path | None, typer.Argument(help="The zip to write; must not exist yet.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only check a zip that was packed before.")] = False,
) -> None:
    """Pack results for a server and say what it would reject; the raw results stay where they are.

    Frames are counted where the test set has them; without, the number of boxes cannot be checked. A zip that
    would be rejected is not kept.
    """
    if check == (out is not None):
        raise ConfigError("submit needs RESULTS and OUT, or a ZIP and --check, got both or none")
    target = server(benchmark)
    truth = first_frames(open_truth(benchmark, annotations, "test"))
    if out is None:
        _require_good(results, submission_problems(target, results, truth))
        typer.echo(_verdict(results, truth))
        return
    if out.exists():
        raise InputError(f"a submission must be a new file, {out} exists; name another or move it away")
    with atomic_write(out) as partial:
        write_submission(target, read_results(results, [frame.name for frame in truth]), partial)
        _require_good(out, submission_problems(target, partial, truth))
    typer.echo(_verdict(out, truth))


def first_frames(dataset: Dataset) -> list[FirstFrame]:
    """Return the first true box of every sequence, and its length where the frames are there."""
    found = []
    for name in dataset.names:
        sequence = dataset[name]
        is_bare = isinstance(sequence.frames, MissingFrames)
        found.append(FirstFrame(name, sequence.boxes_xywh[0], None if is_bare else len(sequence.frames)))
    return found


def _require_good(path: Path, problems: Sequence[str]) -> None:
    for problem in problems[:SHOWN]:
        typer.echo(problem, err=True)
    if problems:
        raise InputError(f"{path} must be what the server accepts, got {len(problems)} problems")


def _verdict(path: Path, truth: Sequence[FirstFrame]) -> str:
    counted = sum(frame.num_frames is not None for frame in truth)
    known = "names, separators, numbers and first boxes"
    if counted == len(truth):
        return f"{path}: {len(truth)} sequences, nothing to reject in {known} and lengths"
    return (
        f"{path}: {len(truth)} sequences, nothing to reject in {known}; the lengths of "
        f"{len(truth) - counted} sequences are not checked: their frames are not below --annotations"
    )
