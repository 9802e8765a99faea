"""Every published network against the numbers of the authors' code.

Limits: 1e-3 of the largest value inside the network, 1e-4 of the crop on boxes (the authors' own numbers
move by 4e-6 and 2.5e-6 with the number of threads).
"""

import copy

import numpy as np
import pytest
import torch

from starktrack.models.folding import fold
from starktrack.models.official import convert_keys

INSIDE, BOX = 1e-3, 1e-4
RESNET_STAGES = ("conv1", "maxpool", "layer1", "layer2", "layer3")
REPVGG_STAGES = {"stage0": 0, "stage1": 2, "stage2": 6, "stage3": 10}
COUNTS = {("stark_s50", "x"): 26, ("stark_s50", "xc"): 18, ("stark_st50", "x"): 27, ("stark_st50", "xc"): 19, ("stark_st101", "x"): 27, ("stark_st101", "xc"): 19, ("train", "x"): 21, ("train", "xc"): 21, ("deploy", "x"): 15, ("deploy", "xc"): 15}


@pytest.fixture(scope="module")
def crop(golden):
    inputs = golden("golden_inputs")

    def read(name):
        picture = inputs[f"{name}_crop"]
        side = len(picture)
        mask = np.unpackbits(inputs[f"{name}_mask"])[: side * side].reshape(1, side, side).astype(bool)
        normalised = (picture / np.float32(255) - np.float32([0.485, 0.456, 0.406])) / np.float32(
            [0.229, 0.224, 0.225]
        )
        return torch.from_numpy(normalised).permute(2, 0, 1)[None], torch.from_numpy(mask)

    return read


def run(network, templates, search, watched=None):
    """Return the network's output, and the outputs of the watched modules by name."""
    seen = {}
    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
        for name, module in (watched or {}).items()
    ]
    crops, masks = (torch.stack(parts, dim=1) for parts in zip(*templates, strict=True))
    with torch.no_grad():
        output = network(crops, masks, *search)
    for hook in hooks:
        hook.remove()
    return output, seen


EXACT, ABSOLUTE = {"mask", "z.mask"}, {"pred_boxes", "pred_logits", "coord_xyxy"}
NOT_OUTPUTS = {"seq_len"}


def compare(numbers, prefix, ours):
    """Assert that every golden array under the prefix equals ours; return how many there were."""
    names = [key.removeprefix(prefix) for key in numbers if key.startswith(prefix)]
    names = [name for name in names if name not in NOT_OUTPUTS and not name.endswith(".stride")]
    for name in names:
        theirs = numbers[prefix + name].astype(np.float64)
        stem, _, form = name.rpartition(".")
        if form == "stats":
            compare_statistics(theirs, ours[stem], name)
        elif form == "strided":
            compare_values(theirs, every_nth(ours[stem][0], theirs.shape), name)
        else:
            compare_values(theirs, every_nth(squeezed(ours[name]), squeezed(theirs).shape), name)
    return len(names)


def compare_values(theirs, ours, name):
    theirs, ours = squeezed(theirs), np.asarray(squeezed(ours), dtype=np.float64)
    limit = 0 if name in EXACT else BOX if name in ABSOLUTE else INSIDE * np.abs(theirs).max()
    assert np.abs(ours - theirs).max() <= limit, name


def compare_statistics(theirs, ours, name):
    ours = np.asarray(ours, dtype=np.float64)
    absolute, largest = np.abs(ours).sum(), np.abs(ours).max()
    values = [ours.mean(), ours.std(), ours.sum(), absolute, (ours**2).sum(), ours.min(), ours.max()]
    scales = [absolute / ours.size, ours.std(), absolute, absolute, theirs[4], largest, largest]
    for mine, his, scale in zip(values, theirs, scales, strict=True):
        assert abs(mine - his) <= INSIDE * scale, name


def squeezed(values):
    return np.atleast_1d(np.squeeze(np.asarray(values)))


def every_nth(values, shape):
    """Return the samples that were stored: every n-th along each axis, n found from the stored shape."""
    values = squeezed(values)
    steps = [-(-length // kept) for length, kept in zip(values.shape, shape, strict=True)]
    return values[tuple(slice(None, None, step) for step in steps)]


@pytest.mark.parametrize("search_crop", ["x", "xc"])
@pytest.mark.parametrize("model", ["stark_s50", "stark_st50", "stark_st101"])
def test_every_step_inside_the_network_equals_the_golden_numbers(
    model, search_crop, golden, golden_network, crop
):
    config, network = golden_network(model)
    body = network.backbone.body
    watched = {
        **{f"body.{stage}": getattr(body, stage) for stage in RESNET_STAGES},
        "enc_layer0": network.encoder.layers[0],
        "dec_layer0": network.decoder.layers[0],
        "memory": network.encoder,
    }
    templates = [crop(name) for name in ("z1", "z2")[: config.model.num_templates]]
    output, seen = run(network, templates, crop(search_crop), watched)
    with torch.no_grad():
        search = network.embed_search(*crop(search_crop))

    memory = seen["memory"].tokens
    ours = {
        **seen,
        **features("", search),
        "memory": memory,
        "hs": output.embedding,
        "att": memory[0, -400:] @ output.embedding[0],
        **answers(output),
    }
    compared = compare(golden(f"golden_{model}"), f"{search_crop}/", ours)
    assert compared == COUNTS[model, search_crop]


@pytest.mark.parametrize("model", ["stark_s50", "stark_st50", "stark_st101"])
def test_a_batch_of_two_equals_the_golden_numbers(model, golden, golden_network, crop):
    config, network = golden_network(model)
    templates = [
        tuple(part.expand(2, *part.shape[1:]) for part in crop(name))
        for name in ("z1", "z2")[: config.model.num_templates]
    ]
    search = tuple(torch.cat(parts) for parts in zip(crop("x"), crop("xc"), strict=True))
    output, _ = run(network, templates, search)
    numbers = golden(f"golden_{model}")
    assert np.abs(output.box_cxcywh.numpy() - numbers["batch2/pred_boxes"][:, 0]).max() <= BOX
    if config.model.score_head:
        assert np.abs(output.score_logit.numpy() - numbers["batch2/pred_logits"][:, 0, 0]).max() <= BOX


@pytest.mark.parametrize("search_crop", ["x", "xc"])
@pytest.mark.parametrize("form", ["train", "deploy"])
def test_every_step_inside_lightning_equals_the_golden_numbers(
    form, search_crop, golden, golden_network, crop
):
    _, network = golden_network("stark_lightning")
    if form == "deploy":
        network = fold(copy.deepcopy(network))
    watched = {f"body.{name}": network.backbone[index] for name, index in REPVGG_STAGES.items()}
    watched["memory"] = network.encoder
    output, seen = run(network, [crop("z1")], crop(search_crop), watched)
    with torch.no_grad():
        template, search = network.embed_template(*crop("z1")), network.embed_search(*crop(search_crop))
    ours = {
        **seen,
        **features("", search),
        **features("z.", template),
        "memory": seen["memory"].tokens[:, -400:],
        **answers(output),
    }
    compared = compare(golden("golden_stark_lightning"), f"{form}/{search_crop}/", ours)
    assert compared == COUNTS[form, search_crop]


def features(prefix, of):
    return {f"{prefix}feat": of.tokens, f"{prefix}pos": of.position, f"{prefix}mask": of.padding_mask}


def answers(output):
    maps, probability = output.corner_logits, output.corner_logits.softmax(dim=-1)
    box = output.box_cxcywh[0]
    return {
        "score_tl": maps[0, 0].unflatten(0, (20, 20)),
        "score_br": maps[0, 1].unflatten(0, (20, 20)),
        "prob_tl": probability[0, 0],
        "prob_br": probability[0, 1],
        "pred_boxes": box,
        "coord_xyxy": torch.cat([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2]),
        "pred_logits": output.score_logit,
    }


@pytest.mark.parametrize("model", ["stark_s50", "stark_st50", "stark_st101"])
def test_what_is_kept_of_a_template_equals_the_golden_numbers(model, golden, golden_network, crop):
    _, network = golden_network(model)
    with torch.no_grad():
        template = network.embed_template(*crop("z1"))
    assert compare(golden(f"golden_{model}"), "z1/", features("", template)) == 4


def test_every_folded_convolution_has_the_golden_statistics(golden, golden_network):
    numbers = golden("golden_stark_lightning")
    _, network = golden_network("stark_lightning")
    folded = fold(copy.deepcopy(network)).state_dict()
    names = [str(name) for name in numbers["deploy_weight_stats_keys"]]
    ours = convert_keys({name: torch.tensor(index) for index, name in enumerate(names) if "in_proj" not in name})
    for name, index in ours.items():
        compare_statistics(numbers["deploy_weight_stats"][int(index)], folded[name].numpy(), name)
    assert len(ours) == len(names) - 2 == 44
