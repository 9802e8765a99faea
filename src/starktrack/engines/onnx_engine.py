"""An exported network on ONNX Runtime, behind the protocols of trackers and refiners; needs no PyTorch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from starktrack.config.metadata import from_metadata
from starktrack.config.precision import Precision, check_precision, precision_in
from starktrack.config.schema import Config
from starktrack.engines.exported import ExportedEngine, Half, check_names
from starktrack.engines.onnx_session import RUN_ERRORS, empty_inputs, open_session
from starktrack.tracking.protocol import Runtime


class OnnxEngine(ExportedEngine):
    """Fulfils `tracking.protocol.Engine` with a tracker, `tracking.protocol.Refiner` with a refiner.

    Args:
        session: A graph written by `engines.export`.
        config: The network's configuration.
        runtime: What runs it.
    """

    failures = RUN_ERRORS

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        config: Config,
        runtime: Runtime,
    ) -> None:
        super().__init__(config, runtime)
        self._session = session
        self._none = empty_inputs(session)

    def run(self, half: Half, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """Return the outputs of one half of the graph; the other half gets a batch of none."""
        return [np.asarray(each) for each in self._session.run(half.outputs, {**self._none, **inputs})]


def open_onnx(
    path: Path,
    *,
    kind: str | None = None,
    threads: int = 0,
    device: str = "cpu",
    precision: Precision = "auto",
) -> OnnxEngine:
    """Return the engine of an exported network.

    Args:
        kind: The required kind of network; None for any.
        threads: Threads of one call on the CPU; 0 takes a thread for each core.
        device: A key of `onnx_session.PROVIDERS`, or `cuda:N`.
        precision: What the file must be in; ONNX Runtime computes in the precision of the file.

    Raises:
        CheckpointError: The file is missing, damaged, not written by `starktrack export`, or of another kind or
            precision.
        ConfigError: The precision is one of another engine.
        DeviceError: The installed ONNX Runtime, or this machine, has no such device.
    """
    session, metadata = open_session(path, threads=threads, device=device)
    config = from_metadata(path, metadata, kind)
    found = check_precision(path, precision, precision_in(path, metadata), engine="onnx")
    check_names({each.name for each in (*session.get_inputs(), *session.get_outputs())}, config, path)
    return OnnxEngine(session, config, Runtime("onnx", found, device))
