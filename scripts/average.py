"""Write the mean of several runs' weights as one checkpoint.

    python scripts/average.py RUN_A/weights.safetensors RUN_B/weights.safetensors --out mean.safetensors

The runs must be of one network and related: begun from the same weights, or one gone on from the other. Train the
score afterwards, for its inputs are those of the new network: a copy of the recipe with the stage `score` alone, and
`starktrack train COPY --weights mean.safetensors`.
"""

import argparse
from pathlib import Path

from starktrack.models.weights import save_weights
from starktrack.training.model_averaging import average_weights


def main() -> None:
    """Average and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    config, state = average_weights(options.weights)
    save_weights(options.out, state, config)
    print(f"wrote {options.out}: the mean of {len(options.weights)}")


if __name__ == "__main__":
    main()
