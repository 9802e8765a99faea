"""`starktrack models`: tables of presets, trackers and refiners."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starktrack.errors import CheckpointError, ConfigError, InputError, nearest_name

if TYPE_CHECKING:
    from rich.table import Table

    from starktrack.config.costs import PresetCost


def models(
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Also look for NAME.safetensors and NAME.onnx of each preset here."
        ),
    ] = None,
    card: Annotated[
        str | None,
        typer.Option(
            "--card", metavar="NAME", help="Show the model card of a preset's pretrained weights instead."
        ),
    ] = None,
) -> None:
    """List the presets, trackers and refiners: size, cost, inputs, and whether weights are at hand."""
    from rich.console import Console

    if card is not None:
        from rich.markdown import Markdown

        Console().print(Markdown(_card(card)))
        return
    if weights is not None and not weights.is_dir():
        raise InputError(f"--weights must be a folder, got {weights}")
    Console().print(_trackers(weights), _refiners(weights), sep="\n")


def _card(name: str) -> str:
    from starktrack.config.presets import DEFAULT_REFINER, PRESETS
    from starktrack.pretrained import DEFAULT, model_card

    if name not in PRESETS:
        raise ConfigError(f"--card must name one of the presets, got {name!r}{nearest_name(name, PRESETS)}")
    text = model_card(name)
    if text is None:
        raise CheckpointError(
            f"no weights of {name} come with the package; those of {DEFAULT} and {DEFAULT_REFINER} do"
        )
    return text


def _trackers(folder: Path | None) -> "Table":
    from rich.table import Table

    from starktrack.config.costs import COSTS
    from starktrack.config.presets import presets_of

    table = Table(
        title="MACs are those of a frame, in full; sides in pixels; shipped: the default", padding=0
    )
    for heading in ("model", "backbone", "params", "MACs", "search", "templates", "score", "weights"):
        table.add_column(heading, no_wrap=True)
    for name, config in presets_of("tracker").items():
        model = config.model
        table.add_row(
            name,
            model.backbone.name,
            *_cost(COSTS[name]),
            str(model.search.side),
            f"{model.num_templates} x {model.template.side}",
            "yes" if model.score_head else "no",
            _weights(name, folder),
        )
    return table


def _refiners(folder: Path | None) -> "Table":
    from rich.table import Table

    from starktrack.config.costs import COSTS
    from starktrack.config.presets import presets_of

    table = Table(
        title="Refiners: outlines and refined boxes behind any tracker (--refine, --masks)", padding=0
    )
    for heading in ("refiner", "backbone", "params", "MACs", "crop", "needs", "weights"):
        table.add_column(heading, no_wrap=True)
    for name, config in presets_of("refiner").items():
        model, weights = config.model, _weights(name, folder)
        table.add_row(
            name,
            model.backbone.name,
            *_cost(COSTS[name]),
            str(model.crop.side),
            "PyTorch, training" if weights == "-" else "nothing",
            weights,
        )
    return table


def _cost(cost: "PresetCost") -> tuple[str, str]:
    return f"{cost.parameters / 1e6:.2f} M", f"{cost.frame_macs / 1e9:.2f} G"


def _weights(name: str, folder: Path | None) -> str:
    from starktrack.pretrained import pretrained_weights

    found = ["shipped"] if pretrained_weights(name, "onnx") else []
    if folder is not None:
        found += [
            file.name
            for file in (folder / f"{name}{end}" for end in (".safetensors", ".onnx"))
            if file.is_file()
        ]
    return ", ".join(found) or "-"
