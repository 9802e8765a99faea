"""What a type checker sees of the public names: their own types, and an error for names that are not there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
from collections.abc import Iterator
from typing import assert_type

import numpy as np

import starktrack

tracker = starktrack.load(settings={"lost_after": 3}, color="bgr")
assert_type(tracker, starktrack.Tracker)
assert_type(tracker.start(np.zeros((8, 8, 3), np.uint8), (1, 2, 3, 4)), list[int])
output = tracker.update(np.zeros((8, 8, 3), np.uint8))
assert_type(output, starktrack.TrackOutput)
assert_type(output.score, float | None)
assert_type(output.state, starktrack.TargetState | None)
assert_type(starktrack.track("dog.mp4", (1, 2, 3, 4)), Iterator[starktrack.TrackedFrame])
tracker.engine.config = tracker.engine.config
starktrack.load(color="gray")
starktrack.trak("dog.mp4")
"""


def test_public_names_have_their_types_and_others_are_errors(tmp_path):
    pytest.importorskip("basedpyright")
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "basic", "extraPaths": [str(ROOT / "src")]})
    )
    command = [sys.executable, "-m", "basedpyright", "--project", str(tmp_path), "--outputjson"]
    done = subprocess.run(
        [*command, "--pythonpath", sys.executable], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    last = len(PROGRAM.splitlines())
    lines = {
        each["range"]["start"]["line"] + 1: each["rule"] for each in found if each["severity"] == "error"
    }
    assert lines == {
        last - 2: "reportAttributeAccessIssue",
        last - 1: "reportArgumentType",
        last: "reportAttributeAccessIssue",
    }
