"""Kill small evaluations or batches at random moments, again and again, and compare them with one that never stopped.

    python scripts/kill_tracking.py evaluate --kills 100
    python scripts/kill_tracking.py batch --kills 100

A run is killed until it gets to its end, then the next begins, until there were enough kills. Every start goes on
with the sequences that are not finished. No sequence may be tracked again once it is finished, none may be lost, and
in the end all files of boxes must be those of the run that was never stopped.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import starktrack

NAMES = ("Basketball", "Biker", "Bird1", "BlurBody", "BlurCar2", "BlurFace", "BlurOwl", "Bolt", "Box", "Car1")
NUM_FRAMES = 6
MOST_DELAY = 0.3
TRACKER = "scripts.kill_tracking:Slow"


class Slow:
    """Moves its box by a pixel a frame, slowly, so that kills hit it at work."""

    def start(self, image: np.ndarray, box_xywh: np.ndarray) -> None:
        """Begin with a box, and write down that a sequence was begun."""
        self.box = np.array(box_xywh, float)
        with Path(os.environ["STARTS"]).open("a") as file:
            file.write(f"{image[0, 0, 0]}\n")

    def update(self, image: np.ndarray) -> np.ndarray:
        """Return the next box."""
        time.sleep(0.001)
        self.box = self.box + np.array([1, 0, 0, 0])
        return self.box


def write_data(root: Path) -> None:
    """Write sequences whose first pixel says which they are, and a list of them as videos."""
    rows = []
    for number, name in enumerate(NAMES):
        (root / name / "img").mkdir(parents=True)
        for index in range(NUM_FRAMES):
            image = np.full((24, 32, 3), 20 * number, np.uint8)
            cv2.imwrite(str(root / name / "img" / f"{index + 1:04d}.jpg"), image)
        lines = [f"{1 + index},2,9,8\n" for index in range(NUM_FRAMES)]
        (root / name / "groundtruth_rect.txt").write_text("".join(lines))
        rows.append(json.dumps({"id": name, "video": f"{name}/img", "boxes": "1,2,9,8"}) + "\n")
    (root / "videos.jsonl").write_text("".join(rows))


def evaluate(root: Path, out: Path) -> int:
    """Evaluate the tracker, and return how many problems there were."""
    run = starktrack.evaluate("otb", root, [TRACKER], out=out, sequences=NAMES, allow_missing=True)
    return len(run.problems)


def evaluated(out: Path) -> dict[str, bytes]:
    """Return the results of the sequences that are finished: those whose file is there."""
    found = {name: next(iter(out.rglob(f"{name}.txt")), None) for name in NAMES}
    return {name: path.read_bytes() for name, path in found.items() if path is not None}


def batch(root: Path, out: Path) -> int:
    """Track the list of videos, and return how many failed."""
    run = starktrack.batch(root / "videos.jsonl", out, tracker=TRACKER, workers=1)
    return sum(row.state != "done" for row in run.rows)


def batched(out: Path) -> dict[str, bytes]:
    """Return the results of the videos that are finished: those that the journal has."""
    journal = out / "journal.jsonl"
    done = {}
    for line in journal.read_text().splitlines() if journal.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):  # a kill cut the line
            entry = json.loads(line)
            done[entry["id"]] = entry["state"] == "done"
    return {name: (out / "tracks" / f"{name}.csv").read_bytes() for name in NAMES if done.get(name)}


@dataclass(frozen=True)
class Job:
    """What is killed: how it is run, and what it has finished."""

    run: Callable[[Path, Path], int]
    results: Callable[[Path], dict[str, bytes]]


JOBS = {"evaluate": Job(evaluate, evaluated), "batch": Job(batch, batched)}


def start(job: Job, root: Path, out: Path) -> int:
    """Start the job in a process of its own and return its id."""
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            code = job.run(root, out)
        os._exit(code)
    return child


def begun() -> int:
    """Return how many sequences were begun so far."""
    path = Path(os.environ["STARTS"])
    return len(path.read_text().splitlines()) if path.exists() else 0


def run_killed(
    job: Job, root: Path, out: Path, most_kills: int, dice: random.Random, whole: dict[str, bytes]
) -> int:
    """Kill one run until it ends or there were enough kills; return how many there were."""
    kills = 0
    while True:
        before, begun_before = job.results(out), begun()
        child = start(job, root, out)
        if kills == most_kills:
            _, status = os.waitpid(child, 0)
            check(status == 0, f"the last start ended with {status}")
        else:
            while begun() == begun_before and os.waitpid(child, os.WNOHANG) == (0, 0):
                time.sleep(0.001)
            time.sleep(dice.uniform(0, MOST_DELAY))
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)
        after = job.results(out)
        check(
            all(after.get(name) == content for name, content in before.items()),
            "a result was lost or changed",
        )
        check(begun() - begun_before <= len(NAMES) - len(before), "a finished sequence was tracked again")
        if len(after) == len(NAMES):
            check(after == whole, "the results differ from those of a run that was never stopped")
            return kills
        kills += 1


def check(holds: bool, what: str) -> None:
    """Leave with a message where something does not hold."""
    if not holds:
        raise SystemExit(what)


def main() -> None:
    """Run straight and in pieces, and say whether they are the same."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    job, dice = JOBS[options.job], random.Random(options.seed)
    root_of_scripts = str(Path(__file__).resolve().parents[1])
    sys.path.insert(0, root_of_scripts)
    # Processes of a batch are started anew and find the tracker by this.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        (root_of_scripts, *filter(None, [os.environ.get("PYTHONPATH")]))
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STARTS"] = f"{folder}/starts"
        root = Path(folder, "data")
        write_data(root)
        cv2.setNumThreads(1)  # a process with threads of OpenCV cannot be forked
        # In this process, so that every other has all modules already when it is forked.
        check(job.run(root, Path(folder, "whole")) == 0, "the run that is not stopped has problems")
        whole = job.results(Path(folder, "whole"))
        check(len(whole) == len(NAMES), "the run that is not stopped lacks results")
        kills, runs = 0, 0
        while kills < options.kills:
            kills += run_killed(job, root, Path(folder, f"pieces{runs}"), options.kills - kills, dice, whole)
            runs += 1
    print(f"seed {options.seed}: killed {kills} times in {runs} runs; nothing lost, the same results")


if __name__ == "__main__":
    main()
