"""Make weights of a run the ones that come with the package: calibrate the score, write both files.

    python scripts/ship.py RUN/weights.safetensors --data DATA_ROOT

The score is calibrated on the recipe's validation sequences, which no training sees: tracked as they are; with the
target of another sequence, which is never there; and as synthetic video in which targets cut from those with masks
move over the others and leave. Prints the thresholds with their precision and recall, for the model card
(`src/starktrack/pretrained/NAME.md`).
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from starktrack.config.data import SyntheticConfig
from starktrack.config.recipes import read_recipe
from starktrack.config.schema import Config
from starktrack.data.synthetic.videos import SyntheticVideos
from starktrack.data.video_sequence import SequenceCollection, VideoSequence
from starktrack.engines.export import export_onnx
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import ConfigError
from starktrack.evaluation.calibration import lost_threshold, tracked_threshold
from starktrack.evaluation.metrics import overlaps
from starktrack.kinds import load_network
from starktrack.models.weights import save_weights
from starktrack.tracking.protocol import BoxQueries, Engine
from starktrack.tracking.target import advance, begin
from starktrack.training.datasets import open_collections

FOLDER = Path(__file__).parents[1] / "src" / "starktrack" / "pretrained"
ON_TARGET = 0.3
"""A box that overlaps the true one by less is on something else."""
TRACKED_PRECISION, LOST_PRECISION = 0.9, 0.9
NUM_SYNTHETIC, SYNTHETIC_SEED = 12, 987_654
MAX_FRAMES = 90


def main() -> None:
    """Calibrate and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    config, network = load_network(options.weights)
    if not config.model.score_head:
        raise ConfigError(f"pretrained weights must have a score, {config.name} has none")
    engine = TorchEngine(network, config, device=torch.device("cpu"))
    scores, on_target = measure(engine, options.data)
    config = calibrated(config, scores, on_target)
    file = options.out / config.name
    # First what may be refused, so that the two files never hold different networks.
    print(f"exported: {export_onnx(network, config, file.with_suffix('.onnx'))}")
    save_weights(file.with_suffix(".safetensors"), network.state_dict(), config)
    for suffix in (".safetensors", ".onnx"):
        print(f"{file.name}{suffix}: {file.with_suffix(suffix).stat().st_size / 1e6:.1f} MB")


def calibrated(config: Config, scores: np.ndarray, on_target: np.ndarray) -> Config:
    """Return the configuration with thresholds chosen on these frames; print what they are worth."""
    tracked = tracked_threshold(scores, on_target, TRACKED_PRECISION)
    lost = lost_threshold(scores, on_target, LOST_PRECISION)
    print(f"{len(scores)} frames, {on_target.mean():.1%} of them on the target")
    print(f"tracked: {tracked}\nlost: {lost}")
    if lost.score > tracked.score:
        print(f"lost comes down to tracked, {tracked.score}")
    return replace(
        config,
        tracking=replace(
            config.tracking,
            tracked_score=tracked.score,
            lost_score=min(lost.score, tracked.score),
        ),
    )


def measure(engine: Engine, data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return scores, and whether each box was on its target, over all frames of the calibration."""
    found = [run for run in runs(engine, data) if len(run)]
    table = np.concatenate(found)
    return table[:, 0], table[:, 1] > 0


def runs(engine: Engine, data: Path) -> Iterator[np.ndarray]:
    """Yield [frames, 2] of score and whether the box was on the target, a run at a time."""
    plan = read_recipe("mobile")
    collections = open_collections(plan.validation.datasets, data, 0)
    held_out = [
        sequence
        for collection in collections.values()
        for sequence in (collection[index] for index in range(len(collection)))
    ]
    if len(held_out) < 2:
        raise ConfigError(f"calibration needs two validation sequences, got {len(held_out)}")
    for index, sequence in enumerate(held_out):
        yield follow(engine, sequence)
        yield follow(engine, sequence, other=held_out[index - 1])
    for sequence in absences(collections["davis"], collections["dev"]):
        yield follow(engine, sequence)


def absences(objects: SequenceCollection, backgrounds: SequenceCollection) -> Iterator[VideoSequence]:
    """Yield synthetic videos in which the target leaves."""
    config = SyntheticConfig(leaving=1.0, occlusion=0.5)
    videos = SyntheticVideos(objects, backgrounds, config, SYNTHETIC_SEED)
    for index in range(NUM_SYNTHETIC):
        yield videos[index]


def follow(engine: Engine, sequence: VideoSequence, other: VideoSequence | None = None) -> np.ndarray:
    """Track a sequence, or look for the target of another one in it, where it never is."""
    first = int(np.flatnonzero(sequence.visible)[0])
    source = other or sequence
    start = int(np.flatnonzero(source.visible)[0])
    (target,) = begin(
        engine, BoxQueries([source.frames.read(start)], np.zeros(1, int), source.boxes_xywh[[start]])
    )
    target.box_xywh = sequence.boxes_xywh[first]
    rows = []
    for index in range(first + 1, min(len(sequence), first + MAX_FRAMES)):
        (output,) = advance(
            engine, [target], [sequence.frames.read(index)], [0], settings=engine.config.tracking
        )
        overlap = overlaps(output.box_xywh[None], sequence.boxes_xywh[[index]])[0]
        there = other is None and bool(sequence.visible[index]) and overlap >= ON_TARGET
        rows.append((output.score, float(there)))
    return np.array(rows).reshape(-1, 2)


if __name__ == "__main__":
    main()
