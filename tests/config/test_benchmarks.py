import dataclasses

import pytest

from starktrack.config.benchmarks import BENCHMARKS, for_benchmark
from starktrack.config.presets import stark_mobile, stark_st50, stark_st101
from starktrack.data.sources.registry import SOURCES
from starktrack.errors import ConfigError


@pytest.mark.parametrize(
    ("benchmark", "st50", "st101"),
    [
        ("lasot", 200, 200),
        ("got10k", 200, 200),
        ("trackingnet", 25, 25),
        ("vot", 10, 10),
        ("vot_longterm", 200, 100),
        ("otb", 200, 200),
    ],
)
def test_intervals_are_those_of_the_authors(benchmark, st50, st101):
    assert for_benchmark(stark_st50(), benchmark).tracking.update_interval == st50
    assert for_benchmark(stark_st101(), benchmark).tracking.update_interval == st101


def test_models_of_got10k_alone_keep_200_everywhere():
    config = dataclasses.replace(stark_st50(), name="stark_st50_got10k")
    assert for_benchmark(config, "trackingnet").tracking.update_interval == 200


def test_other_models_and_other_data_keep_their_own_settings():
    own = stark_mobile()
    assert for_benchmark(own, "trackingnet") is own
    paper = stark_st50()
    assert for_benchmark(paper, "my_videos") is paper


def test_every_split_of_the_table_exists():
    names = set(BENCHMARKS) - {"all", "vot_longterm"}
    assert len(names) == 12
    assert all(BENCHMARKS[name].split in SOURCES[name].splits for name in names)


def test_overrides_come_after_the_benchmarks_settings():
    changed = for_benchmark(stark_st50(), "trackingnet", overrides=["tracking.update_interval=7"])
    assert changed.tracking.update_interval == 7
    assert dataclasses.replace(changed, tracking=stark_st50().tracking) == stark_st50()


def test_only_tracking_can_be_overridden():
    with pytest.raises(
        ConfigError, match=r"only tracking\.… can be set .* got 'model\.name=x'; leave it out"
    ):
        for_benchmark(stark_st50(), "lasot", overrides=["tracking.update_interval=7", "model.name=x"])
