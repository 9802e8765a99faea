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
    from starktrack.api import require_torch
    from starktrack.files import check_output_path

    check_output_path(target, (".safetensors",), "a converted checkpoint")
    require_torch("converting a checkpoint")
    from starktrack.models.official import convert_keys, fill_counters, recognise
    from starktrack.models.pickled import read_pickled
    from starktrack.models.weights import save_weights

    checkpoint = read_pickled(source)
    state = convert_keys(checkpoint.state_dict)
    config = recognise(state)
    state = fill_counters(state, config)
    save_weights(target, state, config)
    sys.stdout.write(f"{source} is {config.name}: wrote {target}, {len(state)} tensors\n")
