"""Write down where weights lose their targets in the videos that a recipe trains on, to be drawn more often.

    python scripts/mine.py RUN/weights.safetensors --recipe mobile --data DATA_ROOT --out mistakes.json

Then train on with `stages.NAME.data.sampling.mistakes=mistakes.json stages.NAME.data.sampling.mistake_share=0.2`.
Still pictures and synthetic video are left out.
"""

import argparse
import sys
from pathlib import Path

from starktrack.api import load
from starktrack.config.recipes import read_recipe
from starktrack.training.datasets import open_collections
from starktrack.workflows.mining import mine

STILL = ("coco", "synthetic")
"""Sources of data sets that hold no video that was filmed."""


def main() -> None:
    """Track and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("--recipe", default="mobile")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--max-sequences", type=int, default=0, help="of each data set; 0 takes all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    datasets = {
        name: dataset
        for name, dataset in read_recipe(options.recipe).datasets.items()
        if dataset.source not in STILL
    }

    def progress(done: int, total: int, found: int) -> None:
        if done % 20 == 0 or done == total:
            print(f"{done} of {total} sequences, {found} mistakes", file=sys.stderr, flush=True)

    count = mine(
        load(weights=options.weights),
        open_collections(datasets, options.data, 0),
        options.out,
        max_sequences=options.max_sequences,
        seed=options.seed,
        progress=progress,
    )
    print(f"wrote {options.out}: {count} mistakes")


if __name__ == "__main__":
    main()
