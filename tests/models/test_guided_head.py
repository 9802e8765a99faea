"""The guided corner head: which object from the heat, where its corners are from the corner maps."""

import pytest
import torch

from starktrack.config.presets import preset
from starktrack.config.schema import BoxHeadConfig
from starktrack.geometry.boxes import cxcywh_to_xyxy
from starktrack.models.build import build_network
from starktrack.models.centre_head import RARE, CentreHead
from starktrack.models.corner_head import CornerHead
from starktrack.models.guided_head import GuidedHead
from starktrack.models.prediction import CentreMaps

CELLS = 16


class KnownCorners(CornerHead):
    """A corner head that answers with given maps."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__(8, 8, CELLS, 0.5, weighted=False)
        self.answer = logits

    def box(self, search, embedding):
        return self.expectation(self.answer)


class KnownCentre(CentreHead):
    """A centre head that answers with given maps."""

    def __init__(self, maps: CentreMaps) -> None:
        super().__init__(8, 8, CELLS, weighted=False)
        self.answer = maps

    def maps(self, search, embedding):
        return self.answer


def look_alikes(hot: tuple[int, int]) -> GuidedHead:
    """Corner maps with two equal objects of four cells, at cells (1, 1) and (9, 9), and heat on one of them."""
    logits = torch.full((1, 2, CELLS, CELLS), -20.0)
    for column in (1, 9):
        logits[0, 0, column, column] = logits[0, 1, column + 4, column + 4] = 5.0
    heat = torch.full((1, CELLS, CELLS), RARE)
    heat[0, hot[1], hot[0]] = 3.0
    size = torch.full((1, 2, CELLS**2), 4 / CELLS)
    maps = CentreMaps(heat.flatten(1), torch.full((1, 2, CELLS**2), 0.5), size)
    return GuidedHead(KnownCorners(logits.flatten(2)), KnownCentre(maps))


TOKENS = torch.zeros(1, CELLS**2, 8), torch.zeros(1, 8)


@pytest.mark.parametrize("first", [1, 9])
def test_of_two_look_alikes_it_boxes_the_one_with_the_heat(first):
    head = look_alikes((first + 2, first + 2)).eval()
    expected = torch.tensor([[first + 0.5, first + 0.5, first + 4.5, first + 4.5]]) / CELLS
    torch.testing.assert_close(head.box(*TOKENS).box_xyxy, expected, atol=1e-4, rtol=0)


def test_alone_the_corners_would_lie_between_them_and_that_is_what_trains():
    head = look_alikes((3, 3)).train()
    between = torch.tensor([[5.5, 5.5, 9.5, 9.5]]) / CELLS
    prediction = head.box(*TOKENS)
    torch.testing.assert_close(prediction.box_xyxy, between, atol=1e-4, rtol=0)
    assert prediction.centre is not None


def test_a_network_with_it_answers_with_all_maps():
    torch.manual_seed(0)
    network = build_network(preset("stark_mobile").model).eval()
    crops = torch.randn(2, 2, 3, 128, 128), None, torch.randn(2, 3, 256, 256), None
    output = network(*crops)
    assert output.corner_logits.shape == (2, 2, 256) and output.centre.heat_logits.shape == (2, 256)
    assert output.score_logit.shape == (2,)
    alone = network.box_head.corner.expectation(output.corner_logits).box_xyxy  # the maps are not narrowed
    assert (cxcywh_to_xyxy(output.box_cxcywh) - alone).abs().max() > 1e-3


def test_maps_are_the_same_whether_it_trains_or_tracks():
    head = look_alikes((3, 3))
    trains, tracks = head.train().box(*TOKENS), head.eval().box(*TOKENS)
    torch.testing.assert_close(trains.corner_logits, tracks.corner_logits)
    assert (trains.box_xyxy - tracks.box_xyxy).abs().max() > 0.1


def test_corners_are_looked_for_half_a_box_away_and_a_cell_at_least():
    head = look_alikes((3, 3)).eval()
    near = head._near(torch.tensor([[0.25, 0.25, 0.75, 0.3]])).unflatten(2, (CELLS, CELLS))
    steps = near[0, 0].diff(n=2, dim=1)[0, 0], near[0, 0].diff(n=2, dim=0)[0, 0]  # of -x^2 / 2 / deviation^2
    across, down = ((1 / CELLS) ** 2 / -step for step in steps)
    assert across.sqrt().item() == pytest.approx(0.25, rel=1e-3) and down.sqrt().item() == pytest.approx(
        1 / CELLS
    )
    assert near[0, 1].argmax() // CELLS == 4 and near[0, 1].argmax() % CELLS in (11, 12)


def test_in_half_precision_corners_are_exact():
    head = look_alikes((3, 3)).eval()
    with torch.autocast("cpu", torch.bfloat16):
        box = head.box(*TOKENS).box_xyxy
    torch.testing.assert_close(box, head.box(*TOKENS).box_xyxy)


def test_the_width_of_its_towers_can_be_halved():
    with pytest.raises(ValueError, match="width must be a multiple of 8"):
        BoxHeadConfig(kind="guided", width=12)


def test_every_part_of_it_is_trained():
    network = build_network(preset("stark_mobile").model).train()
    output = network(torch.randn(2, 2, 3, 128, 128), None, torch.randn(2, 3, 256, 256), None)
    (output.box_cxcywh.sum() + output.centre.heat_logits.sum() + output.centre.size.sum()).backward()
    for part in ("corner.top_left.0.0", "corner.bottom_right.0.0", "centre.tower.0.0"):
        assert network.box_head.get_submodule(part).weight.grad.abs().sum() > 0, part
