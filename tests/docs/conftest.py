"""The documentation site, built once for all tests."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """Return the folder of the built site; processes of one test run share it."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder, result = shared / "site", shared / "site.txt"
    try:
        (shared / "site.lock").touch(exist_ok=False)
    except FileExistsError:
        while not result.exists():
            time.sleep(0.2)
    else:
        run = subprocess.run(
            [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", DOCS, folder],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        complete = result.with_suffix(".partial")
        complete.write_text(f"{run.returncode}\n{run.stdout}{run.stderr}")
        complete.rename(result)
    code, _, shown = result.read_text().partition("\n")
    assert code == "0" and not shown.strip(), f"sphinx ended with {code}:\n{shown}"
    return folder
