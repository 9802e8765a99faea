"""Each part of the network on its own, against numbers worked by hand."""

import copy
import math

import pytest
import torch

from starktrack.config.schema import TransformerConfig
from starktrack.models.corner_head import CornerExpectation, CornerHead
from starktrack.models.features import Features, attention_bias
from starktrack.models.folding import fold
from starktrack.models.lightning import RepCornerHead, RepVggBackbone, RepVggBlock
from starktrack.models.mlp_head import MlpHead, Perceptron, ScoreHead
from starktrack.models.norm import FrozenNorm
from starktrack.models.position import LearnedPosition, NoPosition, SinePosition
from starktrack.models.transformer import Attention, Decoder, Encoder, plain_attention


def transparent(attention: Attention) -> Attention:
    """Make queries nought and values pass, so that the result is the mean of what is attended to."""
    width = attention.value.weight.shape[0]
    for linear, weight in ((attention.query, 0), (attention.value, 1), (attention.out, 1)):
        linear.weight.data.copy_(weight * torch.eye(width))
        linear.bias.data.zero_()
    return attention.eval()


def test_attention_without_preference_is_the_mean_of_what_may_be_attended_to():
    attention = transparent(Attention(4, 2, dropout=0.1))
    values = torch.tensor([[[1.0, 1, 1, 1], [3.0, 3, 3, 3], [100.0, 100, 100, 100]]])
    query = torch.randn(1, 2, 4)
    bias = torch.tensor([0.0, 0.0, float("-inf")])[None, None, None]
    assert attention(query, values, values, bias).tolist() == [[[2.0] * 4] * 2]
    assert attention(query, values, values)[0, 0, 0].item() == pytest.approx(104 / 3, abs=1e-4)


def test_attention_by_hand_weighs_by_the_softmax_of_scaled_products():
    attention = transparent(Attention(4, 1, dropout=0.0))
    for linear in (attention.query, attention.key):
        linear.weight.data.copy_(torch.eye(4))
        linear.bias.data.zero_()
    keys = torch.tensor([[[1.0, 0, 0, 0], [0.0, 1, 0, 0]]])
    query = torch.tensor([[[2 * math.log(3), 0.0, 0, 0]]])
    result = attention(query, keys, keys)[0, 0]
    torch.testing.assert_close(result, torch.tensor([0.75, 0.25, 0, 0]))


@pytest.mark.parametrize("masked", [False, True])
def test_attention_as_plain_products_equals_the_fused_kernel_with_its_gradients(masked):
    torch.manual_seed(0)
    mask = torch.zeros(2, 1, 1, 7)
    mask[0, ..., 5:] = float("-inf")
    results = []
    for attend in (plain_attention, torch.nn.functional.scaled_dot_product_attention):
        parts = [torch.linspace(-1, 1, 2 * 3 * n * 4).view(2, 3, n, 4).requires_grad_() for n in (5, 7, 7)]
        mixed = attend(*parts, attn_mask=mask if masked else None, dropout_p=0.0)
        (mixed * torch.arange(4)).sum().backward()
        results.append([mixed, *(part.grad for part in parts)])
    for ours, fused in zip(*results, strict=True):
        torch.testing.assert_close(ours, fused, rtol=1e-5, atol=1e-5)


def test_half_precision_training_attends_as_single_precision_does():
    torch.manual_seed(0)
    attention, tokens = Attention(32, 4, dropout=0.0), torch.randn(2, 9, 32)
    single = attention(tokens, tokens, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        half = attention(tokens, tokens, tokens)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), single, rtol=0.05, atol=0.02)  # bfloat16 keeps 8 bits


def test_dropout_acts_in_train_mode_only():
    torch.manual_seed(0)
    attention, tokens = Attention(8, 2, dropout=0.5), torch.randn(1, 5, 8)
    trained = [attention.train()(tokens, tokens, tokens) for _ in range(2)]
    assert not torch.equal(*trained)
    evaluated = [attention.eval()(tokens, tokens, tokens) for _ in range(2)]
    assert torch.equal(*evaluated)


def test_a_row_that_is_all_padding_attends_to_everything():
    mask = torch.tensor([[False, True], [True, True]])
    assert attention_bias(mask)[:, 0, 0].tolist() == [[0.0, float("-inf")], [0.0, 0.0]]
    assert attention_bias(None) is None


SMALL = {"width": 8, "num_heads": 2, "ffn_width": 16, "dropout": 0.0, "num_encoder_layers": 2}


def features(length=10, mask=None):
    generator = torch.Generator().manual_seed(0)
    return Features(
        torch.randn(2, length, 8, generator=generator), mask, torch.randn(2, length, 8, generator=generator)
    )


def test_with_queries_of_the_search_only_templates_pass_unchanged():
    memory = features()
    encoded = Encoder(TransformerConfig(**SMALL, encoder_queries="search"))(memory, 6).tokens
    assert torch.equal(encoded[:, :4], memory.tokens[:, :4])
    assert (encoded[:, 4:] - memory.tokens[:, 4:]).abs().min() > 0


def test_with_all_queries_every_token_changes_and_comes_out_normalised():
    memory = features()
    encoded = Encoder(TransformerConfig(**SMALL))(memory, 6).tokens
    assert (encoded - memory.tokens).abs().amax(dim=-1).min() > 0
    torch.testing.assert_close(encoded.mean(-1), torch.zeros(2, 10), atol=1e-6, rtol=0)


def test_the_residual_holds_the_position_where_it_is_asked_for():
    memory = features()
    torch.manual_seed(0)
    with_position = Encoder(TransformerConfig(**SMALL, residual_position=True))
    without = Encoder(TransformerConfig(**SMALL))
    without.load_state_dict(with_position.state_dict())
    assert not torch.allclose(with_position(memory, 6).tokens, without(memory, 6).tokens)
    still = Features(memory.tokens, None, torch.zeros_like(memory.position))
    torch.testing.assert_close(with_position(still, 6).tokens, without(still, 6).tokens)


def test_no_encoder_layers_leave_the_tokens_alone():
    memory = features()
    assert torch.equal(
        Encoder(TransformerConfig(**SMALL | {"num_encoder_layers": 0}))(memory, 6).tokens, memory.tokens
    )


def test_the_decoder_gives_one_normalised_embedding_for_each_target():
    decoder = Decoder(TransformerConfig(**SMALL, num_decoder_layers=2))
    embedding = decoder(features())
    assert embedding.shape == (2, 1, 8)
    torch.testing.assert_close(embedding.mean(-1), torch.zeros(2, 1), atol=1e-6, rtol=0)


def test_sine_position_by_hand():
    # Width 4 has one period of 1: sine and cosine of the row's share of a turn, then of the column's.
    position = SinePosition(4)(torch.zeros(1, 2, 2, dtype=torch.bool))
    half, whole = [0.0, -1.0], [0.0, 1.0]
    expected = torch.tensor([[half + half, half + whole, whole + half, whole + whole]])
    torch.testing.assert_close(position, expected, atol=1e-5, rtol=0)


def test_sine_position_counts_only_cells_that_are_not_padding():
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, :, 0] = True
    masked = SinePosition(8)(mask).unflatten(1, (4, 4))
    third = SinePosition(8)(torch.zeros(1, 4, 3, dtype=torch.bool)).unflatten(1, (4, 3))
    torch.testing.assert_close(masked[:, :, 1:], third)


def test_sine_position_of_nothing_but_padding_is_finite():
    assert torch.isfinite(SinePosition(8)(torch.ones(2, 3, 3, dtype=torch.bool))).all()


def test_learned_position_is_the_vector_of_the_column_then_of_the_row():
    part = LearnedPosition(4, 3)
    position = part(torch.zeros(2, 3, 3, dtype=torch.bool))
    assert position.shape == (2, 9, 4)
    assert torch.equal(position[1, 5], torch.cat([part.column[2], part.row[1]]))


def test_no_position_is_zero():
    position = NoPosition(4)(torch.zeros(2, 3, 5, dtype=torch.bool))
    assert position.shape == (2, 15, 4) and not position.any()


@pytest.mark.parametrize(("offset", "x", "y"), [(0.0, 0.5, 0.25), (0.5, 0.625, 0.375)])
def test_a_sure_corner_lies_in_its_cell(offset, x, y):
    logits = torch.full((1, 2, 16), -1e4)
    logits[0, :, 1 * 4 + 2] = 1e4  # row 1, column 2 of 4 x 4
    assert CornerExpectation(4, offset)(logits).box_xyxy.tolist() == [[x, y, x, y]]


def test_an_unsure_corner_is_the_mean_of_all_cells():
    box = CornerExpectation(4, 0.0)(torch.zeros(1, 2, 16)).box_xyxy
    torch.testing.assert_close(box, torch.full((1, 4), 0.375))


def test_corners_are_expected_in_single_precision_whatever_the_maps_are():
    box = CornerExpectation(4, 0.0)(torch.randn(1, 2, 16).bfloat16()).box_xyxy
    assert box.dtype == torch.float32


def test_published_quirk_no_edge_lies_beyond_nineteen_twentieths_of_the_crop():
    last = torch.full((1, 2, 400), -1e4)
    last[..., -1] = 1e4
    torch.testing.assert_close(CornerExpectation(20, 0.0)(last).box_xyxy, torch.full((1, 4), 0.95))


def test_the_corner_head_weighs_cells_by_their_likeness_to_the_target():
    torch.manual_seed(0)
    head = CornerHead(8, 16, cells=4, cell_offset=0.0, weighted=True).eval()
    search = torch.randn(2, 16, 8)
    unlike = torch.zeros(2, 8)
    blind = head.box(search, unlike)
    torch.testing.assert_close(blind.box_xyxy[0], blind.box_xyxy[1])
    assert not torch.allclose(head.box(search, torch.randn(2, 8)).box_xyxy[0], blind.box_xyxy[0])
    assert blind.corner_logits.shape == (2, 2, 16)


def test_without_a_decoder_the_corner_head_does_not_compare():
    head = CornerHead(8, 16, cells=4, cell_offset=0.0, weighted=False).eval()
    search = torch.randn(1, 16, 8)
    torch.testing.assert_close(
        head.box(search, torch.zeros(1, 8)).box_xyxy, head.box(search, torch.ones(1, 8)).box_xyxy
    )


def test_a_perceptron_by_hand():
    perceptron = Perceptron(1, 1, 1)
    for layer, (weight, bias) in zip(perceptron.layers, [(2.0, -1.0), (-1.0, 5.0), (3.0, 0.5)], strict=True):
        layer.weight.data.fill_(weight)
        layer.bias.data.fill_(bias)
    # 2 -> 3 -> 2 -> 6.5; -2 -> -5, cut to 0 -> 5 -> 15.5; 9 -> 17 -> -12, cut to 0 -> 0.5
    assert perceptron(torch.tensor([[2.0], [-2.0], [9.0]])).flatten().tolist() == [6.5, 15.5, 0.5]


def test_a_perceptron_head_that_knows_nothing_says_the_middle_half():
    head = MlpHead(8, 16)
    for parameter in head.parameters():
        parameter.data.zero_()
    prediction = head.box(torch.randn(1, 16, 8), torch.randn(1, 8))
    assert prediction.box_xyxy.tolist() == [[0.25, 0.25, 0.75, 0.75]]
    assert prediction.corner_logits is None


def test_the_score_head_gives_one_logit_for_each_target():
    assert ScoreHead(8)(torch.randn(3, 8)).shape == (3, 1)


def scrambled(module):
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d | FrozenNorm):
            torch.nn.init.uniform_(part.running_mean, -1, 1)
            torch.nn.init.uniform_(part.running_var, 0.5, 2)
            torch.nn.init.uniform_(part.weight, 0.5, 2)
            torch.nn.init.uniform_(part.bias, -1, 1)
    return module.eval()


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(8, 8, 1), (8, 12, 1), (8, 8, 2), (3, 8, 2)])
@pytest.mark.parametrize("norm", [torch.nn.BatchNorm2d, FrozenNorm])
def test_a_folded_block_equals_its_branches(inputs, outputs, stride, norm):
    block = scrambled(RepVggBlock(inputs, outputs, stride, norm))
    image = torch.randn(2, inputs, 9, 9)
    with torch.no_grad():
        before = block(image)
        block.fold()
        torch.testing.assert_close(block(image), before, atol=1e-5, rtol=1e-5)
    assert set(block.state_dict()) == {"folded.weight", "folded.bias"}


def test_folding_a_network_folds_every_block_once():
    network = scrambled(torch.nn.Sequential(RepVggBackbone(), torch.nn.Conv2d(192, 8, 1)))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = network(image)
        folded = fold(copy.deepcopy(network))
        torch.testing.assert_close(folded(image), before, atol=1e-4, rtol=1e-4)
        again = fold(folded)(image)
        torch.testing.assert_close(again, before, atol=1e-4, rtol=1e-4)
    assert sum(".folded.weight" in key for key in folded.state_dict()) == 11


def test_the_folded_corner_head_equals_the_one_that_was_trained():
    head = scrambled(RepCornerHead(8, cells=4, cell_offset=0.5))
    search = torch.randn(2, 16, 8)
    with torch.no_grad():
        before = head.box(search, torch.zeros(2, 8)).box_xyxy
        after = fold(head).box(search, torch.zeros(2, 8)).box_xyxy
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)


def test_features_keep_order_and_masks_when_joined():
    masked, bare = features(3, torch.tensor([[True, False, False]] * 2)), features(2)
    joined = Features.concatenate([masked, bare])
    assert joined.tokens.shape == (2, 5, 8)
    assert joined.padding_mask.tolist() == [[True, False, False, False, False]] * 2
    assert Features.concatenate([bare, bare]).padding_mask is None
    stacked = Features.stack([masked.row(1), features(3).row(0)])
    assert stacked.padding_mask.tolist() == [[True, False, False], [False, False, False]]


def test_a_row_of_features_drops_a_mask_that_masks_nothing():
    mixed = features(3, torch.tensor([[True, False, False], [False, False, False]]))
    assert mixed.row(0).padding_mask.tolist() == [[True, False, False]]
    assert mixed.row(1).padding_mask is None
