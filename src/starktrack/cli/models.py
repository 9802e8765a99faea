"""`starktrack models`: tables of presets, trackers and refiners."""

from pathlib import Path
from typing import Annotated

import typer


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
    from rich.markdown import Markdown
    from rich.table import Table

    from starktrack.workflows.models import list_models, read_card

    if card is not None:
        Console().print(Markdown(read_card(card)))
        return
    tables: dict[str, Table] = {}
    for entry in list_models(weights):
        found = ", ".join([*["package"] * entry.is_pretrained, *(path.name for path in entry.files)]) or "-"
        columns = {
            entry.config.model.noun: entry.config.name,
            "backbone": entry.config.model.backbone.name,
            "params": f"{entry.cost.parameters / 1e6:.2f} M",
            "MACs": f"{entry.cost.frame_macs / 1e9:.2f} G",
            **entry.columns,
            "weights": found,
        }
        if entry.table_title not in tables:
            tables[entry.table_title] = Table(title=entry.table_title, padding=0)
            for heading in columns:
                tables[entry.table_title].add_column(heading, overflow="fold")
        tables[entry.table_title].add_row(*columns.values())
    Console().print(*tables.values(), sep="\n")
