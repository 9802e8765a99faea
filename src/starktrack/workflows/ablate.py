"""Ablation: trains every row of Tables 7 and 8 under one budget, and writes both tables."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starktrack.config.ablations import OURS, ROWS, Row, row_recipe
from starktrack.config.loading import override, to_mapping
from starktrack.config.recipes import read_recipe
from starktrack.config.training import Recipe
from starktrack.errors import ConfigError, nearest_name
from starktrack.files import atomic_write
from starktrack.workflows.callbacks import Note, OnIndex
from starktrack.workflows.train import TrainingRun, train

if TYPE_CHECKING:
    from starktrack.training.metrics_log import Record


@dataclass(frozen=True)
class Ablation:
    """The results of the rows.

    Attributes:
        success: Of the rows that were scored, by name, from 0 to 1.
        tables: Tables 7 and 8 as Markdown.
        stopped: The run that a signal stopped, before the remaining rows; None after all rows.
    """

    success: Mapping[str, float]
    tables: str
    stopped: TrainingRun | None = None


def ablate(
    recipe: str | Path = "ablation",
    overrides: Sequence[str] = (),
    *,
    data: str | Path = "data",
    budget: int = 20_000,
    out: str | Path = "runs/ablate",
    rows: Sequence[str] = (),
    device: str = "auto",
    on_note: Note | None = None,
    on_record: "Callable[[Record], None] | None" = None,
    on_index: OnIndex | None = None,
) -> Ablation:
    """Train every row of Tables 7 and 8 under one budget, and score them on the recipe's validation sequences.

    The same call resumes after any interruption and repeats no finished row.

    Args:
        recipe: The base of the rows, as for `train`.
        overrides: Changes to the recipe, for every row.
        data: Folder that the recipe's data sets lie below.
        budget: Samples that each row may see, over all stages.
        out: Folder for the rows and `tables.md`.
        rows: Only these.
        device: `auto`, `cpu`, `cuda` or `mps`.
        on_note: Called with the name of a row that begins, and with its score.
        on_record: Called with every record of the metrics of the rows.
        on_index: Called while the index of a data set is built.

    Raises:
        ConfigError: An unknown row, a recipe without validation, or a folder with other rows.
        StarktrackError: As `train`.
    """
    note = on_note or (lambda line: None)
    base = override(read_recipe(str(recipe)), list(overrides))
    if not base.validation.datasets:
        raise ConfigError(
            "a recipe to ablate must have [validation.datasets.NAME] to score the rows on, got none"
        )
    plans = {each: row_recipe(each, base, budget) for each in _chosen(rows)}
    success: dict[str, float] = {}
    for row, plan in plans.items():
        folder = Path(out) / row.name
        wanted = _claim(folder, plan)
        score = folder / "score.json"
        if not score.is_file():
            if not (folder / "weights.safetensors").is_file():
                note(f"{row.name}:")
                run = train(
                    wanted,
                    data=data,
                    out=folder,
                    resume=True,
                    device=device,
                    on_record=on_record,
                    on_index=on_index,
                )
                if run.signal:
                    return Ablation(success, "", run)
                note(f"weights: {run.weights}")
            found = _score(folder / "weights.safetensors", base, Path(data), device)
            with atomic_write(score) as partial:
                partial.write_text(json.dumps(found, indent=2), encoding="utf-8")
            note(f"{row.name}: success {found['success']:.3f}, overlap {found['overlap']:.3f}")
        success[row.name] = json.loads(score.read_text(encoding="utf-8"))["success"]
    text = tables(success, f"{recipe}, {budget} samples a row, {datetime.now(UTC):%Y-%m-%d}")
    with atomic_write(Path(out) / "tables.md") as partial:
        partial.write_text(text, encoding="utf-8")
    return Ablation(success, text)


def tables(success: Mapping[str, float], caption: str) -> str:
    """Return Tables 7 and 8 as Markdown: measured beside published values, per cent.

    Args:
        success: Of the rows that were measured, by name, from 0 to 1.
        caption: The measurement and its settings.
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


def _claim(folder: Path, plan: Recipe) -> Path:
    """Write the recipe of a row beside its folder and return the file; ConfigError if the folder is another
    run's.
    """
    recipe, wanted = folder.with_suffix(".json"), json.dumps(to_mapping(plan), indent=2)
    folder.mkdir(parents=True, exist_ok=True)
    if recipe.is_file() and json.loads(recipe.read_text(encoding="utf-8")) != json.loads(wanted):
        raise ConfigError(
            f"--out must be a new folder for another recipe or budget, {folder} holds another run"
        )
    with atomic_write(recipe) as partial:
        partial.write_text(wanted, encoding="utf-8")
    return recipe


def _score(weights: Path, base: Recipe, data: Path, device: str) -> dict[str, Any]:
    """Return mean success and overlap over the validation sequences, and those of each."""
    from starktrack.api import load
    from starktrack.training.datasets import open_collections
    from starktrack.workflows.validation import choose_sequences, score_sequence

    tracker = load(weights=weights, device=device)
    opened = open_collections(base.validation.datasets, data, base.run.seed)
    sequences = choose_sequences(opened, base.validation)
    each = {
        sequence.name: score_sequence(tracker, sequence, base.validation.max_frames) for sequence in sequences
    }
    overlap, success = (sum(values) / len(each) for values in zip(*each.values(), strict=True))
    return {"success": success, "overlap": overlap, "sequences": each}
