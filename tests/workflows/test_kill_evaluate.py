import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kill_evaluate.py"


def test_an_evaluation_that_is_killed_at_random_moments_loses_nothing():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kills", "5", "--seed", "3"],
        check=False,
        timeout=240,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed 5 times" in done.stdout and "nothing lost, the same results" in done.stdout
