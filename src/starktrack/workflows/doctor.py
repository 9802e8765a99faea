"""What this machine has for tracking, and what is missing."""

import importlib.metadata
import importlib.util
import os
import platform
from dataclasses import dataclass
from typing import Literal

EXTRAS = {
    "torch": "torch",
    "torchvision": "torch",
    "timm": "torch",
    "onnx": "export",
    "onnxscript": "export",
    "openvino": "openvino",
    "nncf": "quantise",
    "huggingface_hub": "hub",
    "scipy": "ablations",
    "matplotlib": "plots",
    "tensorboard": "tensorboard",
    "supervision": "supervision",
    "vot-trax": "vot",
    "fsspec": "remote",
    "pyarrow": "parquet",
    "ray": "ray",
    "starlette": "studio",
    "uvicorn": "studio",
}
BASE = ("numpy", "opencv-python-headless", "av", "onnxruntime", "safetensors", "pydantic", "typer", "rich")

CODECS: tuple[tuple[str, Literal["r", "w"]], ...] = (
    ("h264", "r"),
    ("hevc", "r"),
    ("vp9", "r"),
    ("av1", "r"),
    ("libx264", "w"),
    ("libvpx-vp9", "w"),
)


@dataclass(frozen=True)
class Finding:
    """One line of `examine`.

    Attributes:
        what: A package, a device or a codec.
        found: Its version, `yes`, `no` or `missing`.
        remark: What it is, or what to do where it is missing.
    """

    what: str
    found: str
    remark: str = ""


def examine() -> list[Finding]:
    """Return versions, devices, codecs and missing extras.

    Example:
        >>> from starktrack.workflows.doctor import examine
        >>> [finding.found for finding in examine() if finding.what == "device cpu"]
        ['yes']
    """
    findings = [
        Finding("starktrack", importlib.metadata.version("starktrack")),
        Finding("python", platform.python_version(), platform.platform()),
    ]
    remedies = dict.fromkeys(BASE, "reinstall starktrack")
    remedies |= {package: f'pip install "starktrack[{extra}]"' for package, extra in EXTRAS.items()}
    for package, remedy in remedies.items():
        version = _version(package)
        findings.append(Finding(package, version or "missing", "" if version else remedy))
    has_window = importlib.util.find_spec("tkinter") is not None
    window = Finding("tkinter", "yes") if has_window else Finding("tkinter", "missing", "for track --select")
    return [*findings, window, *_devices(), *_codecs()]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> list[Finding]:
    findings = [Finding("device cpu", "yes", f"{os.cpu_count()} cores"), _default_engine(), *_providers()]
    if _version("torch") is None:
        return findings
    import torch

    cuda = torch.cuda.is_available()
    name = torch.cuda.get_device_name() if cuda else ""
    findings.append(Finding("device cuda", "yes" if cuda else "no", name))
    findings.append(Finding("device mps", "yes" if torch.backends.mps.is_available() else "no"))
    return findings


def _default_engine() -> Finding:
    """Return which engine `auto` takes for exported networks on the CPU, and what it computes natively there."""
    from starktrack.engines.openvino_models import capabilities, is_installed
    from starktrack.errors import DeviceError

    if not is_installed():
        return Finding("engine auto", "onnx", "openvino is not installed")
    try:
        has_bfloat16 = "BF16" in capabilities()
    except DeviceError as error:
        return Finding("engine auto", "onnx", str(error))
    return Finding(
        "engine auto", "openvino", f"precision float32, {'bfloat16' if has_bfloat16 else 'no bfloat16'}"
    )


def _providers() -> list[Finding]:
    """Return the devices besides the CPU for which the installed ONNX Runtime was built."""
    import onnxruntime

    from starktrack.engines.onnx_session import PROVIDERS

    built = onnxruntime.get_available_providers()
    return [
        Finding(f"onnx device {device}", "yes", provider)
        for device, provider in PROVIDERS.items()
        if device != "cpu" and provider in built
    ]


def _codecs() -> list[Finding]:
    from av.codec.codec import Codec, UnknownCodecError

    findings = []
    for name, mode in CODECS:
        try:
            Codec(name, mode)
            found = "yes"
        except UnknownCodecError:
            found = "no"
        findings.append(Finding(f"{'read' if mode == 'r' else 'write'} {name}", found))
    return findings
