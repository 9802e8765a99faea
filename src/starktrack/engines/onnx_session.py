"""ONNX Runtime's side of an exported network: the open file on a device, and its empty inputs."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from starktrack.data.cache import cache_folder
from starktrack.errors import CheckpointError, DeviceError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
"""What runs a graph on a device, in ONNX Runtime's words."""

_PACKAGES = {
    "cuda": "the package onnxruntime-gpu instead of onnxruntime",
    "tensorrt": "the package onnxruntime-gpu instead of onnxruntime, and TensorRT",
    "coreml": "onnxruntime on macOS",
    "directml": "the package onnxruntime-directml instead of onnxruntime, on Windows",
}

Provider = tuple[str, dict[str, Any]]

runtime_errors = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
"""A compiled module, into which type checkers cannot look."""

RUN_ERRORS = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
)
"""What ONNX Runtime raises where a graph cannot be run."""

_DTYPES = {"tensor(uint8)": np.uint8, "tensor(bool)": np.bool_, "tensor(float)": np.float32}


def providers_for(device: str) -> list[Provider]:
    """Return what runs a graph on a device, with options: the device's own, then what takes the rest of the graph.

    Args:
        device: A key of `PROVIDERS`, or `cuda:N` or `tensorrt:N` for one of several.

    Raises:
        DeviceError: Unknown name, or the installed ONNX Runtime was built without it.
    """
    kind, _, number = device.partition(":")
    if kind not in PROVIDERS or (number and (kind not in ("cuda", "tensorrt") or not number.isdecimal())):
        raise DeviceError(
            f"the onnx engine runs on {', '.join(PROVIDERS)}, got device {device!r}; use one of these, or a "
            ".safetensors checkpoint"
        )
    available = onnxruntime.get_available_providers()
    if PROVIDERS[kind] not in available:
        raise DeviceError(
            f"device {kind} needs an ONNX Runtime with {PROVIDERS[kind]}, this one has {', '.join(available)}; "
            f"install {_PACKAGES[kind]}, or use cpu"
        )
    index = {"device_id": int(number or 0)}
    # 10 bits of mantissa (TF32) would move boxes by pixels.
    cuda: Provider = (PROVIDERS["cuda"], {**index, "use_tf32": 0})
    own: dict[str, list[Provider]] = {
        "cpu": [],
        "cuda": [cuda],
        "tensorrt": [
            (
                PROVIDERS["tensorrt"],
                {
                    **index,
                    "trt_engine_cache_enable": True,
                    "trt_engine_cache_path": str(cache_folder() / "tensorrt"),
                },
            ),
            *([cuda] if cuda[0] in available else []),
        ],
        "coreml": [(PROVIDERS["coreml"], {})],
        "directml": [(PROVIDERS["directml"], index)],
    }
    return [*own[kind], (PROVIDERS["cpu"], {})]


def open_session(
    path: Path, *, threads: int = 0, device: str = "cpu"
) -> tuple[onnxruntime.InferenceSession, Mapping[str, str]]:
    """Return a graph ready to run, and its metadata.

    Args:
        threads: Threads of one call on the CPU; 0 takes a thread for each core.
        device: See `providers_for`.

    Raises:
        CheckpointError: The file is missing, damaged, or no ONNX graph.
        DeviceError: As `providers_for`, or the device cannot be used.
    """
    providers = providers_for(device)
    if not path.is_file():
        raise CheckpointError(f"weights must be a file, {path} does not exist")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin while they wait take the cores from the decoder and from other programs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device == "directml":  # whose provider takes neither
        options.enable_mem_pattern = False
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    try:
        session = onnxruntime.InferenceSession(path, options, providers=providers)
    except (
        runtime_errors.Fail,
        runtime_errors.InvalidArgument,
        runtime_errors.InvalidGraph,
        runtime_errors.InvalidProtobuf,
        runtime_errors.NotImplemented,
        UnicodeDecodeError,  # of names in a damaged graph
    ) as error:
        raise CheckpointError(
            f"weights ending in .onnx must be an ONNX graph, {path} is not or is truncated ({error}); "
            "write it anew: starktrack export"
        ) from error
    if providers[0][0] not in session.get_providers():  # ONNX Runtime falls back to the CPU without an error
        raise DeviceError(
            f"device {device} must be usable on this machine, ONNX Runtime could not start {providers[0][0]}; install "
            "its driver and libraries, or use cpu"
        )
    return session, session.get_modelmeta().custom_metadata_map


def empty_inputs(session: onnxruntime.InferenceSession) -> dict[str, np.ndarray]:
    """Return an empty batch for every input, which is fed to the unused half of a graph.

    Raises:
        CheckpointError: An input is of a type or a shape that no exported network has.
    """
    empty = {}
    for each in session.get_inputs():
        sides = each.shape[1:]
        if each.type not in _DTYPES or not all(isinstance(side, int) for side in sides):
            raise CheckpointError(
                f"an exported network must have inputs of its kind, got {each.name} of {each.type} {each.shape}; write "
                "the file anew: starktrack export"
            )
        empty[each.name] = np.zeros((0, *sides), _DTYPES[each.type])
    return empty
