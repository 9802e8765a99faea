"""The arithmetic of benchmarks/batch_costs.py, by hand, and as docs/batch.md shows it."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = ROOT / "benchmarks" / "batch_costs.py"

SUMMARY = "id,state,frames,seconds\na,done,100,10\nb,failed,0,0\nc,done,300,30\n"

PLAN = {
    "videos": 1000,
    "workers": 10,
    "cores": 2,
    "price": 0.05,
    "rate": 25,
    "megabytes": 5,
    "get_price": 0.4,
    "tracks_kilobytes": 20,
}


@pytest.fixture(scope="module")
def costs():
    spec = importlib.util.spec_from_file_location("batch_costs", FILE)
    module = sys.modules["batch_costs"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_plan_is_what_the_formulas_say(costs, tmp_path):
    (tmp_path / "summary.csv").write_text(SUMMARY)
    run = costs.measured(tmp_path / "summary.csv")
    assert (run.videos, run.frames, run.busy_seconds, run.mean_seconds, run.longest_seconds) == (
        2,
        400,
        40,
        20,
        30,
    )
    # 1,000 videos of 20 s each; 200 frames at 25 a second are 8 s of video.
    assert costs.plan(run, **PLAN) == pytest.approx(
        {
            "frames/s of a worker": 10,
            "hours of video": 1000 * 8 / 3600,
            "hours of workers": 1000 * 20 / 3600,
            "hours until done, no stragglers": 100 * 20 / 3600,
            "hours until done, at most": (100 * 20 + 30) / 3600,
            "money": 1000 * 20 / 3600 * 2 * 0.05,
            "money for 1,000 hours of video": 1000 * 20 * 2 * 0.05 / 8,
            "requests": 5000,
            "money for requests": 5 * 0.4,
            "megabytes/s from the store": 10 * 5 / 20,
            "result files/s": 0.5,
            "gigabytes of results": 0.02,
        }
    )


def test_the_example_of_the_page_is_what_the_script_says(costs):
    page = (ROOT / "docs" / "batch.md").read_text(encoding="utf-8")
    seconds = 900 / 80.6
    run = costs.Measured(1, 900, seconds, seconds, seconds)
    options = {"videos": 1_000_000, "workers": 500, "cores": 1, "price": 0.04, "rate": 30, "megabytes": 5}
    plan = costs.plan(run, **options, get_price=0.0004, tracks_kilobytes=58)
    shown = {name: f"{value:,.1f}" for name, value in plan.items()}
    missing = {name: value for name, value in shown.items() if f"| {name} | {value} |" not in page}
    assert missing == {}
