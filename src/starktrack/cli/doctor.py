"""`starktrack doctor`: shows versions, devices, codecs and missing extras."""

import importlib.metadata
import importlib.util
import platform
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


def doctor() -> None:
    """Show versions, devices, codecs and missing extras."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("what", "found", "remark")
    for column in table.columns:
        column.overflow = "fold"
    table.add_row("starktrack", importlib.metadata.version("starktrack"), "")
    table.add_row("python", platform.python_version(), platform.platform())
    for package in BASE:
        table.add_row(
            package, _version(package) or "missing", "" if _version(package) else "reinstall starktrack"
        )
    for package, extra in EXTRAS.items():
        remark = "" if _version(package) else f'pip install "starktrack[{extra}]"'
        table.add_row(package, _version(package) or "missing", escape(remark))
    has_window = importlib.util.find_spec("tkinter") is not None
    table.add_row("tkinter", "yes" if has_window else "missing", "" if has_window else "for track --select")
    for row in (*_devices(), *_codecs()):
        table.add_row(*row)
    Console().print(table)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> list[tuple[str, str, str]]:
    import os

    rows = [("device cpu", "yes", f"{os.cpu_count()} cores"), _default_engine(), *_providers()]
    if _version("torch") is None:
        return rows
    import torch

    cuda = torch.cuda.is_available()
    rows.append(("device cuda", "yes" if cuda else "no", torch.cuda.get_device_name() if cuda else ""))
    rows.append(("device mps", "yes" if torch.backends.mps.is_available() else "no", ""))
    return rows


def _default_engine() -> tuple[str, str, str]:
    """Return which engine `auto` takes for exported networks on the CPU, and what it computes natively there."""
    from starktrack.engines.openvino_models import capabilities, is_installed
    from starktrack.errors import DeviceError

    if not is_installed():
        return "engine auto", "onnx", "openvino is not installed"
    try:
        has_bfloat16 = "BF16" in capabilities()
    except DeviceError as error:
        return "engine auto", "onnx", str(error)
    return "engine auto", "openvino", f"precision float32, {'bfloat16' if has_bfloat16 else 'no bfloat16'}"


def _providers() -> list[tuple[str, str, str]]:
    """Return the devices besides the CPU for which the installed ONNX Runtime was built."""
    import onnxruntime

    from starktrack.engines.onnx_session import PROVIDERS

    built = onnxruntime.get_available_providers()
    return [
        (f"onnx device {device}", "yes", provider)
        for device, provider in PROVIDERS.items()
        if device != "cpu" and provider in built
    ]


def _codecs() -> list[tuple[str, str, str]]:
    from av.codec.codec import Codec, UnknownCodecError

    rows = []
    for name, mode in CODECS:
        try:
            Codec(name, mode)
            found = "yes"
        except UnknownCodecError:
            found = "no"
        rows.append((f"{'read' if mode == 'r' else 'write'} {name}", found, ""))
    return rows
