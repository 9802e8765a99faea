"""The few lines that join configuration, network and tracker."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from starktrack.config.loading import from_mapping, to_mapping
from starktrack.config.precision import Precision, check_known_precision, check_precision
from starktrack.config.presets import preset, presets_of
from starktrack.config.schema import TrackingConfig
from starktrack.data.track_output import TrackedFrame
from starktrack.data.video.live import LiveSettings, OnEvent, OnHealth
from starktrack.errors import CheckpointError, ConfigError, DeviceError, nearest_name, require_extra
from starktrack.pretrained import DEFAULT, pretrained_weights
from starktrack.tracking.images import Color
from starktrack.tracking.protocol import Engine, Refiner
from starktrack.tracking.tracker import TargetBoxes, Tracker

EngineName = Literal["auto", "torch", "onnx", "openvino"]


def load(
    model: str | None = None,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    engine: EngineName = "auto",
    precision: Precision = "auto",
    refine: str | Path | None = None,
    settings: TrackingConfig | Mapping[str, Any] | None = None,
    color: Color = "rgb",
) -> Tracker:
    """Return a tracker ready to start.

    Args:
        model: A preset's name; without it, whatever the weights are of, `stark_mobile` without weights.
        weights: A checkpoint written by `starktrack convert` or `starktrack train`, or a network written by
            `starktrack export`, or `stark_mobile` for those that come with the package, as without any.
        device: `auto`, `cpu`, `cuda` or `mps` for checkpoints; `auto` (the CPU), `cpu`, `cuda`, `tensorrt`,
            `coreml` or `directml` for exported networks.
        engine: `torch` for checkpoints; `onnx` (ONNX Runtime) and `openvino` for exported networks, which need no
            PyTorch. `auto` goes by the file: an exported network runs on OpenVINO where that is installed, on the
            CPU. Weights of the package are the exported ones unless a GPU or `torch` is asked for.
        precision: `auto` is that of the file, which is float32 unless it was exported otherwise. `bfloat16`
            computes in half the bits, where engine `openvino` and the processor can.
        refine: Weights of a refiner, a checkpoint or an exported one, or the name of one that comes with the
            package (`refine_mobile`): boxes are refined, and `TrackOutput.mask` is the target's outline.
        settings: How to track: a `TrackingConfig`, or only what differs from the settings stored with the
            weights, by name (`{"update_interval": 10}`).
        color: Order of the channels of arrays that the tracker gets: `rgb`, or `bgr` as OpenCV reads pictures.

    Raises:
        ConfigError: Unknown model, engine or precision, or a setting that does not exist or is out of its range.
        CheckpointError: No weights, damaged ones, or those of another model, for another engine or in another
            precision.
        DeviceError: This machine has no such device, or its processor has no bfloat16.
        MissingExtraError: PyTorch or OpenVINO is needed and not installed.

    Example:
        >>> import starktrack
        >>> tracker = starktrack.load(settings={"lost_after": 3}, color="bgr")
        >>> tracker.settings.lost_after, tracker.settings.update_interval
        (3, 25)
    """
    chosen = load_engine(model, weights=weights, device=device, engine=engine, precision=precision)
    # A refiner runs on the engine that was asked for where its file fits it; it always takes its own precision.
    refiner = None if refine is None else load_refiner(refine, device=device, engine=engine)
    if isinstance(settings, Mapping):
        settings = from_mapping(TrackingConfig, {**to_mapping(chosen.config.tracking), **settings})
    return Tracker(chosen, refiner, settings=settings, color=color)


def from_pretrained(
    repository: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    engine: EngineName = "auto",
    precision: Precision = "auto",
    refine: str | Path | None = None,
    settings: TrackingConfig | Mapping[str, Any] | None = None,
    color: Color = "rgb",
) -> Tracker:
    """Return a tracker with the weights of a Hugging Face repository, `organisation/name`.

    Args:
        revision: Branch, tag or commit.
        engine: `torch` takes the repository's checkpoint, `onnx` and `openvino` its exported network; `auto`
            whichever is there, the checkpoint first where PyTorch is installed or a GPU is asked for.
        precision, refine, settings, color: As `load`.

    Raises:
        MissingExtraError: `huggingface_hub` or PyTorch is not installed.
        CheckpointError: The repository cannot be had, or its file is not one of ours.
        ConfigError, DeviceError: As `load`.

    Example:
        >>> import starktrack
        >>> starktrack.from_pretrained("organisation/name").engine.config.name
        'stark_mobile'
    """
    from starktrack.hub import from_pretrained as download

    _check_engine(engine)
    if engine == "auto":
        has_torch = all(find_spec(package) for package in _TORCH_PACKAGES)
        is_torch_device = device.partition(":")[0] in ("cuda", "mps")
        order = ("torch", "onnx") if has_torch or is_torch_device else ("onnx", "torch")
    else:
        order = ("torch" if engine == "torch" else "onnx",)
    weights = download(repository, order, revision=revision)
    return load(
        weights=weights,
        device=device,
        engine=engine,
        precision=precision,
        refine=refine,
        settings=settings,
        color=color,
    )


def push(weights: str | Path, repository: str, *, private: bool = False) -> str:
    """Upload a checkpoint or an exported network to a Hugging Face repository, `organisation/name`.

    Returns:
        The commit's address.

    Raises:
        MissingExtraError: `huggingface_hub` or, for a checkpoint, PyTorch is not installed.
        CheckpointError: The file is not one of ours, or the upload failed.

    Example:
        >>> import starktrack
        >>> starktrack.push("stark_mobile.onnx", "organisation/name", private=True)
        'https://huggingface.co/organisation/name/commit/1'
    """
    if Path(weights).suffix != ".onnx":
        require_torch("checking the weights")
    from starktrack.hub import push as upload

    return upload(weights, repository, private=private)


def load_engine(
    model: str | None = None,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    engine: EngineName = "auto",
    precision: Precision = "auto",
    threads: int = 0,
) -> Engine:
    """Return the network behind a tracker, to be shared by several; arguments and errors as `load`.

    Args:
        threads: Threads of one call of an exported network on the CPU; 0 takes a thread for each core.
    """
    _check_model(model)
    _check_engine(engine)
    check_known_precision(precision)
    file = weights_file(model or DEFAULT if weights is None else weights, "tracker", device, engine)
    opened = _open(file, "tracker", device, engine, precision, threads)
    if model is not None and opened.config.name != model:
        raise CheckpointError(
            f"weights must be of {model}, {file} is of {opened.config.name}; leave the model out, or give "
            f"{opened.config.name}"
        )
    return opened


def load_refiner(
    weights: str | Path, *, device: str = "auto", engine: EngineName = "auto", threads: int = 0
) -> Refiner:
    """Return the network that refines a tracker's boxes, to be shared by several trackers.

    It differs from `load_engine` because it serves a tracker: the engine asked for is the tracker's, so a refiner whose
    file does not fit it runs on another one, where `load_engine` refuses; and its precision is that of its file.

    Args:
        weights: A refiner's checkpoint or exported network, or the name of one that comes with the package.
        device: As `load`.
        engine: Of the weights of the package: which of their two files is taken. A file that is given runs on
            this engine if that is for its kind, else on the one that `auto` takes.
        threads: Threads of one call of an exported refiner; 0 takes a thread for each core.

    Raises:
        CheckpointError: No such weights, damaged ones, or a tracker's.
        DeviceError: This machine has no such device.
        MissingExtraError: PyTorch is needed and not installed.
    """
    file = weights_file(weights, "refiner", device, engine)
    is_for_file = engine in (("onnx", "openvino") if file.suffix == ".onnx" else ("torch",))
    return _open(file, "refiner", device, engine if is_for_file else "auto", "auto", threads)


def weights_file(weights: str | Path, kind: str, device: str = "auto", engine: str = "auto") -> Path:
    """Return the file of weights, which may be given by the name of a preset whose weights come with the package.

    Args:
        kind: `tracker` or `refiner`: which presets count.

    Raises:
        CheckpointError: The preset has no weights in the package, or what is given is no file and no preset.
    """
    file, known = Path(weights), presets_of(kind)
    if file.is_file() or (str(weights) not in known and (file.suffix or file.exists())):
        return file
    if str(weights) not in known:
        raise CheckpointError(
            f"a {kind}'s weights must be a file or come with the package, got {str(weights)!r}"
            f"{nearest_name(str(weights), known)}"
        )
    if engine == "auto":  # on a CPU the exported network needs no PyTorch and is faster
        engine = "torch" if device.partition(":")[0] in ("cuda", "mps") else "onnx"
    found = pretrained_weights(file.name, engine)
    if found is None:
        with_weights = (name for name in known if pretrained_weights(name, "torch"))
        raise CheckpointError(
            f"{file.name} needs weights, got none; train some (starktrack train), or convert the authors' trackers "
            f"(starktrack convert), and give their file as {known[file.name].model.argument}; "
            f"those of {', '.join(with_weights)} come with the package"
        )
    return found


def _check_model(model: str | None) -> None:
    if model is None or model in presets_of("tracker"):
        return
    if Path(model).suffix in (".safetensors", ".onnx") or Path(model).is_file():
        raise ConfigError(
            f"a model must be one of the presets, got the file {model!r}; write weights={model!r}"
        )
    preset(model, "tracker")


def _check_engine(engine: str) -> None:
    if engine not in get_args(EngineName):
        raise ConfigError(f"an engine must be auto, torch, onnx or openvino, got {engine!r}")


def engine_of(weights: Path, engine: EngineName = "auto") -> EngineName:
    """Return which engine runs a file wherever results are compared: never one that is merely installed.

    Raises:
        CheckpointError: It is not the one asked for.
    """
    fitting: tuple[EngineName, ...] = ("onnx", "openvino") if weights.suffix == ".onnx" else ("torch",)
    if engine == "auto":
        return fitting[0]
    if engine in fitting:
        return engine
    remedy = f"starktrack export {weights} {weights.with_suffix('.onnx')}"
    raise CheckpointError(
        f"the {engine} engine cannot run {weights}; "
        + (
            "give it the .safetensors checkpoint, or use engine onnx"
            if engine == "torch"
            else f"run: {remedy}"
        )
    )


def _open(
    file: Path, kind: str, device: str, engine: EngineName, precision: Precision = "auto", threads: int = 0
) -> Any:
    """Return the engine of a network of this kind."""
    chosen = engine_of(file, engine)
    if chosen == "torch":
        return _open_checkpoint(file, kind, device, precision)
    if engine == "auto" and device in ("auto", "cpu"):
        from starktrack.engines.openvino_models import is_installed, processor

        if precision == "bfloat16":
            chosen = "openvino"
        elif is_installed():
            with suppress(DeviceError):  # installed, but not for this processor
                processor()
                chosen = "openvino"
    if chosen == "openvino":
        if device not in ("auto", "cpu"):
            raise DeviceError(
                f"the openvino engine runs on the CPU, got device {device!r}; use cpu, or engine onnx"
            )
        from starktrack.engines.openvino_engine import open_openvino

        return open_openvino(file, kind=kind, threads=threads, precision=precision)
    from starktrack.engines.onnx_engine import open_onnx

    where = "cpu" if device == "auto" else device
    return open_onnx(file, kind=kind, threads=threads, device=where, precision=precision)


def _open_checkpoint(file: Path, kind: str, device: str, precision: Precision) -> Any:
    check_precision(file, precision, "float32", engine="torch")
    require_torch(f"running {file.name}")
    from starktrack.engines.torch_engine import TorchEngine, resolve_device
    from starktrack.kinds import load_network

    where = resolve_device(device)
    config, network = load_network(file, kind)
    return TorchEngine(network, config, device=where)


_TORCH_PACKAGES = ("torch", "torchvision", "timm")


def require_torch(purpose: str) -> None:
    """Check that PyTorch and its companions are installed, without importing them.

    Raises:
        MissingExtraError: One of them is not; names the extra to install.
    """
    require_extra("torch", purpose, *_TORCH_PACKAGES)


def track(
    video: str | Path | int,
    boxes: TargetBoxes,
    *,
    model: str | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    engine: EngineName = "auto",
    precision: Precision = "auto",
    refine: str | Path | None = None,
    settings: TrackingConfig | Mapping[str, Any] | None = None,
    start_frame: int = 0,
    intensity_range: tuple[int | float, int | float] | None = None,
    live: LiveSettings | None = None,
    on_event: OnEvent | None = None,
    on_health: OnHealth | None = None,
) -> Iterator[TrackedFrame]:
    """Yield every frame of a video with the outputs of all targets, the frame with the given boxes first.

    Args:
        video: As `data.frames.open_frames`: a file, a folder or glob of images, a camera index, an address ...
        boxes: The targets, pixels: one box x,y,w,h; a list of boxes; a mapping from target id to box; or an
            iterator of `(frame_index, {target_id: box or None})`, in the order of frames, in which None
            removes a target and the box of an id that is tracked starts that target again. Without a frame index
            boxes lie on frame `start_frame`.
        model, weights, device, engine, precision, refine, settings: As `load`.
        start_frame: The first frame to track, from 0.
        intensity_range: LOW and HIGH of a video of more than 8 bits, shown as black and white; without it
            percentiles of its first frame.
        live, on_event, on_health: How to read a camera, a stream or a pipe, and who is called about it, as
            `data.frames.open_frames`.

    Raises:
        BoxError: A box cannot be tracked in its frame.
        InputError: Changes of targets are malformed, out of order or past the last frame.
        VideoError: The video cannot be read.
        VideoBrokenError: The video broke off; all good frames were yielded.
        ConfigError, CheckpointError, DeviceError, MissingExtraError: As `load`.

    Example:
        >>> import starktrack
        >>> box = (231, 38, 59, 47)
        >>> for tracked in starktrack.track("dog.mp4", box):
        ...     print(tracked.index, tracked.output.state)
        0 None
        1 tracked
        2 tracked
        >>> changes = iter([(0, {7: box}), (1, {8: box}), (2, {7: None})])
        >>> [list(tracked.outputs) for tracked in starktrack.track("dog.mp4", changes)]
        [[7], [7, 8], [8]]
    """
    from starktrack.data.frames import open_frames

    tracker = load(
        model,
        weights=weights,
        device=device,
        engine=engine,
        precision=precision,
        refine=refine,
        settings=settings,
    )
    with open_frames(
        video,
        start_frame=start_frame,
        intensity_range=intensity_range,
        live=live,
        on_event=on_event,
        on_health=on_health,
    ) as frames:
        yield from tracker.track(frames, boxes)
