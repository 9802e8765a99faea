"""Three-layer perceptrons: the score of a search region, and the box head that the paper compares with."""

import itertools

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from starktrack.geometry.boxes import cxcywh_to_xyxy
from starktrack.models.features import Features
from starktrack.models.prediction import BoxPrediction


class Perceptron(nn.Module):
    """Linear layers with ReLU between."""

    def __init__(self, width: int, hidden: int, outputs: int, num_layers: int = 3) -> None:
        super().__init__()
        sizes = [width, *[hidden] * (num_layers - 1), outputs]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in itertools.pairwise(sizes))

    def forward(self, values: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch outputs"]:
        """Return the last layer's output, without activation."""
        for layer in self.layers[:-1]:
            values = functional.relu(layer(values))
        return self.layers[-1](values)


class ScoreHead(Perceptron):
    """The logit that the search region holds the target.

    Source: section 3.2, Head; 256 hidden units in each layer.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 1)

    def logit(
        self,
        templates: Features,
        search: Features,
        encoded: Float[Tensor, "batch cells width"],
        embedding: Float[Tensor, "batch width"],
        box: BoxPrediction,
    ) -> Float[Tensor, " batch"]:
        """Return the logit, from the embedding alone; `EvidenceScoreHead` uses the rest."""
        return self(embedding)[:, 0]


class MlpHead(Perceptron):
    """The box from the target's embedding alone (Table 7, row 4; the head of DETR)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(width, hidden, 4)

    def box(
        self, search: Float[Tensor, "batch cells width"], embedding: Float[Tensor, "batch width"]
    ) -> BoxPrediction:
        """Return the box in crop units; there are no corner maps."""
        return BoxPrediction(cxcywh_to_xyxy(self(embedding).sigmoid()), corner_logits=None)
