"""The metrics log of a run: `metrics.jsonl` always, TensorBoard on request, a callback."""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starktrack.errors import MissingExtraError
from starktrack.files import atomic_write

Record = Mapping[str, Any]


class MetricsLog:
    """Records of one run, in the order of its optimiser steps.

    Args:
        folder: Where `metrics.jsonl` lies.
        num_steps: Steps that the run has done; later records (written after the checkpoint from which it resumes) are
            deleted, so that every step has one record.
        unfinished: Kind of record of the last step that the run will write again; empty for none.
        tensorboard: Write event files too.
        callback: Called with every record.
    """

    def __init__(
        self,
        folder: Path,
        num_steps: int,
        *,
        unfinished: str = "",
        tensorboard: bool = False,
        callback: Callable[[Record], None] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        self._callback = callback
        self._keep_until(num_steps, unfinished)
        self._board = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ModuleNotFoundError as error:
                raise MissingExtraError("tensorboard", "tensorboard", "run.tensorboard = true") from error
            self._board = SummaryWriter(folder / "tensorboard", purge_step=num_steps + 1)

    def write(self, kind: str, **values: Any) -> None:
        """Append a record; `values` holds `step`, the number of optimiser steps so far."""
        # Infinity and NaN are not JSON: in fp16 the gradient of a step may overflow.
        record = {"kind": kind} | {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
        if self._board is not None:
            for name, value in record.items():
                if isinstance(value, float):
                    self._board.add_scalar(f"{kind}/{name}", value, values["step"])
        if self._callback is not None:
            self._callback(record)

    def close(self) -> None:
        """Finish the event files."""
        if self._board is not None:
            self._board.close()

    def _keep_until(self, num_steps: int, unfinished: str) -> None:
        kept = [
            json.dumps(record) + "\n"
            for record in read_metrics(self.path)
            if record["step"] <= num_steps and (record["step"], record["kind"]) != (num_steps, unfinished)
        ]
        with atomic_write(self.path) as partial:
            partial.write_text("".join(kept), encoding="utf-8")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the records of a metrics log, without a truncated last line."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


class Stopwatch:
    """Measures the time between two records, and the part of it spent waiting for data.

    Attributes:
        num_samples: Samples since the last record, over all processes; the caller counts them.
    """

    def __init__(self) -> None:
        self._since, self._waited, self.num_samples = time.perf_counter(), 0.0, 0

    def wait_for(self, fetch: Callable[[], Any]) -> Any:
        """Return what `fetch` returns; its time counts as waiting."""
        before = time.perf_counter()
        result = fetch()
        self._waited += time.perf_counter() - before
        return result

    def read(self) -> dict[str, float]:
        """Return samples per second and the share of time spent waiting, and start again."""
        seconds = max(time.perf_counter() - self._since, 1e-9)
        rates = {"samples_per_second": self.num_samples / seconds, "waiting": self._waited / seconds}
        self._since, self._waited, self.num_samples = time.perf_counter(), 0.0, 0
        return rates
