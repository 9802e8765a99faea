import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kill_and_resume.py"


def test_a_run_that_is_killed_at_random_moments_loses_nothing():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kills", "3"], check=False, timeout=240, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"killed 3 times in \d+ runs, after \[\d+, \d+, \d+\] of 16 records", done.stdout)
    assert "the same records and weights as a run that was never stopped" in done.stdout
