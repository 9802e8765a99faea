import pytest
import torch

from starktrack.config.presets import preset, presets_of
from starktrack.errors import ConfigError
from starktrack.models.build import build_network
from starktrack.models.features import Features
from starktrack.models.stark import StarkOutput


def total(output: StarkOutput) -> torch.Tensor:
    """Return a number that depends on all that the network says."""
    score = 0 if output.score_logit is None else output.score_logit.sum()
    return (output.box_cxcywh * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum() + score


@pytest.mark.parametrize("name", presets_of("tracker"))
def test_every_preset_maps_crops_to_boxes(name):
    model = preset(name).model
    with torch.device("meta"):
        network = build_network(model).eval()
        templates = torch.zeros(2, model.num_templates, 3, model.template.side, model.template.side)
        search = torch.zeros(2, 3, model.search.side, model.search.side)
        masks = (torch.zeros(2, model.num_templates, *templates.shape[-2:], dtype=torch.bool), None)
    output = network(templates, masks[0], search, masks[1])
    cells = (model.search.side // 16) ** 2
    assert output.box_cxcywh.shape == (2, 4) and output.box_cxcywh.dtype == torch.float32
    assert output.corner_logits.shape == (2, 2, cells)
    assert output.embedding.shape == (2, model.transformer.width)
    assert (None if output.score_logit is None else output.score_logit.shape) == (
        (2,) if model.score_head else None
    )


ABLATIONS = {
    "the whole": [],
    "spatio-temporal": ["num_templates=2", "score_head=true"],
    "three templates": ["num_templates=3", "score_head=true"],
    "templates with roles": ["num_templates=3", "score_head=true", "role_embedding=true"],
    "no encoder": ["transformer.num_encoder_layers=0"],
    "no decoder": ["transformer.num_decoder_layers=0", "score_head=true"],
    "no encoder, no decoder": ["transformer.num_encoder_layers=0", "transformer.num_decoder_layers=0"],
    "no position": ["transformer.position=none"],
    "learned position": ["transformer.position=learned"],
    "perceptron head": ["box_head.kind=mlp"],
    "perceptron head, no decoder": ["box_head.kind=mlp", "transformer.num_decoder_layers=0"],
    "queries of the search only": ["transformer.encoder_queries=search"],
    "half-cell corners": ["box_head.cell_offset=0.5"],
    "lightning": [
        "backbone.name=repvgg_a0_lite",
        "transformer.num_encoder_layers=1",
        "transformer.num_decoder_layers=0",
        "transformer.encoder_queries=search",
        "transformer.position=learned",
        "transformer.residual_position=true",
        "box_head.kind=corner_rep",
    ],
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_is_a_configuration_that_runs_and_whose_gradient_reaches_every_parameter(
    name, small_model, small_network, crops_for, assert_gradient_reaches_all
):
    model = small_model(*ABLATIONS[name])
    network = small_network(*ABLATIONS[name])
    output = network(*crops_for(model, padded="half"))
    assert torch.isfinite(output.box_cxcywh).all() and output.box_cxcywh.shape == (2, 4)
    assert (output.corner_logits is None) == (model.box_head.kind == "mlp")
    total(output).backward()
    assert assert_gradient_reaches_all(network) > 20


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_learns_in_a_step(name, small_model, small_network, crops_for):
    model, network = small_model(*ABLATIONS[name]), small_network(*ABLATIONS[name]).train()
    crops, wanted = crops_for(model), torch.tensor([[0.3, 0.4, 0.2, 0.2]])
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(2):
        loss = (network(*crops).box_cxcywh - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


@pytest.mark.parametrize("changes", [[], ["num_templates=2", "score_head=true"]])
def test_a_batch_gives_what_its_members_give_alone(changes, small_model, small_network, crops_for):
    network = small_network(*changes)
    crops = crops_for(small_model(*changes), batch=3, padded="half")
    with torch.no_grad():
        together = network(*crops)
        for index in range(3):
            alone = network(*(part[index : index + 1] for part in crops))
            torch.testing.assert_close(alone.box_cxcywh[0], together.box_cxcywh[index], atol=1e-5, rtol=0)
            torch.testing.assert_close(alone.embedding[0], together.embedding[index], atol=1e-5, rtol=1e-5)


def test_a_mask_that_masks_nothing_is_no_mask(small_model, small_network, crops_for):
    network, model = small_network("num_templates=2"), small_model("num_templates=2")
    with torch.no_grad():
        masked, bare = network(*crops_for(model, padded="nowhere")), network(*crops_for(model))
    torch.testing.assert_close(masked.box_cxcywh, bare.box_cxcywh, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "name", ["the whole", "spatio-temporal", "no decoder", "learned position", "lightning"]
)
def test_crops_that_are_all_padding_give_finite_results_and_gradients(
    name, small_model, small_network, crops_for
):
    network = small_network(*ABLATIONS[name])
    output = network(*crops_for(small_model(*ABLATIONS[name]), padded="all"))
    assert torch.isfinite(output.box_cxcywh).all()
    total(output).backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert len(gradients) > 20 and all(torch.isfinite(gradient).all() for gradient in gradients)


def test_one_lost_target_does_not_disturb_the_others(small_model, small_network, crops_for):
    network, model = small_network(), small_model()
    templates, template_masks, search, search_mask = crops_for(model, padded="half")
    with torch.no_grad():
        before = network(templates, template_masks, search, search_mask).box_cxcywh
        template_masks[1], search_mask[1] = True, True
        after = network(templates, template_masks, search, search_mask).box_cxcywh
    torch.testing.assert_close(after[0], before[0], atol=1e-6, rtol=0)
    assert not torch.equal(after[1], before[1])


def test_the_order_of_templates_counts_for_the_box_only_with_roles(small_model, small_network, crops_for):
    changes = ["num_templates=3", "transformer.encoder_queries=search"]
    plain, marked = small_network(*changes), small_network(*changes, "role_embedding=true")
    templates, masks, search, search_mask = crops_for(small_model(*changes), padded="half")
    assert not torch.allclose(templates[:, 0], templates[:, 1])

    def located(network, order):
        with torch.no_grad():
            output = network(templates[:, order], masks[:, order], search, search_mask)
        return torch.cat([output.embedding, output.box_cxcywh], dim=1)

    close = {"atol": 1e-5, "rtol": 0}
    torch.testing.assert_close(located(plain, [1, 0, 2]), located(plain, [0, 1, 2]), **close)
    roles = torch.zeros_like(marked.role_embedding)
    marked.load_state_dict({**plain.state_dict(), "role_embedding": roles})
    # Zeros change nothing.
    torch.testing.assert_close(located(marked, [0, 1, 2]), located(plain, [0, 1, 2]), **close)
    with torch.no_grad():
        marked.role_embedding[1] = 3 * torch.randn(roles.shape[1], generator=torch.Generator().manual_seed(0))
    assert (located(marked, [1, 0, 2]) - located(marked, [0, 1, 2])).abs().max() > 1e-3
    # Dynamic templates are alike.
    torch.testing.assert_close(located(marked, [0, 2, 1]), located(marked, [0, 1, 2]), **close)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["num_templates=1"], "role_embedding needs framework = 'stark' and num_templates of"),
        (
            ["num_templates=2", "framework=query_update"],
            "role_embedding needs framework = 'stark' and num_templates of",
        ),
        (
            [
                "num_templates=2",
                "transformer.num_encoder_layers=0",
                "transformer.num_decoder_layers=0",
            ],
            "role_embedding needs transformer layers, whose attention reads it, got none",
        ),
    ],
)
def test_roles_without_templates_to_tell_apart_are_refused(changes, message, small_model):
    with pytest.raises(ConfigError, match=message):
        small_model(*changes, "role_embedding=true")


@pytest.mark.parametrize("changes", [[], ["transformer.encoder_queries=search"]])
def test_what_masked_cells_show_does_not_reach_the_others(changes, small_network):
    network, generator = small_network(*changes), torch.Generator().manual_seed(2)
    tokens, position = torch.randn(2, 1, 20, 32, generator=generator)
    mask = torch.zeros(1, 20, dtype=torch.bool)
    mask[0, [1, 2, 6, 7, 19]] = True
    other = torch.where(mask[..., None], 100.0, tokens)
    with torch.no_grad():
        memory, changed = (network.encoder(Features(each, mask, position), 16) for each in (tokens, other))
        torch.testing.assert_close(memory.tokens[~mask], changed.tokens[~mask], atol=1e-6, rtol=0)
        assert not torch.allclose(memory.tokens[mask], changed.tokens[mask])
        torch.testing.assert_close(network.decoder(memory), network.decoder(changed), atol=1e-6, rtol=0)


def test_the_pixels_under_a_masked_corner_far_from_the_rest_do_not_reach_the_embedding(small_network):
    """Convolutions see across the border of the mask; two masked cells deep they see nothing shown."""
    network = small_network("search.side=256", "backbone.name=repvgg_a0_lite")
    search = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(3))
    templates = torch.randn(1, 1, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    mask = torch.zeros(1, 256, 256, dtype=torch.bool)
    mask[..., 32:] = True
    changed = search.clone()
    changed[..., 250:] = 5.0
    with torch.no_grad():
        before, after, unmasked = (
            network(templates, None, picture, where).embedding
            for picture, where in ((search, mask), (changed, mask), (changed, None))
        )
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    assert (unmasked - after).abs().max() > 1e-3


def test_looking_at_templates_once_equals_looking_again_with_every_frame(
    small_model, small_network, crops_for
):
    network, model = small_network("num_templates=2"), small_model("num_templates=2")
    templates, template_masks, search, search_mask = crops_for(model, padded="half")
    with torch.no_grad():
        each = [network.embed_template(templates[:, i], template_masks[:, i]) for i in range(2)]
        kept = network.locate(Features.concatenate(each), network.embed_search(search, search_mask))
        again = network(templates, template_masks, search, search_mask)
    torch.testing.assert_close(kept.box_cxcywh, again.box_cxcywh, atol=1e-6, rtol=0)
