"""`starktrack models`: a table of presets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starktrack.errors import CheckpointError, InputError

if TYPE_CHECKING:
    from rich.table import Table


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
    if weights is not None and not weights.is_dir():
        raise InputError(f"--weights must be a folder, got {weights}")
    Console().print(_table(weights))


def _card(name: str) -> str:
    from starktrack.config.presets import preset
    from starktrack.shipped import DEFAULT, shipped_card

    text = shipped_card(preset(name).name)
    if text is None:
        raise CheckpointError(f"no weights of {name} come with the package; those of {DEFAULT} do")
    return text


def _table(folder: Path | None) -> "Table":
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


def _weights(name: str, folder: Path | None) -> str:
    from starktrack.shipped import DEFAULT, shipped_weights

    found = []
    if shipped_weights(name, "onnx"):
        found.append("shipped, the default" if name == DEFAULT else "shipped")
    if folder is not None:
        found += [
            file.name
            for file in (folder / f"{name}{end}" for end in (".safetensors", ".onnx"))
            if file.is_file()
        ]
    return ", ".join(found) or "-"
