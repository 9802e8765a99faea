"""A tiny run for torchrun: `distributed_run.py OUT [--dies-at STEP] [--asked-at CALL]`.

At STEP process 1 dies, in the first attempt. In its validation CALL process 1 alone is asked to end.
Each process notes in OUT/ended-RANK which signal it ended on, or 0.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.training.tiny import stage, tiny_config, tiny_job, tiny_network, tiny_recipe

from starktrack.training.distributed import joined, processes_of_environment
from starktrack.training.loop import train

RECIPE = tiny_recipe(
    config=tiny_config(score_head=True),
    stages={
        "localise": stage(epochs=2),
        "score": stage(epochs=1, trains="score", sampling={"negative_share": 0.5}),
    },
    checkpoint_every=1,
    validation={"every": 1},
)


def fixed_scores(state, config):
    """Two sequences in each process, the same for whichever."""
    yield 0.5, 0.25
    yield 0.5, 0.25


def main(out: Path, dies_at: int | None, asked_at: int | None) -> None:
    processes = processes_of_environment()
    is_first_attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0"
    calls = []

    def validate(state, config):
        calls.append(1)
        for number, score in enumerate(fixed_scores(state, config)):
            if processes.rank == 1 and number == 0 and len(calls) == asked_at:
                os.kill(os.getpid(), signal.SIGTERM)
            yield score

    def open_batches(stage_config):
        batches = tiny_job(RECIPE, out, processes=processes).open_batches(stage_config)

        def dying(epoch, step):
            for number, batch in enumerate(batches(epoch, step)):
                if number == dies_at and processes.rank == 1 and is_first_attempt:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield batch

        return dying

    job = tiny_job(RECIPE, out, processes=processes, open_batches=open_batches, validate=validate)
    with joined(processes, torch.device("cpu")):
        stopped = train(job, tiny_network(RECIPE), resume=True)
    (out / f"ended-{processes.rank}").write_text(str(int(stopped)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--dies-at", type=int)
    parser.add_argument("--asked-at", type=int)
    options = parser.parse_args()
    main(options.out, options.dies_at, options.asked_at)
