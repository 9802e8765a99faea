"""The differences between two configurations, by dotted key."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from typing import Any


def different_settings(
    before: Mapping[str, Any], now: Mapping[str, Any], free: Iterable[str] = ()
) -> list[str]:
    """Return `key = new value, not old value` for every setting that differs.

    Args:
        before: Nested values, as `config.loading.to_mapping` gives them.
        now: The same of the other configuration.
        free: Patterns of keys that may differ, such as `tracking.*`.

    Example:
        >>> different_settings({"search": {"side": 320}}, {"search": {"side": 256}})
        ['search.side = 256, not 320']
    """
    old, new = _flat(before), _flat(now)
    return [
        f"{key} = {new.get(key)!r}, not {old.get(key)!r}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key) and not any(fnmatch(key, pattern) for pattern in free)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by dotted key, with the order of data sets and stages as values."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{key}.")
            if key in ("datasets", "stages"):
                flat[key] = list(value)
        else:
            flat[key] = value
    return flat
