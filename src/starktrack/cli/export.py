"""`starktrack export`: a checkpoint becomes a file that runs without PyTorch."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starktrack.errors import ConfigError, InputError, nearest_name

if TYPE_CHECKING:
    from starktrack.engines.parity import Parity, RefinerParity


class Format(StrEnum):
    """What can be written."""

    onnx = "onnx"


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Checkpoint of a tracker or a refiner (.safetensors), or a preset: its weights of the package, "
            "else random ones, which only serve to measure speed.",
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="Where to write the network.")],
    file_format: Annotated[Format, typer.Option("--format", help="Kind of file.")] = Format.onnx,
) -> None:
    """Write a network as ONNX, which runs without PyTorch: a tracker's or a refiner's.

    The file is written only if it finds the boxes and outlines that PyTorch finds. Any batch size runs.
    """
    from starktrack.api import require_torch
    from starktrack.files import check_output_path

    check_output_path(target, (f".{file_format}",), "an exported network")
    require_torch("exporting a network")
    found = _export_refiner(source, target) if _is_refiner(source) else _export_tracker(source, target)
    sys.stdout.write(f"{source} is {found}\n")


def _is_refiner(source: str) -> bool:
    from starktrack.config.presets import PRESETS
    from starktrack.config.refine import REFINERS
    from starktrack.models.weights import is_refiner

    if Path(source).suffix == ".onnx":
        raise InputError(
            f"what is exported must be a checkpoint or a preset, {source} is exported already; "
            "give the .safetensors that it was made of"
        )
    if Path(source).suffix:
        return is_refiner(Path(source))
    known = [*PRESETS, *REFINERS]
    if source not in known:
        raise ConfigError(
            f"a model must be a checkpoint (.safetensors) or one of the presets, got {source!r}"
            f"{nearest_name(source, known)}"
        )
    return source in REFINERS


def _export_tracker(source: str, target: Path) -> str:
    """Write the file; return what was done, in words."""
    from starktrack.config.presets import preset
    from starktrack.engines.export import export_onnx
    from starktrack.models.build import build_network
    from starktrack.models.weights import load_network

    file, kind = _weights(source)
    config, network = load_network(file) if file else (preset(source), build_network(preset(source).model))
    parity = export_onnx(network, config, target)
    differences = f"scores within {parity.score_difference:.1e}"
    return _told(config.name, kind, target, parity, differences)


def _export_refiner(source: str, target: Path) -> str:
    """Write the file; return what was done, in words."""
    from starktrack.config.refine import refiner_preset
    from starktrack.engines.export_refiner import export_refiner
    from starktrack.models.refine import build_refiner
    from starktrack.models.weights import load_refiner

    file, kind = _weights(source)
    if file:
        config, network = load_refiner(file)
    else:
        config = refiner_preset(source)
        network = build_refiner(config.model)
    parity = export_refiner(network, config, target)
    differences = f"probabilities of the outline within {parity.mask_difference:.1e}"
    return _told(config.name, kind, target, parity, differences)


def _weights(source: str) -> tuple[Path | None, str]:
    """Return the weights, None for random ones, and what is to be said of them."""
    from starktrack.pretrained import pretrained_weights

    if Path(source).suffix:
        return Path(source), ""
    found = pretrained_weights(source, "torch")
    if found is not None:
        return found, " with the weights of the package"
    return None, " with RANDOM weights, which find nothing"


def _told(name: str, kind: str, target: Path, parity: "Parity | RefinerParity", differences: str) -> str:
    return (
        f"{name}{kind}: wrote {target}, {target.stat().st_size / 1e6:.1f} MB; on {parity.num_crops} crops "
        f"corners are within {parity.corner_difference:.1e} crops of PyTorch's, {differences}"
    )
