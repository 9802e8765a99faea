"""The benchmarks of the paper: which split is tracked, and with which inference settings."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import field

from pydantic.dataclasses import dataclass

from starktrack.config.loading import override
from starktrack.config.network import PositiveInt
from starktrack.config.schema import Config
from starktrack.errors import ConfigError

PAPER_MODELS = ("stark_s50", "stark_st50", "stark_st101", "stark_lightning")
"""Models that the table has settings for; others keep the settings stored with their weights."""

GOT10K_ONLY = "_got10k"
"""Suffix of the names of models trained on GOT-10k alone."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """How a benchmark is tracked.

    Args:
        split: The part that is tracked by default.
        update_interval: T_u, frames between attempts to replace the dynamic template.
        update_interval_of: The same for single models, by name.
        update_interval_got10k_only: The same for models trained on GOT-10k alone.
    """

    split: str
    update_interval: PositiveInt = 200
    update_interval_of: Mapping[str, PositiveInt] = field(default_factory=dict)
    update_interval_got10k_only: PositiveInt = 200


BENCHMARKS: dict[str, Benchmark] = {
    "lasot": Benchmark(split="test"),
    "got10k": Benchmark(split="test"),
    "trackingnet": Benchmark(split="test", update_interval=25),
    "vot": Benchmark(split="all", update_interval=10),
    "vot_longterm": Benchmark(split="all", update_interval_of={"stark_st101": 100}),
    "notu": Benchmark(split="test"),
    "otb": Benchmark(split="test"),
    "uav123": Benchmark(split="test"),
    "nfs": Benchmark(split="30fps"),
    "tc128": Benchmark(split="all"),
    "tlp": Benchmark(split="test"),
    "davis": Benchmark(split="all"),
    "videos": Benchmark(split="all"),
    "all": Benchmark(split="all"),
}
"""By data set; `vot` is short-term (VOT2020), `all` is every data set below one folder.

Source: the authors' configurations, TEST.UPDATE_INTERVALS; other data sets have 200.
"""


def for_benchmark(config: Config, benchmark: str, *, overrides: Iterable[str] = ()) -> Config:
    """Return the configuration with a benchmark's inference settings and with overrides.

    The table has them for the paper's own models; other configurations get the overrides only.

    Args:
        config: The configuration of trained weights.
        benchmark: A data set, `vot` or `vot_longterm`.
        overrides: `tracking.key=value`; other settings of trained weights cannot change.

    Raises:
        ConfigError: An override of another setting, or an invalid value.

    Example:
        >>> from starktrack.config.presets import stark_st50
        >>> for_benchmark(stark_st50(), "trackingnet").tracking.update_interval
        25
    """
    overrides = tuple(overrides)
    foreign = [each for each in overrides if not each.startswith("tracking.")]
    if foreign:
        raise ConfigError(
            f"only tracking.… can be set for weights that are given, got {foreign[0]!r}; leave it out"
        )
    published = _as_published(config, benchmark)
    return override(published, overrides) if overrides else published


def _as_published(config: Config, benchmark: str) -> Config:
    base = config.name.removesuffix(GOT10K_ONLY)
    if base not in PAPER_MODELS or benchmark not in BENCHMARKS:
        return config
    chosen = BENCHMARKS[benchmark]
    interval = chosen.update_interval_of.get(base, chosen.update_interval)
    if config.name.endswith(GOT10K_ONLY):
        interval = chosen.update_interval_got10k_only
    return dataclasses.replace(
        config, tracking=dataclasses.replace(config.tracking, update_interval=interval)
    )
