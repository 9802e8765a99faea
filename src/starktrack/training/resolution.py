"""A stage may train on smaller crops: the same weights in a network for another size."""

from torch import nn

from starktrack.config.training import Recipe, StageConfig
from starktrack.kinds import kind_of


def at_resolution(network: nn.Module, recipe: Recipe, stage: StageConfig) -> nn.Module:
    """Return the network for the stage's crops; what is trained there is trained in `network` as well.

    Weights and averages are the same tensors, so nothing is copied back. Only what depends on the number of cells,
    such as the coordinates of the corner maps, is new.
    """
    model = recipe.config.model.at_resolution(stage.resolution)
    if model == recipe.config.model:
        return network
    smaller = kind_of(recipe.config).build(model, auxiliary_head=recipe.has_auxiliary_head)
    smaller.to(next(network.parameters()).device)
    smaller.load_state_dict(network.state_dict(), assign=True)
    if recipe.run.compile:
        smaller.compile()
    return smaller
