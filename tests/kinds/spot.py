"""A third kind of network in one file, as somebody would add it: it finds the spot that looks like its template."""

from typing import Literal

import torch
from pydantic.dataclasses import dataclass
from torch import nn

from starktrack.config.network import STRICT, CropConfig, CropPlan, NetworkConfig
from starktrack.kinds.kind import Graph, Kind
from starktrack.tracking.protocol import Prediction
from starktrack.training.losses import LossTerms


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SpotModel(NetworkConfig):
    """Settings of the network."""

    kind: Literal["spot"] = "spot"
    width: int = 8

    @property
    def crops(self):
        return CropPlan(
            template=CropConfig(side=32, factor=2.0), search=CropConfig(side=64, factor=4.0), stride=4
        )


class Spot(nn.Module):
    """Template and search region share one layer; the answer is where their features agree."""

    def __init__(self, width):
        super().__init__()
        self.features = nn.Conv2d(3, width, 4, stride=4)
        self.size = nn.Parameter(torch.zeros(2))

    def embed(self, crops):
        return self.features(crops).mean((2, 3))[:, None]

    def locate(self, kept, crops):
        features = self.features(crops)
        likeness = (features * kept.mean(1)[:, :, None, None]).sum(1).flatten(1).softmax(1)
        cells = (torch.arange(features.shape[-1], device=crops.device) + 0.5) / features.shape[-1]
        rows, columns = torch.meshgrid(cells, cells, indexing="ij")
        spot = torch.stack([(likeness * each.flatten()).sum(1) for each in (columns, rows)], dim=1)
        return torch.cat([spot, self.size.sigmoid().expand_as(spot)], dim=1)


class SpotKind(Kind):
    """The record of `SpotModel`."""

    model = SpotModel
    graph = Graph(
        template_inputs={"template_crops": "crops"},
        template_outputs=("look",),
        search_inputs={"looks": "look", "crops": "crops"},
        outputs=("box_cxcywh",),
    )
    probability_name = "nothing else"

    def answer(self, boxes):
        return Prediction(boxes.astype(float), None)

    def probabilities(self, answer):
        return None

    def build(self, model, *, imagenet=False, backbone_weights=None, auxiliary_head=False):
        return Spot(model.width)

    def forward(self, network, batch):
        return network.locate(network.embed(batch.templates[:, 0]), batch.search)

    def loss(self, network, batch, recipe, stage, teacher=None):
        distance = (self.forward(network, batch) - batch.box_cxcywh).abs().mean()
        return LossTerms(distance, {"loss": distance.detach()})

    def embed(self, network, crops, masks, boxes_cxcywh):
        return network.embed(crops)

    def locate(self, network, kept, crops, masks):
        return network.locate(kept, crops)

    def values(self, output):
        return (output,)
