"""`starktrack convert`: converts the authors' pickled checkpoints to safetensors."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="FILE.pth.tar", help="Checkpoint written by the authors' code.")
    ],
    target: Annotated[Path, typer.Argument(metavar="FILE.safetensors", help="Where to write ours.")],
) -> None:
    """Convert an authors' checkpoint; nothing in the file is executed.

    The model is recognised from its parameters.
    """
    from starktrack.workflows import convert as workflow

    found = workflow.convert(source, target)
    sys.stdout.write(f"{source} is {found.name}: wrote {target}, {found.num_tensors} tensors\n")
