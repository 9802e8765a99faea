"""Weights on the Hugging Face hub (optional: `pip install "starktrack[hub]"`)."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from starktrack.errors import CheckpointError, MissingExtraError

FILE_NAMES = {"torch": "model.safetensors", "onnx": "model.onnx"}
"""What the weights are called in a repository, by the engine that runs them."""


def from_pretrained(
    repository: str, engines: Sequence[str] = ("torch",), *, revision: str | None = None
) -> Path:
    """Return the local path of a repository's weights, downloaded once.

    Args:
        repository: `organisation/name`.
        engines: `torch` for the checkpoint, `onnx` for the exported network; the first that is there.
        revision: Branch, tag or commit.

    Raises:
        MissingExtraError: `huggingface_hub` is not installed.
        CheckpointError: The repository or its file cannot be had.
    """
    hub = _hub()
    reasons = []
    for engine in engines:
        try:
            return Path(hub.hf_hub_download(repository, FILE_NAMES[engine], revision=revision))
        except _failures(hub) as error:
            reasons.append(f"{FILE_NAMES[engine]}: {error}")
    raise CheckpointError(f"weights of {repository!r} could not be had from the hub: {'; '.join(reasons)}")


def push(path: str | Path, repository: str, *, private: bool = False) -> str:
    """Upload a checkpoint or an exported network as the repository's weights; return the commit's address.

    Raises:
        MissingExtraError: `huggingface_hub` is not installed.
        CheckpointError: The file is not one of ours, or the upload failed.
    """
    engine = _checked(Path(path))
    hub = _hub()
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        return str(hub.upload_file(path_or_fileobj=path, path_in_repo=FILE_NAMES[engine], repo_id=repository))
    except _failures(hub) as error:
        raise CheckpointError(f"{path} could not be pushed to {repository!r}: {error}") from error


def _checked(path: Path) -> str:
    """Return which engine runs the file, once it is known to be one of ours."""
    if path.suffix == ".onnx":
        from starktrack.engines.onnx_engine import open_onnx

        open_onnx(path, kind="tracker")
        return "onnx"
    from starktrack.models.weights import read_config

    read_config(path, "tracker")
    return "torch"


def _failures(hub: ModuleType) -> tuple[type[Exception], ...]:
    """Return what the hub raises; the errors of its network client are of the client's own package."""
    clients = [sys.modules[name] for name in ("httpx", "httpx2", "requests") if name in sys.modules]
    return (
        hub.errors.HfHubHTTPError,
        hub.errors.HFValidationError,
        OSError,
        *(client.HTTPError for client in clients),
    )


def _hub() -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "hub", "the Hugging Face hub") from error
    return huggingface_hub
