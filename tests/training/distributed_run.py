"""A tiny run for torchrun: `distributed_run.py OUT [STEP]`; process 1 dies at STEP of the first attempt."""

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
)


def main(out: Path, dies_at: int | None) -> None:
    processes = processes_of_environment()
    job = tiny_job(RECIPE, out, processes=processes)

    def open_feed(stage_config):
        feed = tiny_job(RECIPE, out, processes=processes).open_feed(stage_config)

        def dying(epoch, step):
            for number, batch in enumerate(feed(epoch, step)):
                if number == dies_at and processes.rank == 1 and not processes.restarted:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield batch

        return dying

    job = tiny_job(RECIPE, out, processes=processes, open_feed=open_feed)
    with joined(processes, torch.device("cpu")):
        train(job, tiny_network(RECIPE), resume=processes.restarted)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
