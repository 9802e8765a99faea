"""Makes checked records of TOML, mappings and `key=value` overrides; one error lists all mistakes."""

import dataclasses
import logging
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from starktrack.config.schema import NESTED_ERROR, ModelConfig
from starktrack.errors import ConfigError, nearest_name

T = TypeVar("T")

RENAMED: dict[str, dict[str, str]] = {
    "data": {"staging": "distractors"},
    "distractors": {
        "decoys": "target_copies",
        "most_decoys": "most_target_copies",
        "intruders": "distractors",
        "kin": "same_class",
        "surroundings": "background_fill",
    },
    "synthetic": {"kin": "same_class"},
    "jitter": {"astray_share": "drift_share"},
    "model": {"template_slots": "role_embedding"},
}
"""Former names of settings, by table, so that older recipes and runs keep working."""

_LOG = logging.getLogger(__name__)

_RULES = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "dict_type": "a table of settings",
    "dataclass_type": "a table of settings",
    "list_type": "a list",
    "tuple_type": "a list",
}
"""What a value must be, by the kind of pydantic's error."""

_DEFAULT_KIND = ("kind", ModelConfig.kind)


def from_mapping(schema: type[T], values: Mapping[str, Any]) -> T:
    """Return the record of type `schema` with these values, defaults elsewhere.

    Settings under a former name (`RENAMED`) are taken, and a warning in the log gives the new name.

    Raises:
        ConfigError: Unknown keys, missing keys, or values outside their range; the error lists all of them.
    """
    try:
        return TypeAdapter(schema).validate_python(_with_new_names(dict(values)))
    except ValidationError as error:
        raise ConfigError(_explain(schema, error.errors())) from error


def to_mapping(record: Any) -> dict[str, Any]:
    """Return the record as nested plain dictionaries; `from_mapping` is the inverse."""
    # The kind of a tracker is left out, so that its files are the same as before kinds existed.
    return dataclasses.asdict(
        record,
        dict_factory=lambda items: {key: value for key, value in items if (key, value) != _DEFAULT_KIND},
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Return the nested mapping in a TOML file.

    Raises:
        ConfigError: The file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"a configuration must be a TOML file, {path} does not exist") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"a configuration must be valid TOML, {path}: {error}") from error
    except OSError as error:
        raise ConfigError(f"a configuration must be a readable file, {path}: {error.strerror}") from error


def override(record: T, assignments: Iterable[str]) -> T:
    """Return the record with `key=value` assignments applied; keys are dotted, values are TOML.

    A value that is not TOML is read as text, so `backbone.name=resnet18` needs no quotes.

    Raises:
        ConfigError: An assignment without `=`, an unknown key, or a value outside its range.

    Example:
        >>> from starktrack.config.presets import stark_s50
        >>> override(stark_s50(), ["model.search.side=256"]).model.search.side
        256
    """
    values = to_mapping(record)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"an override must read key=value, got {assignment!r}")
        path: list[str] = []
        for name in key.strip().split("."):
            path.append(_new_name(path[-1] if path else "", name))
        try:
            value = tomllib.loads(f"value = {text.strip()}")["value"]
        except (tomllib.TOMLDecodeError, RecursionError):
            value = text.strip()
        _assign(values, path, value)
    return from_mapping(type(record), values)


def _with_new_names(values: Mapping[str, Any], table: str = "") -> dict[str, Any]:
    named: dict[str, Any] = {}
    for key, value in values.items():
        new = _new_name(table, key)
        if new != key and new in values:
            raise ConfigError(f"{table}.{key} is now called {table}.{new}, got both; leave the former out")
        named[new] = _with_new_names(value, new) if isinstance(value, Mapping) else value
    return named


def _new_name(table: str, key: str) -> str:
    new = RENAMED.get(table, {}).get(key, key)
    if new != key:
        _LOG.warning(
            "the setting %s.%s is now called %s.%s; the former name still works", table, key, table, new
        )
    return new


def _assign(values: dict[str, Any], path: list[str], value: Any) -> None:
    node = values
    for depth, name in enumerate(path[:-1]):
        if name not in node:
            raise _unknown_key(".".join(path[: depth + 1]), node)
        if not isinstance(node[name], dict):
            key = ".".join(path[: depth + 1])
            raise ConfigError(f"{key} has no keys below it, got {'.'.join(path)!r}; give {key}=value")
        node = node[name]
    if path[-1] not in node:
        raise _unknown_key(".".join(path), node)
    node[path[-1]] = value


def _unknown_key(key: str, siblings: Mapping[str, Any]) -> ConfigError:
    table, dot, name = key.rpartition(".")
    deeper = [f"{table}{dot}{path}" for path in _paths(siblings) if path.endswith(f".{name}")]
    hint = nearest_name(name, siblings)
    if deeper and "did you mean" not in hint:
        hint = f"; did you mean {' or '.join(map(repr, deeper[:3]))}?"
    return ConfigError(f"unknown key {key!r}{hint}")


def _paths(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        yield name
        if isinstance(value, Mapping):
            yield from (f"{name}.{path}" for path in _paths(value))


def _explain(schema: type, details: Iterable[Mapping[str, Any]], below: tuple[str, ...] = ()) -> str:
    return "; ".join(_explain_one(schema, detail, below) for detail in details)


def _explain_one(schema: type, detail: Mapping[str, Any], below: tuple[str, ...]) -> str:
    path = [str(part) for part in detail["loc"]]
    key = ".".join((*below, *path))
    if detail["type"] == NESTED_ERROR:
        return _explain(detail["ctx"]["schema"], detail["ctx"]["errors"], (*below, *path))
    if detail["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"unknown key {key!r}{nearest_name(path[-1], _field_names(schema, path[:-1]))}"
    if detail["type"] == "missing":
        return f"{key} must be given"
    if detail["type"] == "value_error":
        return f"{key}: {detail['ctx']['error']}" if key else str(detail["ctx"]["error"])
    if detail["type"] in _RULES:
        limits = {
            name: f"{value:g}" if isinstance(value, float) else value
            for name, value in detail.get("ctx", {}).items()
        }
        rule = _RULES[detail["type"]].format(**limits)
        return f"{key} must be {rule}, got {detail['input']!r}"
    return f"{key}: {detail['msg']}, got {detail['input']!r}"


def _field_names(schema: Any, path: list[str]) -> list[str]:
    for name in path:
        if get_origin(schema) is dict:
            options = get_args(schema)[1:]
        else:
            annotation = {f.name: f.type for f in dataclasses.fields(schema)}.get(name)
            options = (annotation, *get_args(annotation))
        schema = next(
            (each for each in options if dataclasses.is_dataclass(each) or get_origin(each) is dict), None
        )
        if schema is None:
            return []
    return [f.name for f in dataclasses.fields(schema)] if dataclasses.is_dataclass(schema) else []
