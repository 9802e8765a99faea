"""Batch: every row of a manifest is tracked once, by processes here or on a Ray cluster, and a run can be resumed."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from starktrack.api import EngineName
from starktrack.data.formats.manifest import ManifestRow, read_manifest
from starktrack.errors import AnnotationError, ConfigError, require_extra
from starktrack.pretrained import DEFAULT
from starktrack.workflows.batch_folder import BatchFolder, RowSummary
from starktrack.workflows.batch_worker import BatchJob, RowResult
from starktrack.workflows.dispatch import Done, Ended, Workers, dispatch
from starktrack.workflows.local_workers import LocalWorkers
from starktrack.workflows.trackers import (
    BATCH_ON_GPU,
    RunSettings,
    TrackerSpec,
    check_overrides,
    describe_tracker,
    tracker_spec,
)

Place = Literal["local", "ray"]


@dataclass(frozen=True)
class BatchStatus:
    """How far a batch is.

    Attributes:
        total: Rows that were left to do.
        finished_before: Rows that were done before.
        done: Rows that were done in this run.
        failed: Rows that failed for good.
        frames: Frames tracked in this run.
        running: By worker the row that it tracks.
        failures: The latest failures, id and reason.
    """

    total: int
    finished_before: int
    done: int = 0
    failed: int = 0
    frames: int = 0
    running: Mapping[int, str] = field(default_factory=dict)
    failures: tuple[tuple[str, str], ...] = ()


OnStatus = Callable[[BatchStatus], None]
"""Is called when a batch begins, whenever a row ends, and about twice a second."""

SHOWN_FAILURES = 5

AHEAD = 2
"""Rows that a worker holds besides those it tracks: one whose video it opens, and one that waits for that."""


@dataclass(frozen=True)
class BatchRun:
    """How a batch ended.

    Attributes:
        folder: Where its results are.
        rows: How each row of the manifest ended, in its order.
        finished_before: Rows that were done before.
        summary: The CSV file of `rows`.

    Example:
        >>> folder = Path("tracks")
        >>> BatchRun(folder, rows=(), finished_before=0, summary=folder / "summary.csv").has_failed
        False
    """

    folder: Path
    rows: tuple[RowSummary, ...]
    finished_before: int
    summary: Path

    @property
    def has_failed(self) -> bool:
        """Whether a row is not done."""
        return any(row.state != "done" for row in self.rows)


def batch(
    manifest: str | Path,
    out: str | Path,
    *,
    tracker: str = DEFAULT,
    refine: str | None = None,
    workers: int = 0,
    threads: int = 1,
    together: int = 0,
    device: str = "auto",
    engine: EngineName = "auto",
    overrides: Sequence[str] = (),
    format: str = "csv",
    retries: int = 2,
    parquet: bool = False,
    on: Place = "local",
    address: str | None = None,
    on_status: OnStatus | None = None,
) -> BatchRun:
    r"""Track every video of a manifest, go on where an earlier run stopped, and write a result each and a summary.

    Args:
        manifest: CSV, JSON lines or Parquet, see `data.formats.manifest`; its paths begin at its own folder.
        out: The folder of results, see `workflows.batch_folder`. What is done there with the same rows and weights
            is not done again.
        tracker: Weights, or the name of a tracker, as `evaluate` takes them.
        refine: Weights of a refiner, or its name: boxes are refined.
        workers: Processes, each with its network; 0 for as many as the cores, or the GPUs, allow.
        threads: Cores of each process.
        together: Videos in one forward pass; 0 for one on a CPU, where more gain nothing and a result could differ in
            the last decimal with the company of its video, and for 16 on a GPU.
        device: `auto`, `cpu`, `cuda` or `mps`.
        engine: `torch`, `onnx` or `openvino`; `auto` goes by the file and not by what is installed, so that workers
            on several machines give the same.
        overrides: `tracking.key=value` for our networks.
        format: Of the results: `csv`, `json`, `txt`, or an annotation format such as `cvat`.
        retries: How often a row that failed is tried again.
        parquet: Write the summary as Parquet too.
        on: `local` for processes on this machine, `ray` for a Ray cluster.
        address: Of a running Ray cluster, `auto` for the one of this machine; without it Ray's own rule.
        on_status: Called when it begins, whenever a row ends, and about twice a second.

    Returns:
        How every row ended; a row that failed stops no other.

    Raises:
        InputError: The manifest has bad rows, or the folder cannot be written to or is in use.
            Two rows would write one file.
        ConfigError: Numbers of workers that make no sense, or overrides that change nothing.
        CheckpointError, DeviceError, MissingExtraError: As `starktrack.load`.
        StarktrackError: Workers die before they begin.

    Example:
        >>> from pathlib import Path
        >>> import starktrack
        >>> rows = 'video,boxes,id,end\ndog.mp4,"231,38,59,47",dog,2\nnowhere.mp4,"1,2,30,40",lost,\n'
        >>> _ = Path("videos.csv").write_text(rows)
        >>> run = starktrack.batch("videos.csv", "tracks", workers=1, retries=0)
        >>> [(row.id, row.state, row.frames) for row in run.rows]
        [('dog', 'done', 2), ('lost', 'failed', 0)]
        >>> "nowhere.mp4 must be a video file" in run.rows[1].error
        True
    """
    for name, value, least in (
        ("workers", workers, 0),
        ("threads", threads, 1),
        ("together", together, 0),
        ("retries", retries, 0),
    ):
        if value < least:
            raise ConfigError(f"{name} must be {least} or more, got {value}")
    if on not in ("local", "ray"):
        raise ConfigError(f"a batch runs on local or ray, got {on!r}")
    if address is not None and on != "ray":
        raise ConfigError(f"an address is that of a Ray cluster, got {address!r} for {on}; add on='ray'")
    if parquet:
        require_extra("parquet", "a Parquet summary", "pyarrow")
    rows = read_manifest(manifest)
    base = Path(manifest).absolute().parent
    spec = tracker_spec(tracker, device, refine=refine or "", engine=engine)
    if spec.weights is not None and tracker != DEFAULT and Path(tracker).is_file():
        tracker = str(Path(tracker).absolute())
    if refine and Path(refine).is_file():
        refine = str(Path(refine).absolute())
    on_gpu = _num_gpus(spec, device) if on == "local" else int(device == "cuda")
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    settings = RunSettings(
        device,
        together or (BATCH_ON_GPU if on_gpu else 1),
        tuple(overrides),
        workers=workers or on_gpu or max(1, num_cores // threads),
        threads=threads,
        engine=engine,
    )
    check_overrides(settings, [spec])
    described = describe_tracker(spec, "", settings)
    job = BatchJob(tracker, described, settings, base, refine or "")
    with BatchFolder(Path(out), described, format) as folder:
        left = folder.unfinished(rows, base)
        status = BatchStatus(len(left), len(rows) - len(left))
        try:
            if left:
                pool: Workers
                if on == "ray":
                    from starktrack.workflows.ray_workers import RayWorkers

                    pool = RayWorkers(job.serve, workers, threads=threads, gpus=on_gpu, address=address)
                else:
                    pool = LocalWorkers(job.serve, settings.workers)
                try:
                    _run(left, pool, folder, settings.batch + AHEAD, retries, status, on_status)
                finally:
                    pool.close()
            elif on_status is not None:
                on_status(status)
        finally:
            summaries = folder.summaries(rows)
            summary = folder.write_summary(summaries, as_parquet=parquet)
    return BatchRun(Path(out), tuple(summaries), status.finished_before, summary)


def _run(
    rows: Sequence[ManifestRow],
    pool: Workers,
    folder: BatchFolder,
    in_hand: int,
    retries: int,
    status: BatchStatus,
    on_status: OnStatus | None,
) -> None:
    """Track the rows, keep what comes, and report."""
    by_id = {row.id: row for row in rows}
    running: dict[int, str] = {}
    frames: dict[int, int] = {}
    frames_done = 0
    reported = time.monotonic()
    if on_status is not None:
        on_status(status)
    for event in dispatch(rows, pool, in_hand=in_hand, retries=retries):
        if isinstance(event, Ended):
            row = by_id[event.id]
            summary = _keep(folder, row, event)
            running.pop(event.worker, None)
            if summary.state == "done":
                frames_done += summary.frames
                status = replace(status, done=status.done + 1)
            else:
                failures = (*status.failures, (row.id, summary.error))[-SHOWN_FAILURES:]
                status = replace(status, failed=status.failed + 1, failures=failures)
        elif event is not None:
            worker, moved = event
            running[worker], frames[worker] = moved.id, moved.frames
        if on_status is not None and (isinstance(event, Ended) or time.monotonic() - reported > 0.5):
            reported = time.monotonic()
            status = replace(
                status, frames=max(frames_done, sum(frames.values())), running=dict(sorted(running.items()))
            )
            on_status(status)


def _keep(folder: BatchFolder, row: ManifestRow, ended: Ended) -> RowSummary:
    outcome = ended.outcome
    if isinstance(outcome, Done):
        result = outcome.result
        assert isinstance(result, RowResult)
        try:
            return folder.keep(row, result, ended.tries)
        except AnnotationError as error:  # the format cannot hold this result
            return folder.fail(row, str(error), str(error), ended.tries)
    return folder.fail(row, outcome.reason, outcome.trace, ended.tries)


def _num_gpus(spec: TrackerSpec, device: str) -> int:
    """Return how many GPUs of this machine workers share."""
    if spec.weights is None or spec.weights.suffix == ".onnx" or device not in ("auto", "cuda"):
        return 0
    from starktrack.api import require_torch

    require_torch("tracking with a checkpoint")
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
