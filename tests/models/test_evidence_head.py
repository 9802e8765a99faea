"""The score from evidence: each number by hand, and what moves it."""

import math

import torch

from starktrack.config.presets import preset
from starktrack.models.build import build_network
from starktrack.models.evidence_head import EvidenceScoreHead, inside, sharpness
from starktrack.models.features import Features
from starktrack.models.prediction import BoxPrediction, CentreMaps

BOX = torch.tensor([[0.25, 0.25, 0.75, 0.75]])


def features(tokens: torch.Tensor, mask: torch.Tensor | None = None) -> Features:
    return Features(tokens, mask, torch.zeros_like(tokens))


def test_cells_count_by_how_far_inside_the_box_they_lie():
    weight = inside(BOX, (torch.arange(4) + 0.5) / 4).unflatten(1, (4, 4))[0]
    edge = 1 / (1 + math.exp(-1.0)) * (1 / (1 + math.exp(-3.0)))
    assert abs(weight[1, 1].item() - edge**2) < 1e-6
    assert weight[0, 0] < 0.1 < 0.4 < weight[1, 2]
    torch.testing.assert_close(weight, weight.T)


def test_sharpness_of_a_flat_map_and_of_a_peak():
    flat, peak = torch.zeros(1, 4), torch.tensor([[0.0, 0.0, 50.0, 0.0]])
    numbers = sharpness(BoxPrediction(BOX, torch.stack([flat, peak], dim=1)))[0]
    expected = [0.0, 50.0, -math.log(4), 0.0, math.log(4), 0.0]
    torch.testing.assert_close(numbers, torch.tensor(expected), atol=1e-5, rtol=0)


def test_a_centre_head_gives_one_map():
    maps = CentreMaps(torch.zeros(1, 4), torch.zeros(1, 2, 4), torch.zeros(1, 2, 4))
    assert sharpness(BoxPrediction(BOX, None, maps)).shape == (1, 3)


def test_a_guided_head_gives_three_maps_the_corners_first():
    maps = CentreMaps(torch.full((1, 16), 2.0), torch.rand(1, 2, 16), torch.rand(1, 2, 16))
    box = BoxPrediction(BOX, torch.stack([torch.zeros(16), torch.ones(16)])[None], maps)
    highest, peak, entropy = sharpness(box)[0].split(3)
    assert highest.tolist() == [0, 1, 2]
    torch.testing.assert_close(peak, torch.full((3,), -math.log(16)))
    torch.testing.assert_close(entropy, torch.full((3,), math.log(16)))


def test_the_score_depends_on_the_look_inside_the_box_and_not_outside_the_image():
    torch.manual_seed(0)
    head = EvidenceScoreHead(8, cells=4, template_cells=2, template_factor=2.0, num_maps=2).eval()
    box = BoxPrediction(torch.tensor([[0.0, 0.0, 0.5, 0.5]]), torch.zeros(1, 2, 16))
    template, search, encoded, embedding = (
        torch.randn(1, 4, 8),
        torch.randn(1, 16, 8),
        torch.randn(1, 16, 8),
        torch.randn(1, 8),
    )
    mask = torch.zeros(1, 16, dtype=torch.bool)
    mask[0, 0] = True

    def score(search: torch.Tensor) -> float:
        return head.logit(features(template), features(search, mask), encoded, embedding, box).item()

    changed_inside, changed_in_padding = search.clone(), search.clone()
    changed_inside[0, 5] += 3
    changed_in_padding[0, 0] += 3
    assert score(search) != score(changed_inside)
    assert score(search) == score(changed_in_padding)


def test_what_a_template_shows_beyond_the_image_does_not_count():
    torch.manual_seed(0)
    head = EvidenceScoreHead(8, cells=4, template_cells=2, template_factor=1.0, num_maps=2).eval()
    box = BoxPrediction(BOX, torch.zeros(1, 2, 16))
    search, template = features(torch.randn(1, 16, 8)), torch.randn(1, 4, 8)
    changed = template.clone()
    changed[0, 3] += 3
    mask = torch.tensor([[False, False, False, True]])

    def score(tokens: torch.Tensor, mask: torch.Tensor | None) -> float:
        return head.logit(features(tokens, mask), search, search.tokens, torch.zeros(1, 8), box).item()

    assert score(template, mask) == score(changed, mask)
    assert score(template, None) != score(changed, None)


def test_stark_mobile_scores_with_it():
    network = build_network(preset("stark_mobile").model).eval()
    output = network(torch.zeros(2, 2, 3, 128, 128), None, torch.zeros(2, 3, 256, 256), None)
    assert isinstance(network.score_head, EvidenceScoreHead) and output.score_logit.shape == (2,)
