"""The trackers of a run: their names, how a worker process opens one, and their description in `run.json`."""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starktrack.api import EngineName, engine_of, load_engine, load_refiner, require_torch, weights_file
from starktrack.config.benchmarks import for_benchmark
from starktrack.config.loading import to_mapping
from starktrack.config.precision import Precision, check_precision
from starktrack.config.presets import presets_of
from starktrack.config.schema import Config
from starktrack.errors import CheckpointError, ConfigError
from starktrack.tracking.batch_tracker import BatchTracker, NetworkTracker, PluginAdapter
from starktrack.tracking.opencv import OpenCvFactory, opencv_version, require_nanotrack
from starktrack.tracking.opencv_worker import CLASSES
from starktrack.tracking.plugin import load_factory
from starktrack.tracking.protocol import Refiner
from starktrack.tracking.refined_batch_tracker import OutlineBatchTracker, RefinedBatchTracker
from starktrack.tracking.sharding import Shard, threads_each

BATCH_ON_CPU, BATCH_ON_GPU = 8, 16


@dataclass(frozen=True)
class TrackerSpec:
    """A tracker of a run: our network if it has weights, else one by name.

    Attributes:
        name: In tables and folders.
        weights: Checkpoint of our network.
        plugin: See `tracking.plugin.load_factory`.
        refine: Weights of a refiner behind it, or the name of one that comes with the package.

    Example:
        >>> mine = TrackerSpec("mine", weights=Path("stark_mobile.onnx"), refine="refine_mobile")
        >>> mine.name, mine.plugin
        ('mine', '')
    """

    name: str
    weights: Path | None = None
    plugin: str = ""
    refine: str = ""


def tracker_spec(
    tracker: str, device: str = "auto", *, name: str = "", refine: str = "", engine: str = "auto"
) -> TrackerSpec:
    """Return a tracker by the file of its weights, or else by its name.

    Args:
        tracker: A file, a preset for its weights in the package, or what `tracking.plugin.load_factory` knows.
        device: Where the network of a preset runs.
        name: In tables and folders; the tracker's own by default.
        refine: See `TrackerSpec`.
        engine: What runs the network of a preset: which of its files is taken.

    Raises:
        CheckpointError: The preset has no weights in the package.

    Example:
        >>> tracker_spec("runs/mine/weights.safetensors").name
        'weights'
    """
    if Path(tracker).suffix in (".safetensors", ".onnx"):
        return TrackerSpec(name or Path(tracker).stem, Path(tracker), refine=refine)
    label = name or tracker.replace(":", ".")
    if tracker not in presets_of("tracker"):
        return TrackerSpec(label, plugin=tracker, refine=refine)
    return TrackerSpec(label, weights_file(tracker, "tracker", device, engine), refine=refine)


@dataclass(frozen=True)
class RunSettings:
    """Settings for running trackers.

    Attributes:
        device: Where our network runs.
        engine: What runs our network. `auto` goes by the file (ONNX Runtime for an exported network) and not by
            what is installed, so that results of several machines compare.
        precision: In which our network computes; `auto` is that of the file.
        batch: Sequences in one forward pass; 0 chooses a number for the device.
        overrides: `tracking.key=value` for our network.
        integer: Write whole pixels, as the authors' files have.
        workers: Processes on this machine.
        threads: Threads of each process; 0 for its share of the cores, or all of them where it is alone.
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
    threads: int = 0
    engine: EngineName = "auto"
    precision: Precision = "auto"

    @property
    def own_threads(self) -> int:
        """Return how many threads one process may use; 0 where it has the machine for itself."""
        return self.threads or (threads_each(self.workers) if self.workers > 1 else 0)


def check_overrides(settings: RunSettings, trackers: Sequence[TrackerSpec]) -> None:
    """Refuse overrides that would change no tracker.

    Raises:
        ConfigError: There are overrides, and no tracker is a network of ours.
    """
    if settings.overrides and all(spec.weights is None for spec in trackers):
        raise ConfigError(
            f"--set changes networks of ours, got --set {settings.overrides[0]} and only "
            f"{', '.join(spec.name for spec in trackers)}; leave it out, or add --weights FILE"
        )


@contextmanager
def open_batch_tracker(
    spec: TrackerSpec, benchmark: str, settings: RunSettings, shard: Shard, *, keeps_outlines: bool = False
) -> Iterator[BatchTracker]:
    """Give what tracks, with the refiner of the spec behind it, and end its processes afterwards."""
    with ExitStack() as stack:
        tracker: BatchTracker
        if spec.weights is not None:
            tracker = _network_tracker(spec.weights, benchmark, settings, shard)
        else:
            factory = load_factory(
                spec.plugin, nanotrack=settings.nanotrack, opencv_python=settings.opencv_python
            )
            if isinstance(factory, OpenCvFactory):
                stack.callback(factory.close)
            tracker = PluginAdapter(factory)
        if spec.refine:
            kind = OutlineBatchTracker if keeps_outlines else RefinedBatchTracker
            tracker = kind(tracker, _refiner(spec, settings, shard))
        yield tracker


def resolve_config(weights: Path, benchmark: str, overrides: Sequence[str]) -> Config:
    """Return the configuration in a checkpoint, with the benchmark's settings and overrides.

    Raises:
        ConfigError: An override of another setting than tracking, or an invalid one.
        CheckpointError: The checkpoint is missing or damaged.
        MissingExtraError: It needs PyTorch, which is not installed; an exported network does not.
    """
    return for_benchmark(_stored(weights)[0], benchmark, overrides=overrides)


def describe_tracker(spec: TrackerSpec, benchmark: str, settings: RunSettings) -> Mapping[str, Any]:
    """Return the settings that affect the boxes of a tracker, as JSON values, with the digest of every file."""
    refined = _describe_refiner(spec.refine, settings.device) if spec.refine else {}
    if spec.weights is None:
        return {**refined, "tracker": spec.plugin, **_describe_plugin(spec.plugin, settings)}
    stored, of_file = _stored(spec.weights)
    config = for_benchmark(stored, benchmark, overrides=settings.overrides)
    engine = engine_of(spec.weights, settings.engine)
    return {
        **refined,
        "weights": digest(spec.weights),
        "config": to_mapping(config),
        "engine": engine,
        "precision": check_precision(spec.weights, settings.precision, of_file, engine=engine),
    }


def _describe_refiner(weights: str, device: str) -> Mapping[str, Any]:
    file = weights_file(weights, "refiner", device)
    if not file.is_file():
        raise CheckpointError(
            f"--refine must be a refiner's weights or the name of one that comes with the package, got {weights}, "
            "which is no file"
        )
    return {"refine": file.name, "refine_weights": digest(file)}


def _describe_plugin(plugin: str, settings: RunSettings) -> Mapping[str, Any]:
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


def _stored(weights: Path) -> tuple[Config, str]:
    """Return the configuration and the precision of a checkpoint or an exported network."""
    if weights.suffix == ".onnx":
        from starktrack.engines.onnx_engine import open_onnx

        engine = open_onnx(weights, kind="tracker")
        return engine.config, engine.runtime.precision
    require_torch("tracking with a checkpoint")
    from starktrack.models.weights import read_config

    return read_config(weights, "tracker"), "float32"


def _network_tracker(weights: Path, benchmark: str, settings: RunSettings, shard: Shard) -> NetworkTracker:
    engine_name = engine_of(weights, settings.engine)
    device = _torch_device(settings, shard) if engine_name == "torch" else settings.device
    engine = load_engine(
        weights=weights,
        device=device,
        engine=engine_name,
        precision=settings.precision,
        threads=settings.own_threads,
    )
    config = for_benchmark(engine.config, benchmark, overrides=settings.overrides)
    batch = settings.batch or (BATCH_ON_GPU if device.startswith("cuda") else BATCH_ON_CPU)
    return NetworkTracker(engine, batch, config.tracking)


def _refiner(spec: TrackerSpec, settings: RunSettings, shard: Shard) -> Refiner:
    file = weights_file(spec.refine, "refiner", settings.device)
    if file.suffix == ".onnx":
        engine = "openvino" if settings.engine == "openvino" else "onnx"
        return load_refiner(file, device=settings.device, engine=engine, threads=settings.own_threads)
    return load_refiner(file, device=_torch_device(settings, shard))


def _torch_device(settings: RunSettings, shard: Shard) -> str:
    """Return the device of this process's network, after dividing the processor's threads among the workers."""
    import torch

    if settings.own_threads:
        torch.set_num_threads(settings.own_threads)
    if not torch.cuda.is_available() or settings.device not in ("auto", "cuda"):
        return settings.device
    local = int(os.environ.get("LOCAL_RANK", "0")) * settings.workers + shard.index % settings.workers
    return f"cuda:{local % torch.cuda.device_count()}"
