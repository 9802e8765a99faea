"""`starktrack ablate`: every row of Tables 7 and 8 trained under one budget, and both tables."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from starktrack.cli.options import Device, DeviceOption
from starktrack.config.ablations import OURS, ROWS, Row, row_recipe
from starktrack.config.loading import override, to_mapping
from starktrack.config.recipes import read_recipe
from starktrack.config.training import Recipe
from starktrack.errors import ConfigError, nearest_name
from starktrack.files import atomic_write


def ablate(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="What the rows differ from; a name or a file, as for train."),
    ] = "ablation",
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, for every row."),
    ] = None,
    data: Annotated[
        Path, typer.Option("--data", metavar="ROOT", help="Folder that the recipe's data sets lie below.")
    ] = Path("data"),
    budget: Annotated[
        int, typer.Option(metavar="SAMPLES", min=1, help="Samples that each row may see, over all stages.")
    ] = 20_000,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the rows and tables.md.")
    ] = Path("runs/ablate"),
    row: Annotated[
        list[str] | None, typer.Option("--row", metavar="NAME", help="Only this row; repeat for more.")
    ] = None,
    device: DeviceOption = Device.auto,
) -> None:
    """Train every row of Tables 7 and 8 under one budget, score them, and print both tables.

    Every row is scored by tracking the recipe's validation sequences. What is done is not done again: after any
    end the same command goes on.
    """
    base = override(read_recipe(recipe), overrides or [])
    if not base.validation.datasets:
        raise ConfigError(
            "a recipe to ablate must have [validation.datasets.NAME] to score the rows on, got none"
        )
    plans = {each: row_recipe(each, base, budget) for each in _chosen(row or [])}
    scores = {}
    for each, plan in plans.items():
        scores[each.name] = _finish(each, plan, base, data, out / each.name, device)
    text = tables(scores, f"{recipe}, {budget} samples a row, {datetime.now(UTC):%Y-%m-%d}")
    with atomic_write(out / "tables.md") as partial:
        partial.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def tables(success: Mapping[str, float], caption: str) -> str:
    """Return Tables 7 and 8 as Markdown: what was measured beside what was published, per cent.

    Args:
        success: Of the rows that were measured, by name, from 0 to 1.
        caption: What was measured, and how.
    """
    return "\n".join(_table(number, success, caption) for number in (7, 8))


def _table(number: int, success: Mapping[str, float], caption: str) -> str:
    lines = [
        f"### Table {number}: {caption}",
        "",
        "| row | success here | against ours | published (LaSOT) | against ours |",
        "|---|---|---|---|---|",
    ]
    for row in (row for row in ROWS if number in row.tables):
        here, against = "-", "-"
        if row.name in success:
            here = f"{100 * success[row.name]:.1f}"
            if OURS.name in success:
                against = f"{100 * (success[row.name] - success[OURS.name]):+.1f}"
        lines.append(
            f"| {row.title} | {here} | {against} | {row.published:.1f} | {row.published - OURS.published:+.1f} |"
        )
    return "\n".join([*lines, ""])


def _chosen(names: Sequence[str]) -> list[Row]:
    known = [row.name for row in ROWS]
    for name in names:
        if name not in known:
            raise ConfigError(f"--row must be a row of Table 7 or 8, got {name!r}{nearest_name(name, known)}")
    return [row for row in ROWS if row.name in (names or known)]


def _finish(row: Row, plan: Recipe, base: Recipe, data: Path, out: Path, device: Device) -> float:
    """Return the row's success, after training and scoring it as far as that was not done before."""
    score = out / "score.json"
    recipe, wanted = out.with_suffix(".json"), json.dumps(to_mapping(plan), indent=2)
    out.mkdir(parents=True, exist_ok=True)
    if recipe.is_file() and json.loads(recipe.read_text(encoding="utf-8")) != json.loads(wanted):
        raise ConfigError(f"--out must be a new folder for another recipe or budget, {out} holds another run")
    with atomic_write(recipe) as partial:
        partial.write_text(wanted, encoding="utf-8")
    if score.is_file():
        return json.loads(score.read_text(encoding="utf-8"))["success"]
    from starktrack.cli.train import train

    if not (out / "weights.safetensors").is_file():
        sys.stderr.write(f"{row.name}:\n")
        train(str(recipe), data=data, out=out, resume=True, device=device)
    told = _score(out / "weights.safetensors", base, data, device)
    with atomic_write(score) as partial:
        partial.write_text(json.dumps(told, indent=2), encoding="utf-8")
    sys.stderr.write(f"{row.name}: success {told['success']:.3f}, overlap {told['overlap']:.3f}\n")
    return told["success"]


def _score(weights: Path, base: Recipe, data: Path, device: Device) -> dict[str, Any]:
    """Return mean success and overlap over the validation sequences, and those of each."""
    from starktrack.api import load
    from starktrack.training.datasets import open_collections
    from starktrack.workflows.validation import choose_sequences, score_sequence

    tracker = load(weights=weights, device=device.value)
    opened = open_collections(base.validation.datasets, data, base.run.seed)
    sequences = choose_sequences(opened, base.validation)
    each = {
        sequence.name: score_sequence(tracker, sequence, base.validation.max_frames) for sequence in sequences
    }
    overlap, success = (sum(values) / len(each) for values in zip(*each.values(), strict=True))
    return {"success": success, "overlap": overlap, "sequences": each}
