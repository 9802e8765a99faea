"""The configuration in the metadata of a weights file of any format."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starktrack.config.loading import from_mapping, to_mapping
from starktrack.config.schema import MODELS, Config
from starktrack.errors import CheckpointError, ConfigError

METADATA_KEY = "starktrack.config"
"""Key of the configuration."""

REFINER_KEY = "starktrack.refiner"
"""Key of a refiner's configuration before the kind was a part of it."""


def to_metadata(config: Config) -> dict[str, str]:
    """Return the metadata to store with weights; `from_metadata` is the inverse."""
    return {METADATA_KEY: json.dumps(to_mapping(config))}


def from_metadata(path: Path, metadata: Mapping[str, str], kind: str | None = None) -> Config:
    """Return the configuration in the metadata of the file `path`.

    Args:
        kind: The required kind of network; None for any.

    Raises:
        CheckpointError: There is none, it is not JSON of a record, it has unknown keys or values outside their
            range, or the network is of another kind.
    """
    key = REFINER_KEY if REFINER_KEY in metadata else METADATA_KEY
    text = metadata.get(key)
    if text is None:
        raise CheckpointError(
            f"weights must carry their configuration in the metadata {key!r}, {path} does not; "
            "only files written by starktrack can be loaded"
        )
    try:
        values = json.loads(text)
        config = from_mapping(Config, upgraded_refiner(values) if key == REFINER_KEY else values)
    except (json.JSONDecodeError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"the configuration in {path} is not JSON of a record: {error}") from error
    except ConfigError as error:
        raise CheckpointError(
            f"the configuration in {path} must be one of this version, got: {error}; update starktrack"
        ) from error
    model = config.model
    if kind is not None and model.kind != kind:
        raise CheckpointError(
            f"{MODELS[kind].argument} must be a {kind}'s weights, {path} is a {model.kind}'s; "
            f"give it as {model.argument} instead"
        )
    return config


def upgraded_refiner(values: Any) -> Any:
    """Return a refiner's configuration of the older format in the current format."""
    model = values.get("model", {}) if isinstance(values, Mapping) else None
    if not isinstance(model, Mapping):
        return values  # no configuration at all, which reading it will say
    own = {name: values[name] for name in ("mask_threshold", "box") if name in values}
    others = {name: value for name, value in values.items() if name not in own}
    return {**others, "model": {"kind": "refiner", **model, **own}}
