"""`starktrack submit`: a zip for a benchmark's server, and what that server would reject."""

from pathlib import Path
from typing import Annotated

import typer

from starktrack.errors import InputError
from starktrack.evaluation.annotations import read_annotations
from starktrack.evaluation.result_files import read_results
from starktrack.evaluation.submission import server, submission_problems, write_submission


def submit(
    benchmark: Annotated[str, typer.Argument(help="got10k or trackingnet.")],
    results: Annotated[Path, typer.Argument(help="One tracker's folder or zip of results.")],
    out: Annotated[Path, typer.Argument(help="The zip to write; must not exist yet.")],
    annotations: Annotated[
        Path, typer.Option(help="Folder or zip with the first box of each test sequence.")
    ],
    frames: Annotated[Path | None, typer.Option(help="Folder with a folder of frames per sequence.")] = None,
) -> None:
    """Pack results for a server and say what it would reject; the raw results stay where they are."""
    target = server(benchmark)
    truth = read_annotations(annotations)
    write_submission(target, read_results(results, [annotation.name for annotation in truth]), out)
    counts = {a.name: _count_frames(frames / a.name) for a in truth} if frames else None
    problems = submission_problems(target, out, truth, counts)
    for problem in problems[:20]:
        typer.echo(problem, err=True)
    if problems:
        raise InputError(f"{out} must be what the server accepts, got {len(problems)} problems")
    typer.echo(f"{out}: {len(truth)} sequences, nothing to reject")


def _count_frames(folder: Path) -> int:
    if not folder.is_dir():
        raise InputError(f"--frames must hold a folder per sequence, {folder} does not exist")
    return sum(path.suffix.lower() in {".jpg", ".jpeg", ".png"} for path in folder.iterdir())
