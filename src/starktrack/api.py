"""The few lines that join configuration, network and tracker."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from starktrack.config.presets import preset
from starktrack.errors import CheckpointError, MissingExtraError
from starktrack.tracking.protocol import Engine
from starktrack.tracking.tracker import Tracker, TrackOutput


def load(model: str | None = None, *, weights: str | Path | None = None, device: str = "auto") -> Tracker:
    """Return a tracker ready to start.

    Args:
        model: A preset's name; without it, whatever the weights are of.
        weights: A checkpoint written by `starktrack convert` or `starktrack train`.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        ConfigError: Unknown model.
        CheckpointError: No weights, damaged ones, or those of another model.
        DeviceError: This machine has no such device.
        MissingExtraError: PyTorch is not installed.
    """
    return Tracker(load_engine(model, weights=weights, device=device))


def from_pretrained(repository: str, *, revision: str | None = None, device: str = "auto") -> Tracker:
    """Return a tracker with the weights of a Hugging Face repository, `organisation/name`.

    Raises:
        MissingExtraError: `huggingface_hub` or PyTorch is not installed.
        CheckpointError: The repository cannot be had, or its file is not a checkpoint of ours.
    """
    from starktrack.models.hub import from_pretrained as download

    return load(weights=download(repository, revision=revision), device=device)


def push(weights: str | Path, repository: str, *, private: bool = False) -> str:
    """Upload a checkpoint to a Hugging Face repository, `organisation/name`; return the commit's address.

    Raises:
        MissingExtraError: `huggingface_hub` or PyTorch is not installed.
        CheckpointError: The file is not a checkpoint of ours, or the upload failed.
    """
    require_torch("checking the weights")
    from starktrack.models.hub import push as upload

    return upload(weights, repository, private=private)


def load_engine(
    model: str | None = None, *, weights: str | Path | None = None, device: str = "auto"
) -> Engine:
    """Return the network behind a tracker, to be shared by several; arguments and errors as `load`."""
    if model is not None:
        preset(model)
    if weights is None:
        raise CheckpointError(
            f"{model or 'a tracker'} needs weights, got none; train some (starktrack train), or convert the "
            "authors' (starktrack convert), and give their file as weights"
        )
    require_torch("tracking with the torch engine")
    from starktrack.engines.torch_engine import TorchEngine, resolve_device
    from starktrack.models.weights import load_network

    where = resolve_device(device)
    config, network = load_network(Path(weights))
    if model is not None and config.name != model:
        raise CheckpointError(
            f"weights must be of {model}, {weights} is of {config.name}; leave the model out, or give {config.name}"
        )
    return TorchEngine(network, config, device=where)


def require_torch(purpose: str) -> None:
    """Check that PyTorch and its companions are installed, without importing them.

    Raises:
        MissingExtraError: One of them is not; names the extra to install.
    """
    for package in ("torch", "torchvision", "timm"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "torch", purpose)


def track(
    video: str | Path | int,
    box_xywh: Any,
    *,
    model: str | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    start_frame: int = 0,
) -> Iterator[TrackOutput]:
    """Yield where the target is in every frame, the given box first.

    Args:
        video: A file, a folder or glob of images, a camera index, or a stream address.
        box_xywh: The target in frame `start_frame`, pixels.
        start_frame: Frame in which the box was drawn, from 0.

    Raises:
        BoxError: The box cannot be tracked in that frame.
        VideoError: The video cannot be read.
        VideoBrokenError: The video broke off; all good frames were yielded.
        ConfigError, CheckpointError, DeviceError, MissingExtraError: As `load`.
    """
    from starktrack.data.frames import open_frames
    from starktrack.tracking.runner import track_frames

    tracker = load(model, weights=weights, device=device)
    with open_frames(video, start_frame=start_frame) as frames:
        for _, outputs in track_frames(tracker, frames, [box_xywh]):
            yield outputs[0]
