"""`starktrack models`: a table of presets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table


def models(
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder to look for weights in: NAME.safetensors of each preset."
        ),
    ] = None,
    card: Annotated[
        str | None,
        typer.Option(
            "--card", metavar="NAME", help="Show what is known of a preset's shipped weights instead."
        ),
    ] = None,
) -> None:
    """List the presets: size, cost, inputs, and whether weights are at hand."""
    from rich.console import Console

    if card is not None:
        from rich.markdown import Markdown

        Console().print(Markdown(_card(card)))
        return
    Console().print(_table(weights or Path.cwd()))


def _card(name: str) -> str:
    from starktrack.config.presets import preset
    from starktrack.errors import CheckpointError
    from starktrack.shipped import DEFAULT, shipped_card

    text = shipped_card(preset(name).name)
    if text is None:
        raise CheckpointError(f"no weights of {name} come with the package; those of {DEFAULT} do")
    return text


def _table(folder: Path) -> "Table":
    from rich.table import Table

    from starktrack.config.costs import COSTS
    from starktrack.config.presets import PRESETS

    table = Table(title="MACs are those of a frame, in full; sides are in pixels", padding=0)
    for heading in ("model", "backbone", "params", "MACs", "search", "templates", "score", "weights"):
        table.add_column(heading, no_wrap=True)
    for name, build in PRESETS.items():
        model, cost = build().model, COSTS[name]
        table.add_row(
            name,
            model.backbone.name,
            f"{cost.parameters / 1e6:.2f} M",
            f"{cost.frame_macs / 1e9:.2f} G",
            str(model.search.side),
            f"{model.num_templates} x {model.template.side}",
            "yes" if model.score_head else "no",
            _weights(name, folder),
        )
    return table


def _weights(name: str, folder: Path) -> str:
    from starktrack.shipped import shipped_weights

    if (folder / f"{name}.safetensors").is_file():
        return "here"
    return "shipped" if shipped_weights(name, "onnx") else "-"
