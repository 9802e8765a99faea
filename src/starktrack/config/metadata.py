"""The configuration that a weights file carries in its metadata, whatever the file's format."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from starktrack.config.loading import from_mapping, to_mapping
from starktrack.config.refine import RefineConfig
from starktrack.config.schema import Config
from starktrack.errors import CheckpointError, ConfigError

T = TypeVar("T")

METADATA_KEY = "starktrack.config"
REFINER_KEY = "starktrack.refiner"
"""Where the configuration of a tracker's and of a refiner's weights is."""


def to_metadata(config: Config | RefineConfig) -> dict[str, str]:
    """Return the metadata to store with weights; `from_metadata` and `refiner_from_metadata` are the inverse."""
    key = REFINER_KEY if isinstance(config, RefineConfig) else METADATA_KEY
    return {key: json.dumps(to_mapping(config))}


def from_metadata(path: Path, metadata: Mapping[str, str]) -> Config:
    """Return the tracker's configuration in the metadata of the file `path`.

    Raises:
        CheckpointError: There is none, it is not JSON of a record, or it has unknown keys or values outside
            their range.
    """
    if REFINER_KEY in metadata:
        raise CheckpointError(
            f"weights must be a tracker's, {path} is a refiner's; give it as refine instead"
        )
    return _parsed(path, metadata, METADATA_KEY, Config)


def refiner_from_metadata(path: Path, metadata: Mapping[str, str]) -> RefineConfig:
    """Return the refiner's configuration in the metadata of the file `path`; errors as `from_metadata`.

    Raises:
        CheckpointError: The file is a tracker's, too.
    """
    if METADATA_KEY in metadata:
        raise CheckpointError(f"a refiner's weights must be given, {path} is a tracker's; give it as weights")
    return _parsed(path, metadata, REFINER_KEY, RefineConfig)


def _parsed(path: Path, metadata: Mapping[str, str], key: str, schema: type[T]) -> T:
    """Return the record of type `schema` under a key.

    Raises:
        CheckpointError: There is none, it is not JSON of a record, or it has unknown keys or values outside
            their range.
    """
    text = metadata.get(key)
    if text is None:
        raise CheckpointError(
            f"weights must carry their configuration in the metadata {key!r}, {path} does not; "
            "only files written by starktrack can be loaded"
        )
    try:
        return from_mapping(schema, json.loads(text))
    except (json.JSONDecodeError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"the configuration in {path} is not JSON of a record: {error}") from error
    except ConfigError as error:
        raise CheckpointError(
            f"the configuration in {path} must be one of this version, got: {error}; update starktrack"
        ) from error
