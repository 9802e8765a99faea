import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kill_tracking.py"


@pytest.mark.parametrize(("job", "kills"), [("evaluate", 5), ("batch", 2)])
def test_what_is_killed_at_random_moments_loses_nothing(job, kills):
    done = subprocess.run(
        [sys.executable, SCRIPT, job, "--kills", str(kills), "--seed", "3"],
        check=False,
        timeout=240,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"killed {kills} times" in done.stdout and "nothing lost, the same results" in done.stdout
