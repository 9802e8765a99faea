"""Profiles: Table 6 of the paper for any preset, and for exported networks on any engine."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from starktrack.api import EngineName
from starktrack.config.costs import Latency
from starktrack.config.precision import Precision
from starktrack.errors import ConfigError

if TYPE_CHECKING:
    from starktrack.engines.exported import ExportedEngine
    from starktrack.engines.torch_engine import TorchEngine

FRAME_SIZE_HW = (480, 640)


@dataclass(frozen=True)
class Profile:
    """What a preset costs.

    Attributes:
        model: Its name.
        parameters: Trainable numbers, before RepVGG blocks are folded.
        frame_macs: Multiply-accumulates of one frame, all layers.
        paper_macs: The same without multi-head attention, as the paper counts.
        template_macs: Multiply-accumulates of one template, paid when it is taken.
        latency: Of `decode`, `crop`, `network` and the whole `frame`.
        frames: Frames that were timed.
        warm_up: Frames before that, not counted.
        hardware: `device`, `threads`, the version of `torch`, `engine` and `precision`.

    Example:
        >>> latency = {"frame": Latency(20.0, 19.0, 22.0)}
        >>> Profile("mine", 2_429_384, 800, 600, 100, latency, 50, 10, {"device": "cpu"}).frames_per_second
        50.0
    """

    model: str
    parameters: int
    frame_macs: int
    paper_macs: int
    template_macs: int
    latency: Mapping[str, Latency]
    frames: int
    warm_up: int
    hardware: Mapping[str, Any]

    @property
    def frames_per_second(self) -> float:
        """Return the speed from file to box."""
        return 1000 / self.latency["frame"].median_ms

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return asdict(self)


def profile(
    model: str,
    overrides: Iterable[str] = (),
    *,
    device: str = "auto",
    engine: EngineName = "auto",
    precision: Precision = "auto",
    frames: int = 50,
    warm_up: int = 10,
    threads: int | None = None,
) -> Profile:
    """Measure a preset: parameters, multiply-accumulates, and time per frame.

    Time is end to end from an mp4 of 640 x 480 pixels, with random weights on torch.

    Args:
        model: The preset; with engine `onnx` or `openvino` also an exported network (.onnx).
        overrides: `KEY=VALUE` changes, such as `model.backbone.name=resnet18`.
        device: `auto`, `cpu`, `cuda` or `mps`; exported networks know more, see `load`.
        engine: `auto` is torch with random weights; `onnx` and `openvino` run exported networks.
        precision: Of the numbers, see `load`.
        frames: Frames that are timed, at least 3.
        warm_up: Frames before that, not counted.
        threads: CPU threads; the engine's choice by default.

    Raises:
        ConfigError: Unknown preset or key, or changes to an exported network.
        DeviceError: The device is not there.
        MissingExtraError: PyTorch is not installed.

    Example:
        >>> import starktrack
        >>> found = starktrack.profile("stark_mobile", device="cpu", frames=3, warm_up=0)
        >>> found.parameters, sorted(found.latency)
        (2429384, ['crop', 'decode', 'frame', 'network'])
    """
    from starktrack.api import load_engine, require_torch
    from starktrack.config.presets import preset

    changes = list(overrides)
    is_exported = engine in ("onnx", "openvino")
    if is_exported and changes:
        raise ConfigError(
            f"changes are for networks on torch, got {changes[0]} with --engine {engine}; leave one of them out"
        )
    if not is_exported:
        preset(model, "tracker")  # before PyTorch is imported, which takes seconds
    require_torch("profiling")
    import torch

    from starktrack.data.synthetic.clip import synthetic_clip
    from starktrack.data.video.writer import VideoWriter
    from starktrack.engines.profile import TimedEngine, count, hardware, measure
    from starktrack.tracking.tracker import Tracker

    if is_exported:
        loaded = load_engine(
            weights=model, device=device, engine=engine, precision=precision, threads=threads or 0
        )
        measured = cast("ExportedEngine", loaded)
    else:
        measured = _with_random_weights(model, changes, device, precision, threads)
    timed = TimedEngine(measured)
    with tempfile.TemporaryDirectory() as folder:
        clip, boxes = Path(folder) / "clip.mp4", []
        with VideoWriter(clip, FRAME_SIZE_HW, 30.0) as writer:
            for frame in synthetic_clip(frames + warm_up + 1, size_hw=FRAME_SIZE_HW):
                boxes.append(frame.box_xywh)
                writer.write(frame.image)
        latency = measure(timed, Tracker(timed), clip, boxes[0], warm_up=warm_up)
    runtime = measured.runtime
    place = torch.device(runtime.device if runtime.engine == "torch" else "cpu")
    return Profile(
        measured.config.name,
        **asdict(count(measured.config)),
        latency=latency,
        frames=frames,
        warm_up=warm_up,
        hardware={**hardware(place), "engine": runtime.engine, "precision": runtime.precision},
    )


def _with_random_weights(
    model: str, overrides: list[str], device: str, precision: Precision, threads: int | None
) -> "TorchEngine":
    import torch

    from starktrack.config.loading import override
    from starktrack.config.precision import check_precision
    from starktrack.config.presets import preset
    from starktrack.engines.torch_engine import TorchEngine, resolve_device
    from starktrack.models.build import build_network

    check_precision(Path(model), precision, "float32", engine="torch")
    config = override(preset(model, "tracker"), overrides)
    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    return TorchEngine(build_network(config.model), config, device=resolve_device(device))
