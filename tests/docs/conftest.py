"""The documentation site, built once for all tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, ROOT


@pytest.fixture(scope="session")
def site(made_once) -> Path:
    """Return the folder of the built site."""

    def build(folder):
        run = subprocess.run(
            [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", DOCS, folder],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        shown = run.stdout + run.stderr
        assert run.returncode == 0 and not shown.strip(), f"sphinx ended with {run.returncode}:\n{shown}"

    return made_once("site", build)
