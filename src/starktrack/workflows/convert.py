"""Conversion: the authors' pickled checkpoints become safetensors."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ConvertedCheckpoint:
    """A checkpoint that was converted.

    Attributes:
        name: Of the model that its parameters are of.
        path: The file that was written.
        num_tensors: How many it holds.

    Example:
        >>> ConvertedCheckpoint("stark_st50", Path("st50.safetensors"), 497).path.suffix
        '.safetensors'
    """

    name: str
    path: Path
    num_tensors: int


def convert(source: str | Path, target: str | Path) -> ConvertedCheckpoint:
    """Convert a checkpoint that the authors' code wrote; nothing in the file is executed.

    The model is recognised from its parameters.

    Args:
        source: The authors' file, `.pth.tar`.
        target: Where to write ours, `.safetensors`.

    Raises:
        InputError: The target cannot be written.
        CheckpointError: The source is missing, damaged or of no model that is known.
        UnsafeCheckpointError: The source asks to execute something.
        MissingExtraError: PyTorch is not installed.

    Example:
        >>> import starktrack
        >>> found = starktrack.convert("STARKLightning_ep0500.pth.tar", "lightning.safetensors")
        >>> found.name, found.path.name
        ('stark_lightning', 'lightning.safetensors')
    """
    from starktrack.api import require_torch
    from starktrack.files import check_output_path

    source, target = Path(source), Path(target)
    check_output_path(target, (".safetensors",), "a converted checkpoint")
    require_torch("converting a checkpoint")
    from starktrack.models.official import convert_keys, fill_counters, recognise
    from starktrack.models.pickled import read_pickled
    from starktrack.models.weights import save_weights

    state = convert_keys(read_pickled(source).state_dict)
    config = recognise(state)
    state = fill_counters(state, config)
    save_weights(target, state, config)
    return ConvertedCheckpoint(config.name, target, len(state))
