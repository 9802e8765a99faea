"""The arms of benchmarks/absence.py do what they are called after."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.tracking.test_search_growth import LATEST, SEEN, SIZE_HW

from starktrack.tracking.presence import TargetState

FILE = Path(__file__).parents[2] / "benchmarks" / "absence.py"


@pytest.fixture(scope="module")
def arms():
    spec = importlib.util.spec_from_file_location("absence", FILE)
    module = sys.modules["absence"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {arm.name: arm for arm in module._arms([2.0])}


@pytest.mark.parametrize(
    ("name", "centre", "times"),
    [("off", LATEST, 1), ("back", SEEN, 1), ("widen 2", LATEST, 2), ("both 2", SEEN, 2)],
)
def test_an_arm_goes_back_or_widens_or_both(arms, name, centre, times):
    arm = arms[name]
    growth = arm.remembers(SEEN)
    for _ in range(30):
        growth = growth.after(LATEST, TargetState.LOST)
    around = growth.around(LATEST, SIZE_HW, arm.growth, 5.0)
    np.testing.assert_allclose(around[:2] + around[2:] / 2, centre[:2] + centre[2:] / 2)
    np.testing.assert_allclose(around[2:], centre[2:] * times, rtol=1e-6)
