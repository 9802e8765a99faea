"""Runs the benchmark toolkits themselves, as programs of their own, where the environment names them.

STARKTRACK_ORACLE_GOT10K and STARKTRACK_ORACLE_VOT are the Python interpreters of environments with
`got10k==0.1.3 six` and with `vot-toolkit==0.9.0 attributee<0.1.10`. Their numbers lie in tests/golden, which
the other tests compare with.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest


def run_oracle(variable, program):
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"needs {variable}")
    path = Path(__file__).with_name(program)
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(
        [python, path], capture_output=True, text=True, env=environment, timeout=300, check=True
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
