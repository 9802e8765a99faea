"""Recipe files: TOML or a run's JSON, or the name of a recipe in the package; `base` builds on another recipe."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from starktrack.config.loading import from_mapping, read_toml, to_mapping
from starktrack.config.metadata import upgraded_refiner
from starktrack.config.presets import preset
from starktrack.config.training import Recipe
from starktrack.errors import ConfigError, nearest_name


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(Path(entry.name).stem for entry in _folder().iterdir() if entry.name.endswith(".toml"))


def read_recipe(name_or_path: str) -> Recipe:
    """Return a recipe that comes with the package, or the one in a TOML file or a run's `recipe.json`.

    `config = "stark_s50"` takes a preset; that of a refiner, `config = "refine_mobile"`, makes it a refiner's.
    `base = "s50"` starts from another recipe; a table that is given then replaces the table of that name as a
    whole.

    Raises:
        ConfigError: No such recipe, unknown keys, or values outside their range.
    """
    values = _resolved(name_or_path, seen=())
    if isinstance(values.get("config"), str):
        values["config"] = to_mapping(preset(values["config"]))
    return recipe_from_mapping(values)


def recipe_from_mapping(values: Any) -> Recipe:
    """Return the recipe with these values, also in the older format of refiners.

    Raises:
        ConfigError: Unknown keys, or values outside their range.
    """
    config = values.get("config") if isinstance(values, Mapping) else None
    if isinstance(config, Mapping) and "mask_threshold" in config:
        values = {**values, "config": upgraded_refiner(config)}
    return from_mapping(Recipe, values)


def _resolved(name_or_path: str, seen: tuple[str, ...]) -> dict[str, Any]:
    if name_or_path in seen:
        raise ConfigError(f"a recipe must not be its own base, got {' -> '.join((*seen, name_or_path))}")
    values = _read(_locate(name_or_path))
    base = values.pop("base", None)
    if base is None:
        return values
    return {**_resolved(base, (*seen, name_or_path)), **values}


def _read(path: Path) -> dict[str, Any]:
    if path.suffix != ".json":
        return read_toml(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"a recipe must be a file that can be read, {path} is not: {error}") from error


def _locate(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.parts == ("recipes", f"{path.stem}.toml") and path.stem in recipe_names() and not path.exists():
        return Path(str(_folder() / path.name))  # as the file is called in the source
    if path.suffix in (".toml", ".json"):
        return path
    if name_or_path not in recipe_names():
        raise ConfigError(
            f"a recipe must be a TOML or JSON file or one of ours, got {name_or_path!r}"
            f"{nearest_name(name_or_path, recipe_names())}"
        )
    return Path(str(_folder() / f"{name_or_path}.toml"))


def _folder() -> Any:
    return files("starktrack") / "recipes"
