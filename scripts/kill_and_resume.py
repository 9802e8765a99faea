"""Kill a small training run at random moments, again and again, and compare it with one that never stopped.

    python scripts/kill_and_resume.py --kills 10

The run has all that a real one has: loader workers, two stages, averaged weights, validation. Kills are spread
over all of it; every start goes on from the newest checkpoint. Losses, validations and weights must end up the
same, bit for bit.
"""

import argparse
import os
import random
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


def recipe_of(epochs: int) -> Recipe:
    """Return a run of two stages, each with so many epochs of three steps."""
    workers = {"num_workers": 2}
    return tiny_recipe(
        config=tiny_config(score_head=True),
        stages={
            "localise": stage(epochs=epochs, loader=workers, optim=OptimConfig(lr=1e-3, ema_decay=0.9)),
            "score": stage(epochs=epochs, trains="score", loader=workers, sampling={"negative_share": 0.5}),
        },
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


def run_killed(recipe: Recipe, out: Path, num_kills: int, chance: random.Random) -> tuple[list[int], int]:
    """Kill the run so often; return after which record each kill came, and how many hit a validation."""
    total = sum(stage.epochs for stage in recipe.stages.values()) * (recipe.run.steps_per_epoch + 1)
    hits, num_in_validation = [], 0
    for number in range(num_kills):
        child = start(recipe, out)
        aim = max(num_records(out) + 1, round(total * (number + chance.uniform(0, 0.8)) / num_kills))
        while num_records(out) < aim:
            if os.waitpid(child, os.WNOHANG) != (0, 0):
                raise SystemExit(f"the run ended by itself after {hits}; this machine is fast, add epochs")
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.08))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        hits.append(num_records(out))
        saved = load_newest(out / "checkpoints")
        num_in_validation += saved is not None and saved.progress.validation_due
    return hits, num_in_validation


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
    recipe = recipe_of(epochs=2 * options.kills)
    with tempfile.TemporaryDirectory() as folder:
        straight, pieces = Path(folder, "straight"), Path(folder, "pieces")
        os.waitpid(start(recipe, straight), 0)
        hits, in_validation = run_killed(recipe, pieces, options.kills, random.Random(options.seed))
        os.waitpid(start(recipe, pieces), 0)
        same_records = records(straight) == records(pieces)
        same_weights = all(
            value.equal(load_file(pieces / name)[key])
            for name in ("weights.safetensors", "best.safetensors")
            for key, value in load_file(straight / name).items()
        )
        print(
            f"seed {options.seed}: killed {len(hits)} times, after {hits} of {num_records(straight)} records, "
            f"{in_validation} times in a validation"
        )
        print(f"same records: {same_records}, same weights: {same_weights}")
        sys.exit(0 if same_records and same_weights else 1)


if __name__ == "__main__":
    main()
