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
    trackers = Table(
        title="MACs are those of a frame, in full; sides in pixels; shipped: the default", padding=0
    )
    refiners = Table(
        title="Refiners: outlines and refined boxes behind any tracker (--refine, --masks)", padding=0
    )
    for heading in ("model", "backbone", "params", "MACs", "search", "templates", "score", "weights"):
        trackers.add_column(heading, no_wrap=True)
    for heading in ("refiner", "backbone", "params", "MACs", "crop", "needs", "weights"):
        refiners.add_column(heading, no_wrap=True)
    for entry in list_models(weights):
        model = entry.config.model
        found = ", ".join([*["shipped"] * entry.is_pretrained, *(path.name for path in entry.files)]) or "-"
        cost = f"{entry.cost.parameters / 1e6:.2f} M", f"{entry.cost.frame_macs / 1e9:.2f} G"
        about = entry.config.name, model.backbone.name, *cost
        if model.kind == "refiner":
            needs = "PyTorch, training" if found == "-" else "nothing"
            refiners.add_row(*about, str(model.crop.side), needs, found)
        else:
            templates = f"{model.num_templates} x {model.template.side}"
            score = "yes" if model.score_head else "no"
            trackers.add_row(*about, str(model.search.side), templates, score, found)
    Console().print(trackers, refiners, sep="\n")
