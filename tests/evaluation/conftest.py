"""The reference data folder beside the project, and simulated trackers."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture(scope="session")
def lasot_zip(shared):
    return shared / "reference" / "lasot_test_annotations.zip"


@pytest.fixture(scope="session")
def trackingnet_folder(shared):
    return shared / "reference" / "trackingnet"


@pytest.fixture(scope="session")
def oracle_program():
    """Return a function that loads one of the oracle programs beside this file, for the data they make up."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(program)
        return program

    return load


@pytest.fixture(scope="session")
def golden_folder():
    return GOLDEN


@pytest.fixture(scope="session")
def golden_analysis():
    with np.load(GOLDEN / "golden_analysis.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def simulate():
    """Return a function (truth, seed) -> boxes of a simulated tracker."""
    return simulated_boxes


def simulated_boxes(truth_xywh, seed, spread=0.12):
    """Return boxes as a tracker of that seed would: the truth with a slowly wandering error."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, spread, (len(truth_xywh) // 10 + 2, 4)).cumsum(axis=0)
    error = np.tanh(np.repeat(steps, 10, axis=0)[: len(truth_xywh)] / 3) + rng.normal(
        0, 0.03, truth_xywh.shape
    )
    scale = np.maximum(np.nan_to_num(truth_xywh[:, [2, 3, 2, 3]], nan=20.0), 4.0)
    boxes = np.nan_to_num(truth_xywh, nan=50.0) + 0.4 * error * scale
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 2.0)
    return boxes
