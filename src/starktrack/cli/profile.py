"""`starktrack profile`: Table 6 of the paper for any preset."""

import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from starktrack.cli.options import Device, DeviceOption, EngineName, PrecisionName, PrecisionOption
from starktrack.errors import ConfigError

if TYPE_CHECKING:
    from starktrack.config.schema import Config
    from starktrack.engines.exported import ExportedEngine
    from starktrack.engines.profile import Latency
    from starktrack.engines.torch_engine import TorchEngine

FRAME_SIZE_HW = (480, 640)


def profile(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Preset (see `starktrack models`); with --engine onnx or openvino also an exported network (.onnx).",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Changes, such as model.backbone.name=resnet18."),
    ] = None,
    device: DeviceOption = Device.auto,
    engine: Annotated[
        EngineName, typer.Option(help="auto is torch with random weights; the others run exported networks.")
    ] = EngineName.auto,
    precision: PrecisionOption = PrecisionName.auto,
    frames: Annotated[int, typer.Option(min=3, help="Frames that are timed.")] = 50,
    warm_up: Annotated[int, typer.Option(min=0, help="Frames before that, not counted.")] = 10,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; default: the engine's choice.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure a preset: parameters, MACs (as the paper counts, and in full), and time per frame.

    Time is end to end from an mp4 of 640 x 480 pixels, split into decode, crop and network, with random
    weights on torch; median and quartiles over the timed frames.
    """
    from starktrack.api import require_torch
    from starktrack.config.presets import preset

    is_exported = engine in (EngineName.onnx, EngineName.openvino)
    if is_exported and overrides:
        raise ConfigError(
            f"changes are for networks on torch, got {overrides[0]} with --engine {engine.value}; leave one of them out"
        )
    if not is_exported:
        preset(model, "tracker")  # before PyTorch is imported, which takes seconds
    require_torch("profiling")
    import torch

    from starktrack.engines.profile import TimedEngine, count, hardware, measure
    from starktrack.tracking.tracker import Tracker

    if is_exported:
        from starktrack.api import load_engine

        loaded = load_engine(
            weights=model, device=device, engine=engine.value, precision=precision.value, threads=threads or 0
        )
        measured = cast("ExportedEngine", loaded)
    else:
        measured = _with_random_weights(model, overrides or [], device, precision, threads)
    config = measured.config
    with tempfile.TemporaryDirectory() as folder:
        clip, box = _clip(Path(folder), frames + warm_up + 1)
        timed = TimedEngine(measured)
        latency = measure(timed, Tracker(timed), clip, box, warm_up=warm_up)
    runtime = measured.runtime
    place = torch.device(runtime.device if runtime.engine == "torch" else "cpu")
    found = {
        "model": config.name,
        **dataclasses.asdict(count(config)),
        "latency": {stage: dataclasses.asdict(value) for stage, value in latency.items()},
        "frames": frames,
        "warm_up": warm_up,
        "hardware": {**hardware(place), "engine": runtime.engine, "precision": runtime.precision},
    }
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        _show(config, found, latency)


def _with_random_weights(
    model: str, overrides: Sequence[str], device: Device, precision: PrecisionName, threads: int | None
) -> "TorchEngine":
    import torch

    from starktrack.config.loading import override
    from starktrack.config.precision import check_precision
    from starktrack.config.presets import preset
    from starktrack.engines.torch_engine import TorchEngine, resolve_device
    from starktrack.models.build import build_network

    check_precision(Path(model), precision.value, "float32", engine="torch")
    config = override(preset(model, "tracker"), overrides)
    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    return TorchEngine(build_network(config.model), config, device=resolve_device(device))


def _clip(folder: Path, num_frames: int) -> tuple[Path, Any]:
    from starktrack.data.synthetic.clip import synthetic_clip
    from starktrack.data.video.writer import VideoWriter

    path = folder / "clip.mp4"
    first = None
    with VideoWriter(path, FRAME_SIZE_HW, 30.0) as writer:
        for frame in synthetic_clip(num_frames, size_hw=FRAME_SIZE_HW):
            first = frame.box_xywh if first is None else first
            writer.write(frame.image)
    return path, first


def _show(config: "Config", found: dict[str, Any], latency: dict[str, "Latency"]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "value", "unit", title=config.name)
    for column in table.columns:
        column.overflow = "fold"
    table.add_row("parameters", f"{found['parameters'] / 1e6:.3f}", "M")
    table.add_row("MACs per frame, as the paper counts", f"{found['paper_macs'] / 1e9:.3f}", "G")
    table.add_row("MACs per frame, in full", f"{found['frame_macs'] / 1e9:.3f}", "G")
    table.add_row("MACs per template", f"{found['template_macs'] / 1e9:.3f}", "G")
    for stage, value in latency.items():
        spread = f"{value.median_ms:.2f} ({value.lower_quartile_ms:.2f} to {value.upper_quartile_ms:.2f})"
        table.add_row(f"{stage}, median (quartiles)", spread, "ms")
    table.add_row("speed, end to end", f"{1000 / latency['frame'].median_ms:.1f}", "frames/s")
    Console().print(table)
    machine = found["hardware"]
    Console().print(
        f"{machine['device']}, {machine['threads']} threads, torch {machine['torch']}; engine {machine['engine']}, "
        f"{machine['precision']}; "
        f"{found['frames']} frames after {found['warm_up']} of warm-up"
    )
