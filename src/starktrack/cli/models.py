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

    table = Table(title="MACs are those of a frame, in full; sides are in pixels", padding=0)
    for heading in ("model", "backbone", "params", "MACs", "search", "templates", "score", "weights"):
        table.add_column(heading, no_wrap=True)
    for name, build in PRESETS.items():
        model = build().model
        cost = count(build())
        templates = f"{model.num_templates} x {model.template.side}"
        score = "yes" if model.score_head else "no"
        file = (weights or Path.cwd()) / f"{name}.safetensors"
        table.add_row(
            name,
            model.backbone.name,
            f"{cost.parameters / 1e6:.2f} M",
            f"{cost.frame_macs / 1e9:.2f} G",
            str(model.search.side),
            templates,
            score,
            "here" if file.is_file() else "-",
        )
    Console().print(table)
