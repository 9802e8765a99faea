"""One tracker on one data set: what every worker process is given, and what it tells."""

import hashlib
import importlib.metadata
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from starktrack.config.benchmarks import for_benchmark
from starktrack.config.loading import to_mapping
from starktrack.config.presets import PRESETS
from starktrack.config.schema import Config
from starktrack.data.collection import annotation_form, by_benchmark, open_benchmark
from starktrack.data.formats.result_folder import ResultFolder
from starktrack.data.sources.dataset import Dataset
from starktrack.errors import CheckpointError, ConfigError
from starktrack.tracking.batch_runner import BatchProgress, Clip, Failed, Finished, Task, run_batch
from starktrack.tracking.batch_tracker import BatchTracker, NetworkTracker, PluginAdapter
from starktrack.tracking.opencv import OpenCvFactory, opencv_version, require_nanotrack
from starktrack.tracking.opencv_worker import CLASSES
from starktrack.tracking.plugin import load_factory
from starktrack.tracking.protocol import Refiner
from starktrack.tracking.refined_batch_tracker import RefinedBatchTracker
from starktrack.tracking.sharding import Shard, threads_each

BATCH_ON_CPU, BATCH_ON_GPU = 8, 16


@dataclass(frozen=True)
class DataPlace:
    """A data set that every process opens for itself."""

    name: str
    root: Path
    split: str | None
    allow_missing: bool

    def open(self) -> Dataset:
        """Return it; DatasetError when it is not there."""
        return open_benchmark(self.name, self.root, self.split, allow_missing=self.allow_missing)


@dataclass(frozen=True)
class Contestant:
    """A tracker that takes part: our network when it has weights, else one by name.

    Attributes:
        name: In tables and folders.
        weights: Checkpoint of our network.
        plugin: See `tracking.plugin.load_factory`.
        refine: Weights of a refiner behind it, or the name of one that comes with the package.
    """

    name: str
    weights: Path | None = None
    plugin: str = ""
    refine: str = ""


def named_contestant(tracker: str, device: str, name: str = "", refine: str = "") -> Contestant:
    """Return a tracker by name; that of a preset stands for its weights of the package.

    Args:
        tracker: A preset, or what `tracking.plugin.load_factory` knows.
        device: Where the network of a preset runs.
        name: In tables and folders; the tracker's own by default.
        refine: See `Contestant`.

    Raises:
        CheckpointError: The preset has no weights in the package.
    """
    label = name or tracker.replace(":", ".")
    if tracker not in PRESETS:
        return Contestant(label, plugin=tracker, refine=refine)
    from starktrack.api import pretrained_file

    return Contestant(label, weights=pretrained_file(tracker, device), refine=refine)


@dataclass(frozen=True)
class Settings:
    """How trackers are run.

    Attributes:
        device: Where our network runs.
        batch: Sequences in one forward pass; 0 for what suits the device.
        overrides: `tracking.key=value` for our network.
        integer: Write whole pixels, as the authors' files have.
        workers: Processes on this machine.
        nanotrack: The folder of NanoTrack's files.
        opencv_python: A Python with OpenCV's contrib wheel.
    """

    device: str = "auto"
    batch: int = 0
    overrides: tuple[str, ...] = ()
    integer: bool = False
    workers: int = 1
    nanotrack: Path | None = None
    opencv_python: Path | None = None


def check_overrides(settings: Settings, contestants: Sequence[Contestant]) -> None:
    """Refuse overrides that nobody would heed.

    Raises:
        ConfigError: There are some, and no network of ours takes part.
    """
    if settings.overrides and all(contestant.weights is None for contestant in contestants):
        raise ConfigError(
            f"--set changes networks of ours, got --set {settings.overrides[0]} and only "
            f"{', '.join(contestant.name for contestant in contestants)}; leave it out, or add --weights FILE"
        )


@dataclass(frozen=True)
class Done:
    """A sequence is finished and written."""

    name: str
    frames: int


@dataclass(frozen=True)
class Broken:
    """A sequence failed: the reason in one line."""

    name: str
    reason: str


@dataclass(frozen=True)
class EvaluationJob:
    """Track the named sequences and write their results; sent to every worker, which takes its shard."""

    data: DataPlace
    contestant: Contestant
    settings: Settings
    folder: Path
    names: tuple[str, ...]

    def __call__(self, shard: Shard) -> Iterator[Done | Broken | BatchProgress]:
        """Track what is unfinished of a shard, write results, and yield what there is to tell."""
        folder = ResultFolder(self.folder)
        names = [name for name in shard.of(self.names) if not folder.is_finished(name)]
        if not names:
            return
        dataset = self.data.open()
        before = BatchProgress(0.0, 0)
        for benchmark, of_part in by_benchmark(dataset, names).items():
            # Asked again when its turn comes: somebody else may have finished it since.
            unfinished = (name for name in of_part if not folder.is_finished(name))
            tasks = (Task(name, partial(_clip, dataset, name)) for name in unfinished)
            now = before
            with open_batch_tracker(self.contestant, benchmark, self.settings, shard) as tracker:
                for event in run_batch(self._refined(tracker, shard), tasks):
                    if isinstance(event, BatchProgress):
                        now = BatchProgress(before.clips + event.clips, before.frames + event.frames)
                    yield now if isinstance(event, BatchProgress) else self._keep(event, folder)
            before = now

    def _refined(self, tracker: BatchTracker, shard: Shard) -> BatchTracker:
        if not self.contestant.refine:
            return tracker
        return RefinedBatchTracker(tracker, open_refiner(self.contestant, self.settings, shard))

    def _keep(self, outcome: Finished | Failed, folder: ResultFolder) -> Done | Broken:
        if isinstance(outcome, Failed):
            folder.write_failure(outcome.name, "".join(traceback.format_exception(outcome.error)))
            return broken(outcome)
        folder.write(outcome.name, outcome.trajectory, outcome.stage_seconds, integer=self.settings.integer)
        return Done(outcome.name, len(outcome.trajectory))


def broken(failed: Failed) -> Broken:
    """Return what there is to tell of a clip that failed."""
    reason = f"frame {failed.frame}: {type(failed.error).__name__}: {failed.error}"
    return Broken(failed.name, reason)


@contextmanager
def open_batch_tracker(
    contestant: Contestant, benchmark: str, settings: Settings, shard: Shard
) -> Iterator[BatchTracker]:
    """Give what tracks, and end what it started."""
    if contestant.weights is not None:
        yield _network_tracker(contestant.weights, benchmark, settings, shard)
        return
    factory = load_factory(
        contestant.plugin, nanotrack=settings.nanotrack, opencv_python=settings.opencv_python
    )
    try:
        yield PluginAdapter(factory)
    finally:
        if isinstance(factory, OpenCvFactory):
            factory.close()


def open_refiner(contestant: Contestant, settings: Settings, shard: Shard) -> Refiner:
    """Return the refiner behind a contestant that has one; errors as `starktrack.load`."""
    from starktrack.api import load_refiner, refiner_file

    file = refiner_file(contestant.refine, settings.device)
    if file.suffix == ".onnx":
        return load_refiner(file, device=settings.device, threads=_onnx_threads(settings))
    return load_refiner(file, device=_torch_device(settings, shard))


def resolve_config(weights: Path, benchmark: str, overrides: Sequence[str]) -> Config:
    """Return the configuration in a checkpoint, with the benchmark's settings and one's own on top.

    Raises:
        ConfigError: An override of something else than tracking, or a bad one.
        CheckpointError: The checkpoint is missing or damaged.
        MissingExtraError: It needs PyTorch, which is not installed; an exported network does not.
    """
    return for_benchmark(_stored_config(weights), benchmark, overrides=overrides)


def describe(job: EvaluationJob, dataset: Dataset) -> Mapping[str, Any]:
    """Return what decides the boxes of a job, as JSON values."""
    told: dict[str, Any] = {
        "starktrack": importlib.metadata.version("starktrack"),
        "dataset": dataset.name,
        "split": dataset.split,
        "annotation": annotation_form(dataset),
        "integer": job.settings.integer,
        **describe_contestant(job.contestant, job.data.name, job.settings),
    }
    weights, overrides = job.contestant.weights, job.settings.overrides
    # Of the whole data set, so that a run of some sequences goes on with all.
    parts = by_benchmark(dataset, dataset.names)
    if weights is not None and list(parts) != [job.data.name]:
        resolved = {part: resolve_config(weights, part, overrides).tracking for part in parts}
        told["update_intervals"] = {part: tracking.update_interval for part, tracking in resolved.items()}
    return told


def describe_contestant(contestant: Contestant, benchmark: str, settings: Settings) -> Mapping[str, Any]:
    """Return what decides the boxes of a tracker, as JSON values: of every file its digest, not its place."""
    refined = _describe_refiner(contestant.refine, settings.device) if contestant.refine else {}
    if contestant.weights is None:
        return {**refined, "tracker": contestant.plugin, **_describe_plugin(contestant.plugin, settings)}
    config = resolve_config(contestant.weights, benchmark, settings.overrides)
    return {**refined, "weights": digest(contestant.weights), "config": to_mapping(config)}


def _describe_refiner(weights: str, device: str) -> Mapping[str, Any]:
    from starktrack.api import refiner_file

    file = refiner_file(weights, device)
    if not file.is_file():
        raise CheckpointError(
            f"--refine must be a refiner's weights or the name of one that comes with the package, got {weights}, "
            "which is no file"
        )
    return {"refine": file.name, "refine_weights": digest(file)}


def _describe_plugin(plugin: str, settings: Settings) -> Mapping[str, Any]:
    if plugin in CLASSES:
        files = require_nanotrack(settings.nanotrack) if plugin == "nanotrack" else []
        return {
            "opencv": opencv_version(plugin, settings.opencv_python),
            **{file.name: digest(file) for file in files},
        }
    load_factory(plugin)
    source = getattr(sys.modules[plugin.partition(":")[0]], "__file__", None)
    return {"source": digest(Path(source)) if source else None}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stored_config(weights: Path) -> Config:
    """Return the configuration that a checkpoint or an exported network carries."""
    if weights.suffix == ".onnx":
        from starktrack.engines.onnx_engine import open_onnx

        return open_onnx(weights).config
    from starktrack.api import require_torch

    require_torch("tracking with a checkpoint")
    from starktrack.models.weights import read_config

    return read_config(weights)


def _network_tracker(weights: Path, benchmark: str, settings: Settings, shard: Shard) -> NetworkTracker:
    from starktrack.api import load_engine

    if weights.suffix == ".onnx":
        from starktrack.engines.onnx_engine import open_onnx

        device, engine = "cpu", open_onnx(weights, threads=_onnx_threads(settings))
    else:
        device = _torch_device(settings, shard)
        engine = load_engine(weights=weights, device=device)
    config = for_benchmark(engine.config, benchmark, overrides=settings.overrides)
    batch = settings.batch or (BATCH_ON_GPU if device.startswith("cuda") else BATCH_ON_CPU)
    return NetworkTracker(engine, batch, config.tracking)


def _onnx_threads(settings: Settings) -> int:
    return threads_each(settings.workers) if settings.workers > 1 else 0


def _torch_device(settings: Settings, shard: Shard) -> str:
    """Return where this process's network runs, after sharing the processor's threads with the other workers."""
    import torch

    if settings.workers > 1:
        torch.set_num_threads(threads_each(settings.workers))
    if not torch.cuda.is_available() or settings.device not in ("auto", "cuda"):
        return settings.device
    local = int(os.environ.get("LOCAL_RANK", "0")) * settings.workers + shard.index % settings.workers
    return f"cuda:{local % torch.cuda.device_count()}"


def _clip(dataset: Dataset, name: str) -> Clip:
    sequence = dataset[name]
    return Clip(sequence.frames, range(len(sequence.frames)), sequence.boxes_xywh[0])
