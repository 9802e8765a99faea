"""OpenVINO's side of an exported network: the file as two models, and compiled models kept on disk."""

import hashlib
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starktrack.config.metadata import METADATA_KEY, REFINER_KEY
from starktrack.config.precision import PRECISION_KEY
from starktrack.data.cache import cache_folder, write_cache
from starktrack.engines.exported import Half, first_line
from starktrack.errors import CheckpointError, DeviceError, MissingExtraError

if TYPE_CHECKING:
    import openvino

MOST_KEPT = 24
"""Compiled models in the cache; the oldest make room. A tracker of one target takes two, of several three."""

_DIGEST_BYTES = 32

_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32", "float16": "f32"}
"""OpenVINO's precision of operations in floating point; by default it uses bfloat16 where it can."""


def is_installed() -> bool:
    """Return whether OpenVINO is installed; nothing is imported."""
    return find_spec("openvino") is not None


@cache
def processor() -> "openvino.Core":
    """Return OpenVINO's handle of this machine's processor.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        DeviceError: It cannot be loaded, or does not support this processor.
    """
    if not is_installed():
        raise MissingExtraError("openvino", "openvino", "engine openvino")
    try:
        with _sending_no_statistics():
            import openvino

        core = openvino.Core()
        devices = core.available_devices
    except (ImportError, OSError, RuntimeError) as error:
        raise DeviceError(
            f"engine openvino needs an OpenVINO that can be loaded, got: {first_line(error)}; use engine onnx"
        ) from error
    if "CPU" not in devices:
        raise DeviceError(
            "engine openvino needs a processor that OpenVINO supports (x86-64 with SSE4.2, or 64-bit ARM), this one is "
            "not; use engine onnx"
        )
    return core


@contextmanager
def _sending_no_statistics() -> Iterator[None]:
    """Keep OpenVINO from sending statistics of its use over the network each time it is imported.

    It forks a process for that, and takes a stub where the package that sends them cannot be imported. A program that
    imports OpenVINO itself, before us, decides for itself.
    """
    sender = "openvino_telemetry"
    if sender in sys.modules:
        yield
        return
    sys.modules[sender] = None  # pyright: ignore[reportArgumentType]  # what makes Python refuse to import it
    try:
        yield
    finally:
        del sys.modules[sender]


def capabilities() -> list[str]:
    """Return what the processor computes natively, in OpenVINO's words: `FP32`, `BF16`, `INT8` ..."""
    return list(processor().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def check_bfloat16() -> None:
    """Check that the processor computes in bfloat16; elsewhere OpenVINO would silently take float32.

    Raises:
        DeviceError: It does not.
    """
    if "BF16" not in capabilities():
        raise DeviceError(
            "precision bfloat16 needs a processor with bfloat16 (AVX-512 BF16, AMX, or ARM with BF16), this one has "
            "none; use float32"
        )


def read_graph(path: Path) -> tuple["openvino.Model", dict[str, str]]:
    """Return the graph of an exported network, and what its metadata say.

    Raises:
        CheckpointError: The file is missing, damaged, or no ONNX graph.
        MissingExtraError, DeviceError: As `processor`.
    """
    if not path.is_file():
        raise CheckpointError(f"weights must be a file, {path} does not exist")
    core = processor()
    try:
        model = core.read_model(path)
    except (RuntimeError, UnicodeDecodeError) as error:  # the latter of names in a damaged graph
        raise CheckpointError(
            f"weights ending in .onnx must be an ONNX graph, {path} is not or is truncated ({first_line(error)}); "
            "write it anew: starktrack export"
        ) from error
    keys = (METADATA_KEY, REFINER_KEY, PRECISION_KEY)
    metadata = {
        key: str(model.get_rt_info(["framework", key]).astype(str))
        for key in keys
        if model.has_rt_info(["framework", key])
    }
    return model, metadata


def half_of(model: "openvino.Model", half: Half, batch: int | None) -> "openvino.Model":
    """Return one half of a graph as a model of its own.

    The other half is left out, which is faster to compile and to run than to feed it a batch of none.

    Args:
        batch: The only batch size that it will take; None for any.
    """
    import openvino

    ports = {port.any_name: port for port in (*model.inputs, *model.outputs)}
    make_model: Any = openvino.Model  # whose stub does not fit its class
    whole = make_model(
        [ports[name].node for name in half.outputs], [ports[name].node for name in half.inputs], "half"
    )
    part = whole.clone()  # a new shape of a shared input would be one of the other half too
    if batch is not None:
        part.reshape(
            {
                port.any_name: [batch, *(side.get_length() for side in list(port.partial_shape)[1:])]
                for port in part.inputs
            }
        )
    return part


def compiled(
    model: "openvino.Model", digest: str, half: Half, batch: int | None, precision: str, threads: int
) -> "openvino.CompiledModel":
    """Return a half of a graph, ready to run: from the cache, else compiled and kept there.

    Args:
        digest: Of the file that the model was read from.
        threads: 0 takes a thread for each core.
    """
    core = processor()
    # Threads are not pinned: pinned ones of two processes share a core while others are idle, and on a busy
    # machine one pinned thread took twice as long as a free one (552 against 305 ms, 11 processes on two cores).
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    kept = cache_folder() / "openvino" / f"{_key(digest, half, batch, options)}.blob"
    found = _from_cache(core, kept, options)
    if found is not None:
        return found
    made = core.compile_model(half_of(model, half, batch), "CPU", options)
    stream = io.BytesIO()
    made.export_model(stream)
    blob = stream.getvalue()
    if write_cache(kept, lambda file: file.write(hashlib.sha256(blob).digest() + blob)):
        _discard_oldest(kept.parent)
    return made


def _key(digest: str, half: Half, batch: int | None, options: dict[str, Any]) -> str:
    import openvino

    device = processor().get_property("CPU", "FULL_DEVICE_NAME")
    parts = (openvino.get_version(), device, capabilities(), digest, half, batch, sorted(options.items()))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _from_cache(
    core: "openvino.Core", file: Path, options: dict[str, Any]
) -> "openvino.CompiledModel | None":
    """Return a compiled model that was kept; None where there is none, or a damaged one."""
    try:
        data = file.read_bytes()
        file.touch()
    except OSError:
        return None
    blob = data[_DIGEST_BYTES:]
    if hashlib.sha256(blob).digest() != data[:_DIGEST_BYTES]:
        return None
    try:
        return core.import_model(io.BytesIO(blob), "CPU", options)
    except RuntimeError:
        return None


def _discard_oldest(folder: Path) -> None:
    try:
        files = sorted(folder.glob("*.blob"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[MOST_KEPT:]:
            file.unlink(missing_ok=True)
    except OSError:  # another process tidies at the same time, or the folder cannot be changed
        return
