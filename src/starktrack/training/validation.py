"""Validation between epochs: scores the weights that the run would publish, and keeps the best."""

import torch

from starktrack.config.schema import Config
from starktrack.config.training import Recipe
from starktrack.errors import ConfigError
from starktrack.kinds import kind_of
from starktrack.models.weights import save_weights
from starktrack.training.distributed import add_up
from starktrack.training.interrupt import Stop
from starktrack.training.job import Job
from starktrack.training.state import LoopState


def final_config(recipe: Recipe, stage_name: str) -> Config:
    """Return the configuration to store with the weights at the end of a stage."""
    names = list(recipe.stages)
    run_so_far = names[: names.index(stage_name) + 1]
    trained = [recipe.stages[name].trains for name in run_so_far]
    return kind_of(recipe.config).trained_config(recipe.config, trained)


def score_weights(job: Job, state: LoopState, stop: Stop) -> dict[str, float] | None:
    """Return mean overlap and success over the sequences of all processes, or None after an agreed stop.

    Raises:
        ConfigError: There is no sequence that can be scored.
    """
    assert job.validate is not None, "the loop asks only runs that validate"
    scores = []
    for score in job.validate(state.final_weights(), final_config(job.recipe, state.progress.stage)):
        scores.append(score)
        if stop.requested:
            break
    own = [float(len(scores)), *(float(sum(column)) for column in zip(*scores, strict=True))]
    sums = torch.tensor([float(stop.requested), *(own if scores else (0.0, 0.0, 0.0))], device=job.device)
    num_requests, count, overlap, success = add_up(sums, job.processes).tolist()
    stop.agree(num_requests)
    if stop.agreed:
        return None
    if not count:
        raise ConfigError(
            "validation must have at least one sequence that can be scored, got none (the log names those left "
            "out); set validation.every=0"
        )
    return {"overlap": overlap / count, "success": success / count}


def keep_if_best(job: Job, state: LoopState, success: float) -> bool:
    """Write `best.safetensors` if this is the stage's highest success so far; return whether it is."""
    progress = state.progress
    is_best = progress.best is None or success > progress.best
    if is_best:
        progress.best = success
        if job.processes.is_first:
            config = final_config(job.recipe, progress.stage)
            save_weights(job.out / "best.safetensors", state.final_weights(), config)
    return is_best
