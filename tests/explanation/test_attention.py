import numpy as np
import pytest
import torch

from starktrack.explanation.attention import Asked, layer_weights, recording
from starktrack.models.build import build_network
from starktrack.models.transformer import Attention


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return Attention(16, 4, 0.0).eval()


def call(network, model, *, padded=False):
    torch.manual_seed(1)
    side, small = model.search.side, model.template.side
    mask = torch.zeros(1, side, side, dtype=torch.bool)
    mask[:, :, side // 2 :] = padded
    templates = torch.randn(1, model.num_templates, 3, small, small)
    with torch.no_grad():
        return network(templates, None, torch.randn(1, 3, side, side), mask if padded else None)


def test_equal_logits_share_the_weight_equally(layer):
    # All keys are the same, so each of five gets 1/5.
    asked = Asked(layer, torch.randn(1, 3, 16), torch.ones(1, 5, 16), None)
    np.testing.assert_allclose(asked.weights(slice(None)), np.full((4, 3, 5), 0.2), atol=1e-6)


def test_weights_times_values_are_what_the_fused_layer_mixes(layer):
    query, key, bias = torch.randn(1, 3, 16), torch.randn(1, 5, 16), torch.zeros(1, 1, 1, 5)
    bias[..., 4] = float("-inf")
    weights = torch.from_numpy(Asked(layer, query, key, bias).weights(slice(None)))
    mixed = weights @ layer.split_heads(layer.value(key))[0]
    torch.testing.assert_close(
        layer.out(mixed.transpose(0, 1).flatten(1)[None]), layer(query, key, key, bias)
    )
    assert (weights[..., 4] == 0).all()


def test_every_layer_is_recorded_once_by_name(small_model):
    model = small_model("num_templates=2")
    network = build_network(model).eval()
    with recording(network) as asked:
        call(network, model)
    assert [name for name in asked if name.startswith("encoder")] == [
        "encoder.layers.0.attention",
        "encoder.layers.1.attention",
    ]
    # Templates of 2 x 2 cells, a search region of 4 x 4.
    assert layer_weights(asked, ".attention", slice(-1, None)).shape == (2, 4, 8 + 16)
    assert layer_weights(asked, ".cross_attention", slice(None)).shape == (2, 4, 8 + 16)
    np.testing.assert_allclose(layer_weights(asked, ".cross_attention", slice(None)).sum(-1), 1, atol=1e-5)


def test_padding_gets_no_weight(small_model):
    model = small_model()
    network = build_network(model).eval()
    with recording(network) as asked:
        call(network, model, padded=True)
    search = layer_weights(asked, ".cross_attention", slice(None))[..., -16:].reshape(2, 4, 4, 4)
    assert (search[..., 2:] == 0).all() and (search[..., :2] > 0).all()


def test_a_part_that_is_not_there_has_no_weights(small_model):
    model = small_model("transformer.num_decoder_layers=0")
    network = build_network(model).eval()
    with recording(network) as asked:
        call(network, model)
    assert layer_weights(asked, ".cross_attention", slice(None)) is None


def hooks(network):
    return sum(len(module._forward_pre_hooks) for module in network.modules())


def test_listening_changes_no_answer_and_leaves_no_hook(small_model):
    model = small_model("num_templates=2", "score_head=true")
    network = build_network(model).eval()
    before = call(network, model)
    with recording(network):
        during = call(network, model)
        assert hooks(network) == 2 + 2 * 2
    assert hooks(network) == 0
    assert torch.equal(before.box_cxcywh, during.box_cxcywh)
    assert torch.equal(before.score_logit, during.score_logit)


def test_an_error_leaves_no_hook_either(small_model):
    network = build_network(small_model())
    with pytest.raises(KeyError), recording(network):
        raise KeyError
    assert hooks(network) == 0
