"""`starktrack models`: a table of presets."""

from pathlib import Path
from typing import Annotated

import typer


def models(
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder to look for weights in: NAME.safetensors of each preset."
        ),
    ] = None,
) -> None:
    """List the presets: size, cost, inputs, and whether weights are at hand."""
    from rich.console import Console
    from rich.table import Table

    from starktrack.api import require_torch
    from starktrack.config.presets import PRESETS

    require_torch("counting parameters and MACs")
    from starktrack.engines.profile import count

    table = Table(
        "model", "backbone", "parameters", "MACs per frame", "search", "template", "score", "weights"
    )
    for name, build in PRESETS.items():
        model = build().model
        cost = count(build())
        templates = f"{model.num_templates} x {model.template.side} px"
        score = "yes" if model.score_head else "no"
        file = (weights or Path.cwd()) / f"{name}.safetensors"
        table.add_row(
            name,
            model.backbone.name,
            f"{cost.parameters / 1e6:.2f} M",
            f"{cost.frame_macs / 1e9:.2f} G",
            f"{model.search.side} px",
            templates,
            score,
            str(file) if file.is_file() else "none here",
        )
    Console().print(table)
