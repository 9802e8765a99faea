import subprocess
import sys

import pytest

from starktrack.data.samples.loader import BatchKeys
from starktrack.errors import ConfigError


def batches(**changes):
    return list(BatchKeys(**{"num_samples": 20, "batch_size": 8, **changes}))


def test_an_epoch_is_cut_into_whole_batches():
    assert batches() == [[(0, k) for k in range(8)], [(0, k) for k in range(8, 16)]]
    assert len(BatchKeys(20, 8)) == 2


@pytest.mark.parametrize("num_ranks", [1, 2, 4, 8])
def test_the_ranks_of_a_batch_together_read_what_one_process_reads(num_ranks):
    ranks = [batches(rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)]
    joined = [[key for part in step for key in part] for step in zip(*ranks, strict=True)]
    assert joined == batches()


def test_a_resumed_epoch_goes_on_where_it_stopped():
    keys = BatchKeys(20, 8)
    keys.begin(epoch=3, first_step=1)
    assert list(keys) == [[(3, k) for k in range(8, 16)]] and len(keys) == 1


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(ConfigError, match="multiple of the 3 processes, got 8; use 9"):
        BatchKeys(20, 8, num_ranks=3)


def test_an_epoch_smaller_than_a_batch_is_refused():
    with pytest.raises(ConfigError, match="at least one batch of 8, got 5"):
        BatchKeys(5, 8)


FAILS_WITH_WORKERS = """
from starktrack.config.data import LoaderConfig
from starktrack.data.samples.loader import BatchKeys, make_loader

class Samples:
    def __getitem__(self, key):
        return key

loader = make_loader(
    Samples(), BatchKeys(20, 4), LoaderConfig(num_workers=2), collate=list, pin_memory=False
)
batches = iter(loader)  # global, as in a notebook: what the error leaves alive
print(next(batches), flush=True)
raise ValueError("of the user")
"""


def test_an_error_ends_the_process_at_once_although_workers_wait_for_a_checkpoint():
    done = subprocess.run(
        [sys.executable, "-c", FAILS_WITH_WORKERS], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1 and "[(0, 0), (0, 1), (0, 2), (0, 3)]" in done.stdout
    assert done.stderr.rstrip().endswith("ValueError: of the user")
