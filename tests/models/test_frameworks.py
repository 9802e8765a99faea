"""The rejected designs of Table 8: what differs from STARK, and that nothing else does."""

import pytest
import torch

from starktrack.config.schema import Config
from starktrack.errors import ConfigError
from starktrack.kinds import load_network
from starktrack.models.build import build_network
from starktrack.models.features import Features
from starktrack.models.frameworks.hungarian import NUM_QUERIES, CandidatesOutput, chosen_rows
from starktrack.models.weights import save_weights

ST = ("num_templates=2", "score_head=true")
FRAMEWORKS = ("template_query", "hungarian", "query_update")


def changes(name):
    return (f"framework={name}", *ST)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_answers_like_stark(name, small_model, small_network, crops_for):
    output = small_network(*changes(name))(*crops_for(small_model(*changes(name)), padded="half"))
    assert output.box_cxcywh.shape == (2, 4) and output.score_logit.shape == (2,)
    assert output.corner_logits.shape == (2, 2, 16) and output.embedding.shape == (2, 32)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_gradients_reach_every_parameter(name, small_model, small_network, crops_for):
    network = small_network(*changes(name)).train()
    network.zero_grad()
    output = network(*crops_for(small_model(*changes(name))))
    answer = output.candidates if isinstance(output, CandidatesOutput) else output
    ((answer.box_cxcywh * torch.tensor([1.0, 2, 3, 4])).sum() + answer.score_logit.sum()).backward()
    without = [name for name, each in network.named_parameters() if each.grad is None]
    assert without == []
    assert sum(each.grad.abs().sum() > 0 for each in network.parameters()) > 60


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_what_it_shares_with_stark_has_the_same_names_and_shapes(name, small_network):
    own, stark = (dict(small_network(*parts).state_dict()) for parts in (changes(name), ST))
    differing = {key for key in own.keys() | stark.keys() if key not in own or key not in stark}
    assert differing == ({"decoder.query"} if name == "template_query" else set())
    shapes = {key for key in own.keys() & stark.keys() if own[key].shape != stark[key].shape}
    assert shapes == ({"decoder.query"} if name == "hungarian" else set())


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_batch_gives_what_its_members_give_alone(name, small_model, small_network, crops_for):
    network = small_network(*changes(name))
    crops = crops_for(small_model(*changes(name)), batch=3, padded="half")
    with torch.no_grad():
        together = network(*crops)
        for index in range(3):
            alone = network(*(part[index : index + 1] for part in crops))
            torch.testing.assert_close(alone.box_cxcywh[0], together.box_cxcywh[index], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_survives_its_file(name, small_model, small_network, crops_for, tmp_path):
    network, model = small_network(*changes(name)), small_model(*changes(name))
    save_weights(tmp_path / "x.safetensors", network.state_dict(), Config(name="x", model=model))
    _, loaded = load_network(tmp_path / "x.safetensors")
    assert type(loaded) is type(network)
    with torch.no_grad():
        before, after = (each(*crops_for(model)) for each in (network, loaded))
    assert torch.equal(before.box_cxcywh, after.box_cxcywh)


def features(network, length, seed, mask=None):
    generator = torch.Generator().manual_seed(seed)
    tokens, position = torch.randn(2, 1, length, 32, generator=generator)
    return Features(tokens, mask, position)


def test_templates_that_ask_do_not_change_the_search_tokens(small_network):
    network, search = small_network(*changes("template_query")), features(None, 16, 1)
    with torch.no_grad():
        first, one = network.relate(features(None, 8, 2), search)
        second, other = network.relate(features(None, 8, 3), search)
    assert torch.equal(first, second), "the encoder sees templates and search region apart"
    assert not torch.equal(one, other)


def test_padding_of_a_template_asks_nothing(small_network):
    network, search = small_network(*changes("template_query")), features(None, 16, 1)
    mask = torch.arange(8)[None] > 5
    templates = features(None, 8, 2, mask)
    changed = Features(torch.where(mask[..., None], 50.0, templates.tokens), mask, templates.position)
    with torch.no_grad():
        torch.testing.assert_close(
            network.relate(templates, search)[1], network.relate(changed, search)[1], atol=1e-5, rtol=0
        )


def test_templates_that_are_all_padding_ask_as_if_none_were(small_network):
    network, search = small_network(*changes("template_query")), features(None, 16, 1)
    whole, bare = features(None, 8, 2, torch.ones(1, 8, dtype=torch.bool)), features(None, 8, 2)
    with torch.no_grad():
        torch.testing.assert_close(network.relate(whole, search)[1], network.relate(bare, search)[1])


def test_the_dynamic_template_reaches_the_search_region_through_the_query_alone(small_network):
    network, search, initial = (
        small_network(*changes("query_update")),
        features(None, 16, 1),
        features(None, 4, 2),
    )
    views = [Features.concatenate([initial, features(None, 4, seed)]) for seed in (3, 4)]
    with torch.no_grad():
        (encoded, one), (same, other) = (network.relate(view, search) for view in views)
    assert torch.equal(encoded, same)
    assert not torch.equal(one, other)


def test_the_query_is_updated_once_for_each_dynamic_template(small_network):
    network = small_network("framework=query_update", "num_templates=3", "score_head=true")
    asked = []
    network.decoder.layers[0].register_forward_pre_hook(lambda layer, inputs: asked.append(inputs[1]))
    with torch.no_grad():
        network.relate(features(None, 12, 2), features(None, 16, 1))
    assert len(asked) == 3
    torch.testing.assert_close(asked[0][0], network.decoder.query)
    assert not torch.equal(asked[1], asked[0]) and not torch.equal(asked[2], asked[1])


def test_the_most_confident_of_ten_queries_answers(small_model, small_network, crops_for):
    network, model = small_network(*changes("hungarian")), small_model(*changes("hungarian"))
    with torch.no_grad():
        output = network(*crops_for(model))
    confidence = output.candidates.score_logit.unflatten(0, (2, NUM_QUERIES))
    assert torch.equal(output.score_logit, confidence.amax(dim=1))
    boxes = output.candidates.box_cxcywh.unflatten(0, (2, NUM_QUERIES))
    best = confidence.argmax(dim=1)
    assert torch.equal(output.box_cxcywh, boxes[torch.arange(2), best])


def test_rows_of_queries_are_those_of_their_search_region():
    assert chosen_rows(torch.tensor([3, 0, 9]), 10).tolist() == [3, 10, 29]


def test_rows_of_an_output_by_number_and_by_mask(small_model, small_network, crops_for):
    output = small_network(*ST)(*crops_for(small_model(*ST), batch=3))
    by_number, by_mask = output.rows(torch.tensor([2, 0])), output.rows(torch.tensor([True, False, True]))
    assert torch.equal(by_number.box_cxcywh, by_mask.box_cxcywh.flip(0))
    assert by_number.corner_logits.shape == (2, 2, 16) and by_number.score_logit.shape == (2,)


def test_split_is_the_inverse_of_concatenate():
    mask = torch.arange(12)[None] > 9
    whole = features(None, 12, 1, mask)
    parts = whole.split(3)
    again = Features.concatenate(parts)
    assert [part.tokens.shape[1] for part in parts] == [4, 4, 4]
    assert torch.equal(again.tokens, whole.tokens) and torch.equal(again.padding_mask, mask)


def test_copies_of_a_target_follow_one_another():
    pair = Features.stack([features(None, 4, 1), features(None, 4, 2)])
    copied = pair.repeat(3)
    assert copied.tokens.shape[0] == 6 and copied.padding_mask is None
    assert torch.equal(copied.tokens[2], pair.tokens[0]) and torch.equal(copied.tokens[3], pair.tokens[1])


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (
            ("framework=template_query", "transformer.num_decoder_layers=0"),
            "needs transformer.num_decoder_layers",
        ),
        (("framework=hungarian",), "framework hungarian needs score_head = true"),
        (("framework=query_update", "num_templates=1"), "needs num_templates of at least 2"),
        (("framework=detr",), "framework"),
    ],
)
def test_a_framework_without_its_parts_is_refused(parts, text, small_model):
    with pytest.raises(ConfigError, match=text):
        small_model(*parts)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_published_sizes_work_too(name, crops_for):
    from starktrack.config.loading import override
    from starktrack.config.presets import stark_st50

    model = override(stark_st50(), [f"model.framework={name}"]).model
    with torch.device("meta"):
        network = build_network(model).eval()
        templates = torch.zeros(1, 2, 3, 128, 128)
        output = network(templates, None, torch.zeros(1, 3, 320, 320), None)
    assert output.corner_logits.shape == (1, 2, 400)
