"""The centre head, and when the network computes it."""

import dataclasses

import torch

from starktrack.config.presets import preset
from starktrack.geometry.boxes import cxcywh_to_xyxy
from starktrack.models.build import build_network
from starktrack.models.centre_head import CentreHead, box_at
from starktrack.models.prediction import CentreMaps


def maps_of(heat: torch.Tensor, offset: tuple[float, float], size: tuple[float, float]) -> CentreMaps:
    cells = heat.shape[1]
    grids = (torch.tensor(pair)[None, :, None].expand(len(heat), 2, cells) for pair in (offset, size))
    return CentreMaps(heat, *grids)


def test_the_box_of_a_cell_is_its_corner_plus_offset_with_its_size():
    maps = maps_of(torch.zeros(1, 16), (0.5, 0.25), (0.5, 0.25))
    box = box_at(maps, torch.tensor([6]))  # column 2 of row 1 of four
    assert box.tolist() == [[(2.5 / 4) - 0.25, (1.25 / 4) - 0.125, (2.5 / 4) + 0.25, (1.25 / 4) + 0.125]]


def test_the_head_reads_the_box_at_the_peak_of_its_heat():
    torch.manual_seed(0)
    head = CentreHead(8, 8, cells=4, weighted=True).eval()
    search, embedding = torch.randn(3, 16, 8), torch.randn(3, 8)
    prediction = head.box(search, embedding)
    peak = prediction.centre.heat_logits.argmax(dim=1)
    torch.testing.assert_close(prediction.box_xyxy, box_at(prediction.centre, peak))
    assert prediction.corner_logits is None


def test_before_training_hardly_any_cell_is_a_centre():
    torch.manual_seed(0)
    head = CentreHead(8, 8, cells=4, weighted=False)
    heat = head.maps(torch.randn(2, 16, 8), torch.randn(2, 8)).heat_logits.sigmoid()
    assert heat.mean() < 0.1


def test_an_auxiliary_head_adds_its_maps_and_leaves_the_box_to_the_corners():
    torch.manual_seed(0)
    model = preset("stark_mobile").model
    head = dataclasses.replace(model.box_head, kind="corner")
    network = build_network(dataclasses.replace(model, box_head=head), auxiliary_head=True).eval()
    crops = torch.randn(1, 2, 3, 128, 128), None, torch.randn(1, 3, 256, 256), None
    beside = network(*crops)
    network.auxiliary_head = None
    alone = network(*crops)
    assert beside.centre.heat_logits.shape == (1, 256) and alone.centre is None
    torch.testing.assert_close(beside.box_cxcywh, alone.box_cxcywh)


def test_a_network_with_a_centre_head_answers_with_the_box_at_its_peak():
    model = preset("stark_mobile").model
    head = dataclasses.replace(model.box_head, kind="centre")
    network = build_network(dataclasses.replace(model, box_head=head)).eval()
    output = network(torch.randn(1, 2, 3, 128, 128), None, torch.randn(1, 3, 256, 256), None)
    peak = box_at(output.centre, output.centre.heat_logits.argmax(dim=1))
    torch.testing.assert_close(cxcywh_to_xyxy(output.box_cxcywh), peak)
    assert output.corner_logits is None
