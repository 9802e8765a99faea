"""Milliseconds a search region takes: never listened to, after somebody listened, and while somebody does.

    python benchmarks/explain.py [--models stark_mobile stark_st50] [--repeats 30]

Run by a person. Random weights, one target; medians, the three kinds taking turns so that a busy machine treats
them alike. The first two must agree: attention weights exist only while somebody listens.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from starktrack.config.presets import preset
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.engines.torch_engine import TorchEngine
from starktrack.explanation.engine import ExplainingEngine
from starktrack.models.build import build_network
from starktrack.tracking.protocol import BoxQueries

WARM_UP = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["stark_mobile", "stark_st50"])
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s), CPU, {options.repeats} repeats")
    for model in options.models:
        never, after, during = _measure(model, options.repeats)
        print(f"{model}: never {never:.1f} ms, after {after:.1f} ms, during {during:.1f} ms")


def _measure(model: str, repeats: int) -> list[float]:
    config = preset(model)
    device = torch.device("cpu")
    never, after = (TorchEngine(build_network(config.model), config, device=device) for _ in range(2))
    after.network.load_state_dict(never.network.state_dict())
    engines = [never, after, ExplainingEngine(after)]
    seconds: list[list[float]] = [[] for _ in engines]
    frame = next(iter(synthetic_clip(1)))
    queries = BoxQueries([frame.image], np.zeros(1, np.int64), frame.box_xywh[None])
    templates = [[engine.embed(queries)[0]] * config.model.num_templates for engine in engines]
    for number in range(WARM_UP + repeats):
        for index, engine in enumerate(engines):
            before = time.perf_counter()
            engine.predict(queries, [templates[index]])
            if number >= WARM_UP:
                seconds[index].append(time.perf_counter() - before)
    return [1000 * statistics.median(each) for each in seconds]


if __name__ == "__main__":
    main()
