"""The cost of a network: parameters, multiply-accumulates, and the time of a frame from file to box.

Source: Table 6. The paper counts a frame (the search region; templates are kept) without any multi-head
attention; the full count has everything but norms and softmax.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch.utils.flop_counter import FlopCounterMode

from starktrack.arrays import Box, Image
from starktrack.config.costs import Cost, Latency
from starktrack.config.schema import Config
from starktrack.data.frames import open_frames
from starktrack.engines.exported import ExportedEngine
from starktrack.engines.torch_engine import TorchEngine
from starktrack.models.build import build_network
from starktrack.models.features import Features
from starktrack.models.folding import fold
from starktrack.models.stark import Stark
from starktrack.models.transformer import Attention
from starktrack.tracking.protocol import BoxQueries, Prediction, Template


def count(config: Config) -> Cost:
    """Return the cost of a preset, from shapes alone (on the meta device)."""
    model = config.model
    with torch.device("meta"):
        network = build_network(model)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        network = fold(network).eval().requires_grad_(False)
        template = torch.zeros(1, 3, model.template.side, model.template.side)
        search = torch.zeros(1, 3, model.search.side, model.search.side)
    templates = Features.concatenate([network.embed_template(template, None)] * model.num_templates)
    with FlopCounterMode(display=False) as of_template:
        network.embed_template(template, None)
    with FlopCounterMode(display=False) as of_frame:
        network.locate(templates, network.embed_search(search, None))
    frame_macs = of_frame.get_total_flops() // 2
    return Cost(
        parameters,
        frame_macs,
        frame_macs - _attention_macs(network, of_frame),
        of_template.get_total_flops() // 2,
    )


def _attention_macs(network: Stark, counter: FlopCounterMode) -> int:
    names = {name.rpartition(".")[2] for name, part in network.named_modules() if isinstance(part, Attention)}
    by_module = counter.get_flop_counts()
    return sum(
        sum(flops.values()) // 2 for name, flops in by_module.items() if name.rpartition(".")[2] in names
    )


class TimedEngine:
    """An engine for trackers that times its crops and its network."""

    def __init__(self, engine: TorchEngine | ExportedEngine) -> None:
        self.engine, self.config = engine, engine.config
        self.crop_seconds: list[float] = []
        self.network_seconds: list[float] = []

    def embed(self, queries: BoxQueries) -> list[Template]:
        """Return what the network keeps of a template crop around each box; not timed."""
        return self.engine.embed(queries)

    def predict(self, queries: BoxQueries, templates: Sequence[Sequence[Template]]) -> Prediction:
        """Return the target's box in each search region, and record the times."""
        start = self._now()
        # Tensors for one engine, arrays for another.
        crops, masks = cast("tuple[Any, Any]", self.engine.crop(queries, self.config.model.search))
        cropped = self._now()
        prediction = self.engine.locate(crops, masks, templates)
        self.crop_seconds.append(cropped - start)
        self.network_seconds.append(self._now() - cropped)
        return prediction

    def _now(self) -> float:
        if isinstance(self.engine, TorchEngine) and self.engine.device.type == "cuda":
            torch.cuda.synchronize(self.engine.device)
        return time.perf_counter()


@runtime_checkable
class FollowsOneTarget(Protocol):
    """The methods of a tracker that `measure` needs."""

    def start(self, image: Image, *, box_xywh: Any) -> Any:
        """Begin with the target's box, image pixels."""
        ...

    def update(self, image: Image) -> Any:
        """Find the target in the next frame."""
        ...


def measure(
    timed: TimedEngine, tracker: FollowsOneTarget, video: Path, box_xywh: Box, *, warm_up: int
) -> dict[str, Latency]:
    """Return the time of decode, crop, network and the whole of a frame while tracking a video.

    Args:
        timed: The engine on which the tracker runs.
        video: At least `warm_up` + 3 frames.
        warm_up: Frames that are not counted.
    """
    decode: list[float] = []
    whole: list[float] = []
    with open_frames(video) as frames:
        tracker.start(next(frames).image, box_xywh=box_xywh)
        start = time.perf_counter()
        for frame in frames:
            decoded = time.perf_counter()
            tracker.update(frame.image)
            end = time.perf_counter()
            decode.append(decoded - start)
            whole.append(end - start)
            start = end
    stages = {"decode": decode, "crop": timed.crop_seconds, "network": timed.network_seconds, "frame": whole}
    latency = {}
    for name, seconds in stages.items():
        lower, median, upper = (1000 * value for value in statistics.quantiles(seconds[warm_up:], n=4))
        latency[name] = Latency(median, lower, upper)
    return latency


def hardware(device: torch.device) -> dict[str, Any]:
    """Return the device and versions of a measurement."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    import platform

    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
