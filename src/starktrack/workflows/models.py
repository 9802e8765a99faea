"""Models: presets of trackers and refiners, what they cost, and whether weights are at hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starktrack.config.costs import COSTS, PresetCost
from starktrack.config.presets import DEFAULT_REFINER, PRESETS
from starktrack.config.schema import Config
from starktrack.errors import CheckpointError, ConfigError, InputError, nearest_name
from starktrack.kinds import kind_of
from starktrack.pretrained import DEFAULT, model_card, pretrained_weights


@dataclass(frozen=True)
class ModelEntry:
    """One preset.

    Attributes:
        config: Its configuration.
        cost: Its size and work.
        is_pretrained: Whether weights come with the package.
        files: Weights of it in the folder that was searched.
        table_title: What its kind of network is, as the title of a table.
        columns: What its kind has beside size and work: text by the heading of a column.
    """

    config: Config
    cost: PresetCost
    is_pretrained: bool
    files: tuple[Path, ...]
    table_title: str
    columns: Mapping[str, str]


def list_models(folder: str | Path | None = None) -> list[ModelEntry]:
    """Return every preset.

    Args:
        folder: Also look for NAME.safetensors and NAME.onnx of each here.

    Raises:
        InputError: It is no folder.

    Example:
        >>> from starktrack.workflows.models import list_models
        >>> [entry.config.name for entry in list_models() if entry.is_pretrained]
        ['stark_mobile', 'refine_mobile']
    """
    folder = None if folder is None else Path(folder)
    if folder is not None and not folder.is_dir():
        raise InputError(f"--weights must be a folder, got {folder}")
    entries = []
    for name, build in PRESETS.items():
        config = build()
        places = () if folder is None else (folder / f"{name}{end}" for end in (".safetensors", ".onnx"))
        files = tuple(path for path in places if path.is_file())
        is_pretrained = pretrained_weights(name, "onnx") is not None
        kind = kind_of(config)
        columns = kind.table_columns(config.model, has_weights=is_pretrained or bool(files))
        entries.append(ModelEntry(config, COSTS[name], is_pretrained, files, kind.table_title, columns))
    return entries


def read_card(name: str) -> str:
    """Return the model card of a preset's pretrained weights, Markdown.

    Raises:
        ConfigError: No such preset.
        CheckpointError: Its weights do not come with the package.

    Example:
        >>> from starktrack.workflows.models import read_card
        >>> "stark_mobile" in read_card("stark_mobile")
        True
    """
    if name not in PRESETS:
        raise ConfigError(f"--card must name one of the presets, got {name!r}{nearest_name(name, PRESETS)}")
    text = model_card(name)
    if text is None:
        raise CheckpointError(
            f"no weights of {name} come with the package; those of {DEFAULT} and {DEFAULT_REFINER} do"
        )
    return text
