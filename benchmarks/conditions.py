"""What a measurement was made under: day, processor, threads, load, versions, commit."""

import os
import platform
import subprocess
import time
from pathlib import Path

import onnxruntime
import torch

from starktrack.engines.profile import hardware


def conditions() -> str:
    """Return one line; a tree with changes that are not committed is called `COMMIT and changes`."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    machine = hardware(torch.device("cpu"))
    return (
        f"{time.strftime('%Y-%m-%d')}, {machine['device']}, {os.cpu_count()} cores, {machine['threads']} threads, "
        f"load {load}, {platform.platform()}, Python {platform.python_version()}, torch {machine['torch']}, "
        f"onnxruntime {onnxruntime.__version__}, commit {_commit()}"
    )


def _commit() -> str:
    here = Path(__file__).parent
    hash_, changes = (
        subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=False).stdout.strip()
        for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    )
    return (hash_ or "unknown") + (" and changes" if changes else "")
