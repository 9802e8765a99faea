"""Runs the benchmark toolkits themselves, as programs of their own, where the environment names them.

`scripts/oracles` makes these environments and runs this file.

STARKTRACK_ORACLE_GOT10K and STARKTRACK_ORACLE_VOT are the Python interpreters of environments with
`got10k==0.1.3 six` and with `vot-toolkit==0.9.0 attributee<0.1.10`. Their numbers lie in tests/golden, which
the other tests compare with.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from starktrack.evaluation.vot_results import anchor_frames, read_run, read_sequences, run_path, write_run
from starktrack.evaluation.vot_scoring import (
    score_anchor_results,
    score_longterm_results,
    score_unsupervised_results,
)


def run_oracle(variable, program, *arguments):
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"needs {variable}")
    path = Path(__file__).with_name(program)
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(
        [python, path, *arguments], capture_output=True, text=True, env=environment, timeout=900, check=True
    )
    return json.loads(done.stdout)


def flat_numbers(nested):
    if isinstance(nested, dict):
        return {
            f"{key}/{inner}": value for key in nested for inner, value in flat_numbers(nested[key]).items()
        }
    return {"": np.asarray(nested, float)}


@pytest.mark.parametrize("name", ["got10k", "vot"])
def test_the_stored_numbers_are_those_of_the_toolkit(golden_folder, name):
    fresh = flat_numbers(run_oracle(f"STARKTRACK_ORACLE_{name.upper()}", f"oracle_{name}.py"))
    stored = flat_numbers(json.loads((golden_folder / f"oracle_{name}.json").read_text()))
    assert fresh.keys() == stored.keys()
    for key, value in fresh.items():
        np.testing.assert_allclose(value, stored[key], atol=1e-12, err_msg=key)


def rewrite(workspace, sequences):
    """Read every run of the workspace and write it anew with our own writer; return how many."""
    results, count = workspace / "results" / "Ours", 0
    shutil.move(results, workspace / "before")
    for sequence in sequences:
        runs = {
            ("baseline", f"{anchor:08d}"): len(anchor_frames(sequence, anchor))
            for anchor in sequence.benchmark.anchors
        }
        runs |= {(experiment, "001"): len(sequence) for experiment in ("longterm", "unsupervised")}
        for (experiment, label), length in runs.items():
            run = read_run(run_path(workspace / "before", experiment, sequence.name, label), length)
            confidence = None if experiment == "baseline" else run.confidence.tolist()
            path = run_path(results, experiment, sequence.name, label)
            write_run(path, run.regions, [0.1] * length, confidence)
            count += 1
    return count


def test_the_toolkit_gives_our_numbers_for_results_that_we_wrote(oracle_program, tmp_path):
    workspace = tmp_path / "workspace"
    oracle_program("oracle_vot").write_workspace(workspace)
    sequences = read_sequences(workspace)
    assert rewrite(workspace, sequences) == 33
    (workspace / "results" / "Ours" / "baseline" / "run.json").write_text("{}")
    printed = run_oracle("STARKTRACK_ORACLE_VOT", "oracle_vot.py", workspace)
    results = workspace / "results" / "Ours"
    anchors = score_anchor_results(sequences, results, interval=(15, 60))
    longterm = score_longterm_results(sequences, results)
    ours = {
        "eao": anchors.eao,
        "accuracy": anchors.accuracy,
        "robustness": anchors.robustness,
        "precision_recall_f": [longterm.precision, longterm.recall, longterm.f_score],
        "unsupervised_accuracy": score_unsupervised_results(sequences, results).accuracy,
    }
    for key, value in ours.items():
        np.testing.assert_allclose(value, printed[key], atol=1e-9, err_msg=key)
