"""Hard examples: frames in which a network lost the targets of its training videos, in a file for the sampler."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from starktrack.errors import ConfigError, DatasetError


@dataclass(frozen=True)
class Mistake:
    """One frame in which a tracker was off its target.

    Attributes:
        dataset: Name of the data set in the recipe.
        sequence: Name of the target's sequence.
        frame: Which frame (from 0); the target is visible in it.
        box_xywh: The tracker's box, image pixels.
    """

    dataset: str
    sequence: str
    frame: int
    box_xywh: tuple[float, float, float, float]


def write_mistakes(path: Path, mistakes: Iterable[Mistake]) -> int:
    """Write mistakes as JSON; return how many there were.

    Raises:
        InputError: The place cannot be written to.
    """
    from starktrack.files import atomic_write

    rows = [asdict(mistake) for mistake in mistakes]
    with atomic_write(path) as partial:
        partial.write_text(json.dumps({"mistakes": rows}), encoding="utf-8")
    return len(rows)


def read_mistakes(path: Path) -> tuple[Mistake, ...]:
    """Return the mistakes in a file; an empty one is refused.

    Raises:
        ConfigError: The file is missing, malformed, or holds none.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["mistakes"]
        mistakes = tuple(_mistake(row) for row in rows)
    except OSError as error:
        raise ConfigError(
            f"sampling.mistakes must be a file of mistakes, {path}: {error.strerror}"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f'{path} must hold {{"mistakes": [{{"dataset", "sequence", "frame", "box_xywh"}}, ...]}}, got '
            f"{type(error).__name__}: {error}; write it with scripts/mine.py"
        ) from error
    if not mistakes:
        raise ConfigError(f"{path} must hold a mistake, got none; set sampling.mistake_share to 0")
    return mistakes


def _mistake(row: dict) -> Mistake:
    x, y, w, h = (float(value) for value in row["box_xywh"])
    if not np.isfinite([x, y, w, h]).all() or min(w, h) <= 0 or int(row["frame"]) < 0:
        raise ValueError(f"a mistake must have a frame from 0 and a box with an area, got {row}")
    return Mistake(str(row["dataset"]), str(row["sequence"]), int(row["frame"]), (x, y, w, h))


def positions_of(
    mistakes: Sequence[Mistake], names: Sequence[str], sequences: Sequence[Sequence[str]]
) -> list[tuple[int, int, Mistake]]:
    """Return mistakes with the positions of their data set and sequence, without those of other data sets.

    Args:
        mistakes: The result of `read_mistakes`.
        names: The data sets of a run.
        sequences: For each of them the names of its sequences.

    Raises:
        DatasetError: None of the mistakes is of a sequence of the run.
    """
    wanted = {mistake.dataset for mistake in mistakes}
    places = {
        (dataset, sequence): (which, index)
        for which, dataset in enumerate(names)
        if dataset in wanted
        for index, sequence in enumerate(sequences[which])
    }
    found = [
        (*places[mistake.dataset, mistake.sequence], mistake)
        for mistake in mistakes
        if (mistake.dataset, mistake.sequence) in places
    ]
    if not found:
        raise DatasetError(
            f"a file of mistakes must be of sequences of the run ({', '.join(names)}), got {sorted(wanted)}; "
            "write it anew with scripts/mine.py"
        )
    return found
