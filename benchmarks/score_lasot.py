"""Seconds to read and score all of LaSOT's test set: `python benchmarks/score_lasot.py ANNOTATIONS`.

Prints the time to read the annotations, and for each dialect the time to score 280 sequences with all curves
(median of five, after one warm-up).
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from starktrack.evaluation.dialects import DIALECTS, dialect
from starktrack.evaluation.scoring import evaluate
from starktrack.evaluation.truth import open_truth, scored_sequences

RUNS = 5


def seconds(call: Callable[[], object]) -> float:
    """Return the median time of a call after a warm-up."""
    taken = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return median(taken[1:])


def main() -> None:
    """Print one line per step."""
    place = Path(sys.argv[1])
    annotations = scored_sequences(open_truth("lasot", place))
    rng = np.random.default_rng(0)
    boxes = {a.name: a.boxes_xywh + rng.normal(0, 5, a.boxes_xywh.shape) for a in annotations}
    boxes = {name: np.maximum(rows, 1) for name, rows in boxes.items()}
    print(f"{len(annotations)} sequences, {sum(map(len, annotations)):,} frames")
    print(f"read annotations: {seconds(lambda: scored_sequences(open_truth('lasot', place))):.2f} s")
    for name in DIALECTS:
        chosen = dialect(name, "lasot")
        taken = seconds(lambda chosen=chosen: evaluate("noise", "lasot", boxes, annotations, chosen))
        print(f"score, {name} dialect: {taken:.2f} s")


if __name__ == "__main__":
    main()
