"""What a measurement was made under: day, processor, load, versions, commit."""

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path

PACKAGES = ("torch", "onnxruntime")


def conditions() -> str:
    """Return one line; a tree with changes that are not committed is called `COMMIT and changes`."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"{time.strftime('%Y-%m-%d')}, {_processor()}, {os.cpu_count()} cores, load {load}, "
        f"{platform.platform()}, Python {platform.python_version()}, {versions}, commit {_commit()}"
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if "model name" in line)
    return next(names, platform.processor() or platform.machine())


def _commit() -> str:
    here = Path(__file__).parent
    hash_, changes = (
        subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=False).stdout.strip()
        for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    )
    return (hash_ or "unknown") + (" and changes" if changes else "")
