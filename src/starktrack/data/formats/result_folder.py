"""A folder of one tracker's results on one data set: where each file lies, and which run made them.

```text
<out>/<data set>_<split>/<tracker>/
    run.json                 what was run: model, weights' digest, settings, data set, variant
    <sequence>.txt           x,y,w,h per frame; its presence says that the sequence is finished
    <sequence>_time.txt      seconds per frame, without decoding; the first is the initialisation
    <sequence>_all_scores.txt   how likely the target is there, where the model says
    stages/<sequence>.json   seconds per stage, summed
    failed/<sequence>.txt    what was raised, until the sequence is finished
```
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from starktrack.data.formats.result_files import write_boxes
from starktrack.data.trajectory import Trajectory
from starktrack.errors import InputError, ResultFileError
from starktrack.files import atomic_write

RUN_FILE, STAGES, FAILURES = "run.json", "stages", "failed"

_RECORDED_LATER = {"engine": ("torch", "onnx"), "precision": ("float32",)}
"""Keys that the run.json of an older version lacks, and what they can have been then."""


def claim_folder(path: Path, run: Mapping[str, Any]) -> None:
    """Create a folder for the results of a run, or check that it was made by an equal one.

    Args:
        path: The folder.
        run: What decides the results, as JSON values.

    Raises:
        InputError: It holds results of another run, or of nobody knows which, or cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        # Looked at before run.json is: another process may claim the folder for the same run at the same time.
        is_empty = not any(file.suffix in (".txt", ".bin") for file in path.rglob("*"))
    except OSError as error:
        raise InputError(
            f"results must go to a folder you may write to, got {path}: {error.strerror}"
        ) from error
    now, before = json.loads(json.dumps(run)), read_run_file(path)
    if before is not None:
        same = {key: now.get(key) for key, values in _RECORDED_LATER.items() if now.get(key) in values}
        before = {**same, **before}
    if before is None and is_empty:
        with atomic_write(path / RUN_FILE) as partial:
            partial.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    elif before != now:
        difference = "it has no run.json" if before is None else _difference(before, now)
        raise InputError(
            f"{path} holds results of another run ({difference}); "
            "choose another folder or another name for the tracker"
        )


def read_run_file(path: Path) -> dict[str, Any] | None:
    """Return the `run.json` of a folder of results, None without one.

    Raises:
        ResultFileError: The file is damaged.
    """
    file = path / RUN_FILE
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ResultFileError(f"{file} must be JSON written by starktrack, got: {error}") from error
    if not isinstance(record, dict):
        raise ResultFileError(f"{file} must be a JSON object written by starktrack, got: {record!r:.40}")
    return record


class ResultFolder:
    """Results of one tracker on one data set, added sequence by sequence.

    Every file appears whole. `<sequence>.txt` comes last, so that a sequence is finished or is not.

    Attributes:
        path: The folder; created by `claim`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def claim(self, run: Mapping[str, Any]) -> None:
        """Create the folder for a run, or check that it was made by an equal one.

        Args:
            run: What decides the boxes, as JSON values.

        Raises:
            InputError: The folder holds results of another run, or cannot be written to.
        """
        claim_folder(self.path, run)
        (self.path / STAGES).mkdir(exist_ok=True)

    def run(self) -> dict[str, Any] | None:
        """Return the `run.json` of the results, None without one; ResultFileError if it is damaged."""
        return read_run_file(self.path)

    def is_finished(self, sequence: str) -> bool:
        """Return whether a sequence was tracked to its end."""
        return self._boxes(sequence).is_file()

    def write(
        self, sequence: str, trajectory: Trajectory, stages: Mapping[str, float], *, integer: bool = False
    ) -> None:
        """Write the results of a finished sequence.

        Args:
            sequence: Its name.
            trajectory: What the tracker said.
            stages: Seconds of each stage, summed over the frames.
            integer: Cut boxes to whole pixels, separated by tabs, as the authors' own files are.
        """
        _write_column(self._beside(sequence, "time"), trajectory.seconds)
        if not np.isnan(trajectory.scores).all():
            _write_column(self._beside(sequence, "all_scores"), trajectory.scores)
        with atomic_write(self.path / STAGES / f"{sequence}.json") as partial:
            numbers = {"frames": len(trajectory), **{name: round(value, 6) for name, value in stages.items()}}
            partial.write_text(json.dumps(numbers) + "\n", encoding="utf-8")
        self.forget_failure(sequence)
        if integer:
            with atomic_write(self._boxes(sequence)) as partial:
                np.savetxt(partial, trajectory.boxes_xywh.astype(np.int64), fmt="%d", delimiter="\t")
        else:
            write_boxes(self._boxes(sequence), trajectory.boxes_xywh)

    def write_failure(self, sequence: str, text: str) -> None:
        """Keep what was raised while a sequence was tracked."""
        path = self._failure(sequence)
        path.parent.mkdir(exist_ok=True)
        with atomic_write(path) as partial:
            partial.write_text(text, encoding="utf-8")

    def forget_failure(self, sequence: str) -> None:
        """Remove what was kept of a failure."""
        self._failure(sequence).unlink(missing_ok=True)

    def has_failed(self, sequence: str) -> bool:
        """Return whether a failure was kept since the last `forget_failure`."""
        return self._failure(sequence).is_file()

    def files(self, sequence: str) -> list[Path]:
        """Return the files that `write` makes of a sequence."""
        beside = [self._beside(sequence, what) for what in ("time", "all_scores")]
        return [self._boxes(sequence), *beside, self.path / STAGES / f"{sequence}.json"]

    def _boxes(self, sequence: str) -> Path:
        return self.path / f"{sequence}.txt"

    def _beside(self, sequence: str, what: str) -> Path:
        return self.path / f"{sequence}_{what}.txt"

    def _failure(self, sequence: str) -> Path:
        return self.path / FAILURES / f"{sequence}.txt"


def _write_column(path: Path, values: Float[np.ndarray, " num_frames"]) -> None:
    with atomic_write(path) as partial:
        np.savetxt(partial, values, fmt="%.6f")


def _difference(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> str:
    """Return the first value in which two runs differ, in words."""
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict) and old != new:
            return _difference(old, new, f"{prefix}{key}.")
        if old != new:
            return f"{prefix}{key} was {old!r} there, and is {new!r} now"
    return "nothing"
