"""An exported network on OpenVINO, behind the protocols of trackers and refiners; needs no PyTorch."""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starktrack.config.metadata import from_metadata
from starktrack.config.precision import Precision, check_precision, precision_in
from starktrack.config.schema import Config
from starktrack.engines.exported import ExportedEngine, Half, check_names
from starktrack.engines.openvino_models import check_bfloat16, compiled, read_graph
from starktrack.tracking.protocol import Runtime

if TYPE_CHECKING:
    import openvino


class OpenVinoEngine(ExportedEngine):
    """Fulfils `tracking.protocol.Engine` with a tracker, `tracking.protocol.Refiner` with a refiner.

    The search half is compiled twice, each time when it is first needed: for a batch of exactly one, and for any
    batch. `stark_mobile` took, in milliseconds of processor time with one thread (AVX2, medians of ten):

    | targets | for that batch alone | for any batch |
    |---|---|---|
    | 1 | 58.0 | 68.4 |
    | 2 | 115.5 | 126.3 |
    | 8 | 472.3 | 482.0 |

    Shapes that are not known before cost the same 10 ms whatever the batch, which is much for one target and little
    for several. To pad a batch to one of a few sizes costs more: a third target padded to a fourth is 58 ms. The
    template half runs seldom and takes any batch.

    Args:
        model: The graph, see `openvino_models.read_graph`.
        digest: SHA-256 of its file, by which compiled models are kept.
        config: The network's configuration.
        runtime: What runs it.
        threads: Threads of one call; 0 takes a thread for each core.
    """

    failures = (RuntimeError,)

    def __init__(
        self, model: "openvino.Model", digest: str, config: Config, runtime: Runtime, *, threads: int = 0
    ) -> None:
        super().__init__(config, runtime)
        self._model, self._digest, self._threads = model, digest, threads
        self._requests: dict[tuple[Half, int | None], openvino.InferRequest] = {}
        self._lock = threading.Lock()  # a request runs once at a time, and trackers share engines

    def run(self, half: Half, inputs: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """Return the outputs of one half of the graph."""
        is_one = half == self.search_half and all(len(values) == 1 for values in inputs.values())
        with self._lock:
            request = self._request(half, 1 if is_one else None)
            request.infer(dict(inputs), share_inputs=True)
            # Copies: the next call overwrites the outputs of this one.
            return [np.array(request.get_tensor(name).data) for name in half.outputs]

    def _request(self, half: Half, batch: int | None) -> "openvino.InferRequest":
        key = (half, batch)
        if key not in self._requests:
            model = compiled(self._model, self._digest, half, batch, self.runtime.precision, self._threads)
            self._requests[key] = model.create_infer_request()
        return self._requests[key]


def open_openvino(
    path: Path, *, kind: str | None = None, threads: int = 0, precision: Precision = "auto"
) -> OpenVinoEngine:
    """Return the engine of an exported network on OpenVINO, on the CPU.

    Args:
        kind: The only kind of network that will do; None for any.
        threads: Threads of one call; 0 takes a thread for each core.
        precision: `bfloat16`, or what the file must be in.

    Raises:
        CheckpointError: The file is missing, damaged, not written by `starktrack export`, or of another kind or
            precision.
        DeviceError: OpenVINO does not support this processor, or it computes in no such precision.
        MissingExtraError: OpenVINO is not installed.
    """
    model, metadata = read_graph(path)
    config = from_metadata(path, metadata, kind)
    found = check_precision(path, precision, precision_in(path, metadata), engine="openvino")
    if found == "bfloat16":
        check_bfloat16()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    check_names({port.any_name for port in (*model.inputs, *model.outputs)}, config, path)
    return OpenVinoEngine(model, digest, config, Runtime("openvino", found, "cpu"), threads=threads)
