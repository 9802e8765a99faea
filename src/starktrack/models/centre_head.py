"""The centre head: where the target's centre is, as a heat map, and how large the target is there.

Not in the paper. It learns sooner than corner maps where data are few, and its peak never lies between two similar
objects. `BoxHeadConfig.kind = "centre"` reads the box from it, `guided` reads the corner maps near its peak. As the
auxiliary head it is trained beside another head and dropped afterwards.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from starktrack.geometry.boxes import cxcywh_to_xyxy
from starktrack.models.corner_head import weighted_by_similarity
from starktrack.models.prediction import BoxPrediction, CentreMaps

RARE = -4.0
"""Initial bias of the heat logits: about 2 %, since the centre is in one cell of several hundred."""


class CentreHead(nn.Module):
    """One fully-convolutional tower over the search region weighted by its similarity to the target.

    Args:
        width: Channels of the tokens.
        hidden: Channels after the first layer; halved once.
        cells: Cells along one side of the search region.
        weighted: Whether to weight by similarity; off without a decoder, whose output is compared.
    """

    def __init__(self, width: int, hidden: int, cells: int, weighted: bool) -> None:
        super().__init__()
        self.cells, self.weighted = cells, weighted
        self.tower = nn.Sequential(
            _block(width, hidden), _block(hidden, hidden // 2), _block(hidden // 2, hidden // 2)
        )
        self.readout = nn.Conv2d(hidden // 2, 5, 1)
        nn.init.constant_(self.readout.get_parameter("bias")[:1], RARE)

    def box(
        self, search: Float[Tensor, "batch cells width"], embedding: Float[Tensor, "batch width"]
    ) -> BoxPrediction:
        """Return the box at the peak of the heat, and the maps."""
        maps = self.maps(search, embedding)
        return BoxPrediction(box_at(maps, maps.heat_logits.argmax(dim=1)), None, maps)

    def maps(
        self, search: Float[Tensor, "batch cells width"], embedding: Float[Tensor, "batch width"]
    ) -> CentreMaps:
        """Return heat, offset and size of every cell, in float32."""
        if self.weighted:
            search = weighted_by_similarity(search, embedding)
        grid = search.transpose(1, 2).unflatten(2, (self.cells, self.cells)).contiguous()
        # In float32: half precision would move boxes by pixels.
        values = self.readout(self.tower(grid)).flatten(2).float()
        return CentreMaps(values[:, 0], values[:, 1:3].sigmoid(), values[:, 3:].sigmoid())


def box_at(maps: CentreMaps, cell: Tensor) -> Float[Tensor, "batch 4"]:
    """Return the box that the maps give at one cell of each search region (xyxy, crop units)."""
    cells = round(maps.heat_logits.shape[1] ** 0.5)
    chosen = cell[:, None, None].expand(-1, 2, 1)
    offset, size = (values.gather(2, chosen)[..., 0] for values in (maps.offset, maps.size))
    corner = torch.stack([cell % cells, cell // cells], dim=1)
    return cxcywh_to_xyxy(torch.cat([(corner + offset) / cells, size], dim=1))


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True))
