"""Kill a small training run at random moments, again and again, and compare it with one that never stopped.

    python scripts/kill_and_resume.py --kills 10

Every start goes on from the newest checkpoint; losses and weights must end up the same, bit for bit.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.training.tiny import losses, stage, tiny_job, tiny_network, tiny_recipe

from starktrack.config.training import Recipe
from starktrack.training.journal import read_journal
from starktrack.training.loop import train


def start(recipe: Recipe, out: Path) -> int:
    """Start the run in a process of its own and return its id."""
    child = os.fork()
    if child == 0:
        os._exit(train(tiny_job(recipe, out), tiny_network(recipe), resume=True))
    return child


def run_killed(recipe: Recipe, out: Path, num_kills: int, chance: random.Random) -> list[int]:
    """Kill the run so often, each time after some more records; return at which step each one hit."""
    hits = []
    while len(hits) < num_kills:
        child = start(recipe, out)
        before = num_records(out)
        while num_records(out) <= before:
            if os.waitpid(child, os.WNOHANG) != (0, 0):
                raise SystemExit(f"the run ended by itself after {hits}; this machine is fast, add epochs")
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.25))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        hits.append(num_records(out))
    return hits


def num_records(out: Path) -> int:
    """Return how many records the journal holds."""
    return len(read_journal(out / "metrics.jsonl"))


def main() -> None:
    """Run straight and in pieces, and say whether they are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    recipe = tiny_recipe(stages={"localise": stage(epochs=5 * options.kills)}, checkpoint_every=1)
    with tempfile.TemporaryDirectory() as folder:
        straight, pieces = Path(folder, "straight"), Path(folder, "pieces")
        os.waitpid(start(recipe, straight), 0)
        hits = run_killed(recipe, pieces, options.kills, random.Random(options.seed))
        os.waitpid(start(recipe, pieces), 0)
        same_losses = losses(straight) == losses(pieces)
        ends = [load_file(out / "weights.safetensors") for out in (straight, pieces)]
        same_weights = all(value.equal(ends[1][name]) for name, value in ends[0].items())
        print(f"seed {options.seed}: killed {len(hits)} times, after {hits} of {len(losses(straight))} steps")
        print(f"same losses: {same_losses}, same weights: {same_weights}")
        sys.exit(0 if same_losses and same_weights else 1)


if __name__ == "__main__":
    main()
