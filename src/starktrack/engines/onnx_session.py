"""ONNX Runtime's side of an exported network: the open file, its empty inputs, and crops as it takes them."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from jaxtyping import Bool, UInt8

from starktrack.errors import CheckpointError
from starktrack.geometry.crop import CropTransform, cut
from starktrack.tracking.protocol import BoxQueries

runtime_errors = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
"""A compiled module, into which type checkers cannot look."""

_DTYPES = {"tensor(uint8)": np.uint8, "tensor(bool)": np.bool_, "tensor(float)": np.float32}


def open_session(path: Path, *, threads: int = 0) -> tuple[onnxruntime.InferenceSession, Mapping[str, str]]:
    """Return a graph ready to run on the CPU, and its metadata.

    Args:
        threads: Threads of one call; 0 takes a thread for each core.

    Raises:
        CheckpointError: The file is missing, damaged, or no ONNX graph.
    """
    if not path.is_file():
        raise CheckpointError(f"weights must be a file, {path} does not exist")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin while they wait take the cores from the decoder and from other programs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
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
    return session, session.get_modelmeta().custom_metadata_map


def empty_inputs(session: onnxruntime.InferenceSession) -> dict[str, np.ndarray]:
    """Return an empty batch for every input, which is fed to the unused half of a graph."""
    return {each.name: np.zeros((0, *each.shape[1:]), _DTYPES[each.type]) for each in session.get_inputs()}


def crop_queries(
    queries: BoxQueries, windows: CropTransform, geometry: Literal["published", "exact"]
) -> tuple[UInt8[np.ndarray, "batch side side 3"], Bool[np.ndarray, "batch side side"]]:
    """Return the crop of each window and its padding mask, one window for each box."""
    crops = [
        cut(queries.images[image], windows, geometry, index)
        for index, image in enumerate(queries.image_index)
    ]
    return np.stack([each.image for each in crops]), np.stack([each.padding_mask for each in crops])
