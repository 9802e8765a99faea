import pytest

from starktrack.errors import ConfigError
from starktrack.tracking.sharding import Shard, local_shards


def test_shares_divide_the_names_and_lose_none():
    names = [f"s{i}" for i in range(10)]
    parts = [Shard(index, 3).of(names) for index in range(3)]
    assert parts[1] == ["s1", "s4", "s7"]
    assert sorted(name for part in parts for name in part) == names


def test_machines_come_before_workers():
    here = local_shards(2, {"RANK": "1", "WORLD_SIZE": "3"})
    assert here == [Shard(2, 6), Shard(3, 6)]
    assert local_shards(1, {}) == [Shard(0, 1)]


@pytest.mark.parametrize("environment", [{"RANK": "3", "WORLD_SIZE": "3"}, {"RANK": "x"}])
def test_a_rank_that_cannot_be_is_refused(environment):
    with pytest.raises(ConfigError, match="unset them"):
        local_shards(1, environment)
