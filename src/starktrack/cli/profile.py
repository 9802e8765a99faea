"""`starktrack profile`: Table 6 of the paper for any preset."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from starktrack.cli.options import Device, DeviceOption, EngineName, PrecisionName, PrecisionOption

if TYPE_CHECKING:
    from starktrack.workflows.profile import Profile


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
    from starktrack.workflows import profile as workflow

    found = workflow.profile(
        model,
        overrides or (),
        device=device.value,
        engine=engine.value,
        precision=precision.value,
        frames=frames,
        warm_up=warm_up,
        threads=threads,
    )
    if as_json:
        sys.stdout.write(json.dumps(found.to_dict(), indent=2) + "\n")
    else:
        _show(found)


def _show(found: "Profile") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "value", "unit", title=found.model)
    for column in table.columns:
        column.overflow = "fold"
    table.add_row("parameters", f"{found.parameters / 1e6:.3f}", "M")
    table.add_row("MACs per frame, as the paper counts", f"{found.paper_macs / 1e9:.3f}", "G")
    table.add_row("MACs per frame, in full", f"{found.frame_macs / 1e9:.3f}", "G")
    table.add_row("MACs per template", f"{found.template_macs / 1e9:.3f}", "G")
    for stage, value in found.latency.items():
        spread = f"{value.median_ms:.2f} ({value.lower_quartile_ms:.2f} to {value.upper_quartile_ms:.2f})"
        table.add_row(f"{stage}, median (quartiles)", spread, "ms")
    table.add_row("speed, end to end", f"{found.frames_per_second:.1f}", "frames/s")
    Console().print(table)
    machine = found.hardware
    Console().print(
        f"{machine['device']}, {machine['threads']} threads, torch {machine['torch']}; engine {machine['engine']}, "
        f"{machine['precision']}; "
        f"{found.frames} frames after {found.warm_up} of warm-up"
    )
