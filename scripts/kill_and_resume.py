"""Kill small training runs at random moments, again and again, and compare them with one that was never stopped.

    python scripts/kill_and_resume.py --kills 100

A run is killed until it gets to its end, then the next begins, until there were enough kills. A run has all that a
real one has: loader workers, two stages, averaged weights, validation. Every start goes on from the newest
checkpoint. Losses, validations and weights of every run must be those of the run that was never stopped, bit for bit.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.training.tiny import stage, tiny_config, tiny_job, tiny_network, tiny_recipe

from starktrack.config.schema import Config
from starktrack.config.training import OptimConfig, Recipe
from starktrack.training.checkpoint import load_newest
from starktrack.training.loop import train
from starktrack.training.metrics_log import read_metrics

COMPARED = ("kind", "stage", "epoch", "step", "loss", "success", "best")


def make_recipe() -> Recipe:
    """Return a run of two stages, each with two epochs of three steps."""
    workers = {"num_workers": 1}
    return tiny_recipe(
        config=tiny_config(score_head=True),
        stages={
            "localise": stage(loader=workers, optim=OptimConfig(lr=1e-3, ema_decay=0.9)),
            "score": stage(trains="score", loader=workers, sampling={"negative_share": 0.5}),
        },
        batch_size=2,
        micro_batch=1,
        samples_per_epoch=6,
        checkpoint_every=1,
        validation={"every": 1},
    )


def validate(state: Mapping[str, Tensor], config: Config) -> Iterator[tuple[float, float]]:
    """Score weights by what they add up to, slowly, so that some kills hit a validation."""
    for part in ("bottleneck.", "score_head."):
        time.sleep(0.03)
        yield 0.5, sum(float(value.sum()) for name, value in state.items() if name.startswith(part))


def start(recipe: Recipe, out: Path) -> int:
    """Start the run in a process of its own and return its id."""
    child = os.fork()
    if child == 0:
        os._exit(train(tiny_job(recipe, out, validate=validate), tiny_network(recipe), resume=True))
    return child


def run_killed(recipe: Recipe, out: Path, most_kills: int, dice: random.Random) -> tuple[list[int], int]:
    """Kill one run until it ends; return after which record each kill came, and how many hit a validation."""
    hits: list[int] = []
    num_in_validation = 0
    while True:
        child = start(recipe, out)
        aim = num_records(out) + dice.randrange(1, 5)
        ended = (0, 0)
        while (num_records(out) < aim or len(hits) == most_kills) and ended == (0, 0):
            time.sleep(0.002)
            ended = os.waitpid(child, os.WNOHANG)
        if ended == (0, 0):
            time.sleep(dice.uniform(0, 0.08))
            os.kill(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
        if ended[1] == 0:
            return hits, num_in_validation
        if os.WTERMSIG(ended[1]) != signal.SIGKILL:
            raise SystemExit(f"a start after kills at {hits} ended with {ended[1]}")
        hits.append(num_records(out))
        saved = load_newest(out / "checkpoints")
        num_in_validation += saved is not None and saved.progress.validation_due


def num_records(out: Path) -> int:
    """Return how many records the metrics log holds."""
    return len(read_metrics(out / "metrics.jsonl"))


def records(out: Path) -> list[list[object]]:
    """Return what of each record does not depend on the clock."""
    return [[record.get(name) for name in COMPARED] for record in read_metrics(out / "metrics.jsonl")]


def main() -> None:
    """Run straight and in pieces, and say whether they are the same."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    recipe, dice = make_recipe(), random.Random(options.seed)
    hits: list[int] = []
    in_validation = num_runs = 0
    with tempfile.TemporaryDirectory() as folder:
        straight = Path(folder, "straight")
        os.waitpid(start(recipe, straight), 0)
        while len(hits) < options.kills:
            pieces = Path(folder, f"pieces{num_runs}")
            found, in_this = run_killed(recipe, pieces, options.kills - len(hits), dice)
            hits, in_validation, num_runs = hits + found, in_validation + in_this, num_runs + 1
            if records(straight) != records(pieces) or not same_weights(straight, pieces):
                raise SystemExit(f"seed {options.seed}: the run that was killed after {found} differs")
            shutil.rmtree(pieces)
        print(
            f"seed {options.seed}: killed {len(hits)} times in {num_runs} runs, after {hits} of "
            f"{num_records(straight)} records, {in_validation} times in a validation"
        )
        print("the same records and weights as a run that was never stopped")


def same_weights(straight: Path, pieces: Path) -> bool:
    """Return whether two runs ended with the same weights, bit for bit."""
    return all(
        value.equal(load_file(pieces / name)[key])
        for name in ("weights.safetensors", "best.safetensors")
        for key, value in load_file(straight / name).items()
    )


if __name__ == "__main__":
    main()
