"""Make weights of a run the ones that come with the package: choose the thresholds of the states, write both files.

    python scripts/ship.py RUN/weights.safetensors --data DATA_ROOT [--plot reliability.png]

All settings of tracking but the thresholds of the states are those of the preset of the network's name. The thresholds
are chosen on the recipe's validation sequences, whole, which no training sees. The script prints how often the states
are right on these, and on two more sorts of runs that take no part in the choice: with the target of another sequence,
which is never there, and synthetic video in which targets cut from sequences with masks move over the others and
leave. The figures go into the model card (`src/starktrack/pretrained/NAME.md`).
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from starktrack.config.data import SyntheticConfig
from starktrack.config.presets import preset
from starktrack.config.recipes import read_recipe
from starktrack.data.synthetic.videos import SyntheticVideos
from starktrack.data.video_sequence import SequenceCollection, VideoSequence
from starktrack.engines.export import export_onnx
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import ConfigError
from starktrack.kinds import load_network
from starktrack.models.weights import save_weights
from starktrack.training.datasets import open_collections
from starktrack.workflows.calibration import (
    choose_thresholds,
    follow,
    plot_reliability,
    reliability,
    state_accuracy,
)

FOLDER = Path(__file__).parents[1] / "src" / "starktrack" / "pretrained"
NUM_SYNTHETIC, SYNTHETIC_SEED = 12, 987_654


def main() -> None:
    """Choose, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--plot", type=Path, help="write the reliability plot to this file")
    options = parser.parse_args()
    config, network = load_network(options.weights)
    if not config.model.score_head:
        raise ConfigError(f"pretrained weights must have a score, {config.name} has none")
    engine = TorchEngine(network, config, device=torch.device("cpu"))
    config = replace(config, tracking=preset(config.name).tracking)
    tracking = replace(config.tracking, search_growth=1.0, redetect=0)
    collections = open_collections(read_recipe("mobile").validation.datasets, options.data, 0)
    held_out = [each[index] for each in collections.values() for index in range(len(each))]
    runs = [follow(engine, sequence, tracking) for sequence in held_out]
    chosen = choose_thresholds(runs, tracking)
    print(f"{sum(map(len, runs))} frames: {chosen}\n  {state_accuracy(runs, chosen)}")
    for score, on_target, count in reliability(runs):
        print(f"  score {score:.3f}: {on_target:.3f} of {count} frames on the target")
    never = [follow(engine, each, tracking, other=held_out[index - 1]) for index, each in enumerate(held_out)]
    print(f"target never there:\n  {state_accuracy(never, chosen)}")
    left = [follow(engine, each, tracking) for each in absences(collections["davis"], collections["dev"])]
    print(f"target leaves:\n  {state_accuracy(left, chosen)}")
    if options.plot:
        plot_reliability(runs, chosen, options.plot)
    config = replace(
        config,
        tracking=replace(
            config.tracking,
            tracked_score=chosen.tracked_score,
            lost_score=chosen.lost_score,
            lost_after=chosen.lost_after,
        ),
    )
    file = options.out / config.name
    # First what may be refused, so that the two files never hold different networks.
    print(f"exported: {export_onnx(network, config, file.with_suffix('.onnx'))}")
    save_weights(file.with_suffix(".safetensors"), network.state_dict(), config)
    for suffix in (".safetensors", ".onnx"):
        print(f"{file.name}{suffix}: {file.with_suffix(suffix).stat().st_size / 1e6:.1f} MB")


def absences(objects: SequenceCollection, backgrounds: SequenceCollection) -> Iterator[VideoSequence]:
    """Yield synthetic videos in which the target leaves."""
    config = SyntheticConfig(leaving=1.0, occlusion=0.5)
    videos = SyntheticVideos(objects, backgrounds, config, SYNTHETIC_SEED)
    for index in range(NUM_SYNTHETIC):
        yield videos[index]


if __name__ == "__main__":
    main()
