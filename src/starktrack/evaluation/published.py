"""Published numbers with their sources, for comparison with measured ones."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Published:
    """One published number.

    Attributes:
        tracker: Published name.
        dataset: As in `report --dataset`, or `speed`.
        measure: Key of the measure in our tables; `fps` for speed.
        value: As printed: percent, but EAO in [0, 1] and speed in frames per second.
        source: The publication.
    """

    tracker: str
    dataset: str
    measure: str
    value: float
    source: str


@cache
def _read() -> dict[str, Any]:
    text = files("starktrack.evaluation").joinpath("published.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def published_numbers() -> tuple[Published, ...]:
    """Return every published number in the package."""
    return tuple(
        Published(tracker, table["dataset"], table["measures"][index], float(value), table["source"])
        for table in _read()["table"]
        for tracker, values in table["trackers"].items()
        for index, value in enumerate(values)
        if value >= 0
    )


ALIASES = {"vot": "vot2020", "vot_longterm": "vot2020lt", "vot2019lt": "vot2020lt", "uav": "uav123"}
"""Other names of data sets -> the one whose numbers apply; the sequences of LT2019 and LT2020 are the same."""


def published_for(dataset: str) -> list[Published]:
    """Return the published numbers of a data set, in the order of their sources."""
    wanted = ALIASES.get(dataset, dataset)
    return [number for number in published_numbers() if number.dataset == wanted]


def not_published_here(dataset: str) -> str:
    """Return which of the paper's numbers on a data set are in no available source; "" if none is missing."""
    return str(_read()["incomplete"].get(ALIASES.get(dataset, dataset), ""))
