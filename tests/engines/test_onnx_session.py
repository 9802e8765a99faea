"""Devices of ONNX Runtime; what this machine lacks is tested up to the list of providers with a stand-in."""

import onnxruntime
import pytest

from starktrack.engines import onnx_session
from starktrack.engines.onnx_engine import open_onnx
from starktrack.engines.onnx_session import PROVIDERS, providers_for
from starktrack.errors import DeviceError
from starktrack.pretrained import pretrained_weights

REFINER = pretrained_weights("refine_mobile", "onnx")


@pytest.fixture
def built_for_all(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(PROVIDERS.values()))


@pytest.mark.parametrize(
    ("device", "names"),
    [
        ("cpu", ["CPUExecutionProvider"]),
        ("cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"]),
        ("tensorrt", ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]),
        ("coreml", ["CoreMLExecutionProvider", "CPUExecutionProvider"]),
        ("directml", ["DmlExecutionProvider", "CPUExecutionProvider"]),
    ],
)
def test_a_device_is_its_provider_and_what_takes_the_rest(built_for_all, device, names):
    assert [name for name, _ in providers_for(device)] == names


def test_one_of_several_gpus_in_full_precision(built_for_all):
    assert providers_for("cuda:2")[0] == ("CUDAExecutionProvider", {"device_id": 2, "use_tf32": 0})
    (_, options), (_, cuda), _ = providers_for("tensorrt:1")
    assert options["device_id"] == cuda["device_id"] == 1
    assert options["trt_engine_cache_path"].endswith("tensorrt")


@pytest.mark.parametrize("device", ["tpu", "cpu:1", "cuda:x", "coreml:0", "mps"])
def test_an_unknown_device_is_refused(built_for_all, device):
    with pytest.raises(DeviceError, match=r"runs on cpu, cuda, tensorrt, coreml, directml, got device"):
        providers_for(device)


@pytest.mark.parametrize(
    ("device", "remedy"),
    [
        ("cuda", "onnxruntime-gpu instead"),
        ("tensorrt", "and TensorRT"),
        ("coreml", "onnxruntime on macOS"),
        ("directml", "onnxruntime-directml instead"),
    ],
)
def test_a_device_for_which_it_was_not_built_names_the_package(monkeypatch, device, remedy):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(
        DeviceError, match=rf"device {device} needs an ONNX Runtime with .*{remedy}.*or use cpu"
    ):
        open_onnx(REFINER, device=device)


def test_a_device_that_does_not_start_is_no_silent_cpu(built_for_all, monkeypatch):
    # As ONNX Runtime does where libraries are missing: a warning, and a session on the CPU.
    real, asked = onnxruntime.InferenceSession, []

    def fall_back(path, options, providers):
        asked.append((providers, options.enable_mem_pattern))
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnx_session.onnxruntime, "InferenceSession", fall_back)
    with pytest.raises(DeviceError, match="could not start CUDAExecutionProvider; install its driver"):
        open_onnx(REFINER, device="cuda")
    with pytest.raises(DeviceError, match="could not start DmlExecutionProvider"):
        open_onnx(REFINER, device="directml")
    assert asked[0] == (providers_for("cuda"), True)
    assert asked[1] == (providers_for("directml"), False)
