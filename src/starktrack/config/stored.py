"""The configuration that a weights file carries in its metadata, whatever the file's format."""

import json
from collections.abc import Mapping
from pathlib import Path

from starktrack.config.loading import from_mapping, to_mapping
from starktrack.config.schema import Config
from starktrack.errors import CheckpointError, ConfigError

METADATA_KEY = "starktrack.config"


def to_metadata(config: Config) -> dict[str, str]:
    """Return the metadata to store with weights; `from_metadata` is the inverse."""
    return {METADATA_KEY: json.dumps(to_mapping(config))}


def from_metadata(path: Path, metadata: Mapping[str, str]) -> Config:
    """Return the configuration in the metadata of the file `path`.

    Raises:
        CheckpointError: There is none, it is not JSON of a record, or it has unknown keys or values outside
            their range.
    """
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise CheckpointError(
            f"weights must carry their configuration in the metadata {METADATA_KEY!r}, {path} does not; "
            "only files written by starktrack can be loaded"
        )
    try:
        return from_mapping(Config, json.loads(text))
    except (json.JSONDecodeError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"the configuration in {path} is not JSON of a record: {error}") from error
    except ConfigError as error:
        raise CheckpointError(
            f"the configuration in {path} must be one of this version, got: {error}; update starktrack"
        ) from error
