"""A tiny run of two processes: `distributed_run.py OUT [--dies-at STEP] [--asked-at CALL] [--forks]`.

At STEP process 1 dies, in the first attempt. In its validation CALL process 1 alone is asked to end.
Each process notes in OUT/ended-RANK which signal it ended on, or 0.

torchrun starts the processes, or with `--forks` this one does, which has PyTorch already: it takes seconds to import.
"""

import argparse
import os
import signal
import socket
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


def fork(out: Path, dies_at: int | None, asked_at: int | None) -> None:
    """Run two processes as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in (0, 1):
        children.append(os.fork())
        if children[-1] == 0:
            names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", **{name: str(value) for name, value in names.items()}}
            main(out, dies_at, asked_at)
            os._exit(0)
    sys.exit(max(os.waitpid(child, 0)[1] for child in children))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--dies-at", type=int)
    parser.add_argument("--asked-at", type=int)
    parser.add_argument("--forks", action="store_true")
    options = parser.parse_args()
    (fork if options.forks else main)(options.out, options.dies_at, options.asked_at)
