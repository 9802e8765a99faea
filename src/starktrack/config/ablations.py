"""The rows of Tables 7 and 8 as changes of one recipe, with one budget for all rows.

Source: section 4.4, Table 7 (components left out), and section 4.5, Table 8 (other frameworks); success on LaSOT.
"""

from dataclasses import dataclass, replace

from starktrack.config.loading import override
from starktrack.config.schema import ModelConfig
from starktrack.config.training import Recipe, ValidationConfig
from starktrack.errors import ConfigError


@dataclass(frozen=True)
class Row:
    """One network of Table 7 or 8.

    Attributes:
        name: Of its folder.
        title: In the table.
        published: Success on LaSOT, per cent.
        tables: The tables that list it.
        model: Changes below `config.model`.
        stage: Changes below every stage that learns boxes.
        learns_score: Whether the stages that learn the score alone are run.
    """

    name: str
    title: str
    published: float
    tables: tuple[int, ...]
    model: tuple[str, ...] = ()
    stage: tuple[str, ...] = ()
    learns_score: bool = True


_WITHOUT_MAPS = ("loss.corner=0", "loss.centre=0")
_JOINT = ("trains=joint",)

OURS = Row("ours", "STARK (6 / ours)", 66.4, (7, 8))

ROWS = (
    Row("no_encoder", "1: no encoder", 61.1, (7,), ("transformer.num_encoder_layers=0",)),
    Row("no_decoder", "2: no decoder", 64.5, (7,), ("transformer.num_decoder_layers=0",)),
    Row("no_position", "3: no position", 66.2, (7,), ("transformer.position=none",)),
    Row(
        "mlp",
        "4: perceptron for corners",
        63.7,
        (7,),
        ("box_head.kind=mlp", "score_from=embedding"),
        _WITHOUT_MAPS,
    ),
    Row("no_score", "5: no score head", 64.5, (7,), ("score_head=false",), learns_score=False),
    Row("template_query", "template query", 61.2, (8,), ("framework=template_query",)),
    Row(
        "hungarian", "Hungarian, 10 queries", 63.7, (8,), ("framework=hungarian",), _JOINT, learns_score=False
    ),
    Row("query_update", "updated query", 64.8, (8,), ("framework=query_update",)),
    Row(
        "joint",
        "localised and classified jointly",
        62.5,
        (8,),
        (),
        (*_JOINT, "data.sampling.negative_share=0.5"),
        learns_score=False,
    ),
    OURS,
)


def row_recipe(row: Row, base: Recipe, num_samples: int) -> Recipe:
    """Return the recipe of a row: the base with the row's changes, within the budget, without validation.

    Raises:
        ConfigError: The base lacks a part that the row removes, or the budget is too small.
    """
    _check_base(base)
    stages = {name: stage for name, stage in base.stages.items() if row.learns_score or stage.trains == "box"}
    cut = replace(within_budget(base, num_samples), stages=stages, validation=ValidationConfig())
    boxes = [name for name, stage in stages.items() if stage.trains == "box"]
    changes = [f"config.name={base.config.name}_{row.name}", *(f"config.model.{each}" for each in row.model)]
    return override(cut, [*changes, *(f"stages.{name}.{each}" for name in boxes for each in row.stage)])


def within_budget(recipe: Recipe, num_samples: int) -> Recipe:
    """Return the recipe with epochs so short that all stages together see at most `num_samples` samples.

    Stages keep their number of epochs, and so their schedules and their shares of the budget.

    Raises:
        ConfigError: An epoch would be shorter than a batch.
    """
    epochs = sum(stage.epochs for stage in recipe.stages.values())
    steps = num_samples // epochs // recipe.run.batch_size
    if not steps:
        raise ConfigError(
            f"a budget must be at least {epochs * recipe.run.batch_size} samples (a batch in each of {epochs} epochs), "
            f"got {num_samples}; raise it, or take a recipe of fewer epochs"
        )
    return replace(recipe, run=replace(recipe.run, samples_per_epoch=steps * recipe.run.batch_size))


def _check_base(base: Recipe) -> None:
    model = base.config.model
    if not isinstance(model, ModelConfig):
        raise ConfigError(
            f"a recipe to ablate must train a tracker, got a {model.kind}'s; use ablation, st50 or st101"
        )
    layers = min(model.transformer.num_encoder_layers, model.transformer.num_decoder_layers)
    if (
        model.framework != "stark"
        or layers < 1
        or not model.box_head.has_corner_maps
        or model.num_templates < 2
    ):
        raise ConfigError(
            "a recipe to ablate must have encoder, decoder, corner head and a dynamic template, "
            f"got {base.config.name}; use ablation, st50 or st101"
        )
    if {stage.trains for stage in base.stages.values()} != {"box", "score"}:
        raise ConfigError(
            "a recipe to ablate must have a stage that trains the box and one that trains the score, "
            f"got {sorted(stage.trains for stage in base.stages.values())}"
        )
