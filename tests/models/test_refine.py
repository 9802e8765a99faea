import pytest
import torch

from starktrack.config.presets import preset, presets_of
from starktrack.config.schema import BackboneConfig, CropConfig, RefineModel
from starktrack.errors import CheckpointError, ConfigError
from starktrack.kinds import load_network
from starktrack.models.backbone import build_pyramid
from starktrack.models.refine import build_refiner, pixel_correlation
from starktrack.models.weights import read_config, save_weights

BOXES = torch.tensor([[0.5, 0.5, 0.5, 0.4], [0.45, 0.5, 0.3, 0.6]])


def small(**changes):
    values = {
        "backbone": BackboneConfig(name="test_efficientnet"),
        "crop": CropConfig(side=64, factor=2.0),
        "bins": 3,
        "width": 16,
    }
    return RefineModel(**{**values, **changes})


def test_correlation_is_the_product_of_cells_over_the_root_of_channels():
    kernels = torch.tensor([1.0, 2.0, 0.0, 1.0]).view(1, 4, 1, 1)
    features = torch.tensor([3.0, 1.0, 5.0, 1.0]).view(1, 4, 1, 1)
    assert pixel_correlation(kernels, features).item() == (3 + 2 + 1) / 2


def test_every_cell_of_the_template_is_a_map_rows_before_columns():
    kernels, features = torch.rand(2, 8, 2, 2), torch.rand(2, 8, 4, 5)
    maps = pixel_correlation(kernels, features)
    assert maps.shape == (2, 4, 4, 5)
    expected = (kernels[1, :, 1, 0] @ features[1, :, 2, 3]) / 8**0.5
    torch.testing.assert_close(maps[1, 2, 2, 3], expected)


@pytest.mark.parametrize("non_local", [False, True])
def test_a_box_and_an_outline_come_out_and_gradients_reach_every_weight(non_local):
    torch.manual_seed(0)
    network = build_refiner(small(non_local=non_local))
    output = network(torch.rand(2, 3, 64, 64), BOXES, torch.rand(2, 3, 64, 64))
    assert output.box_cxcywh.shape == (2, 4)
    assert output.corner_logits.shape == (2, 2, 8 * 8)
    assert output.mask_logit.shape == (2, 16, 16)
    (output.box_cxcywh.square().sum() + output.mask_logit.square().sum()).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # The corners' last bias moves both maps as a whole, which the softmax does not see; the keys' bias likewise.
    assert set(without) <= {
        "corners.top_left.4.bias",
        "corners.bottom_right.4.bias",
        "fusion.2.key.bias",
    }


def test_targets_that_share_a_batch_get_what_they_get_alone():
    torch.manual_seed(0)
    network = build_refiner(small()).eval()
    templates, crops = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    both = network(templates, BOXES, crops)
    for index in range(2):
        one = slice(index, index + 1)
        alone = network(templates[one], BOXES[one], crops[one])
        torch.testing.assert_close(both.mask_logit[one], alone.mask_logit, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(both.box_cxcywh[one], alone.box_cxcywh, rtol=1e-4, atol=1e-4)


def test_the_template_decides_what_is_drawn():
    torch.manual_seed(0)
    network = build_refiner(small()).eval()
    crops = torch.rand(1, 3, 64, 64)
    first, second = (network(torch.rand(1, 3, 64, 64), BOXES[:1], crops).mask_logit for _ in range(2))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("name", presets_of("refiner"))
def test_every_preset_is_built_at_the_published_size(name):
    model = preset(name, "refiner").model
    assert (model.crop.side, model.crop.factor) == (256, 2.0)
    network = build_refiner(model).eval()
    with torch.inference_mode():
        output = network(torch.rand(1, 3, 256, 256), BOXES[:1], torch.rand(1, 3, 256, 256))
    assert output.mask_logit.shape == (1, 64, 64)


def test_a_pyramid_has_a_map_for_each_stride():
    pyramid = build_pyramid(BackboneConfig(name="mobilenetv2_100"), (4, 8, 16))
    maps = pyramid(torch.rand(1, 3, 64, 64))
    assert [tuple(each.shape) for each in maps] == [(1, 24, 16, 16), (1, 32, 8, 8), (1, 96, 4, 4)]
    with pytest.raises(ConfigError, match="must be a timm model where several maps are needed"):
        build_pyramid(BackboneConfig(name="repvgg_a0_lite"), (4, 8, 16))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"crop": CropConfig(side=250, factor=2.0)}, "crop.side must be a multiple of 16, got 250; use 256"),
        ({"width": 20}, "width must be a multiple of 8"),
        ({"backbone": BackboneConfig(stride=8)}, "backbone.stride of a refiner must be 16, got 8"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, text):
    with pytest.raises(ValueError, match=text):
        small(**changes)


def test_an_unknown_preset_is_named():
    with pytest.raises(ConfigError, match="did you mean 'refine_mobile'"):
        preset("refine_mobil", "refiner")


def test_weights_of_a_refiner_come_back_and_are_told_from_a_trackers(tmp_path, small_checkpoint):
    from starktrack.config.schema import Config

    config = Config(name="small", model=small())
    network = build_refiner(config.model).eval()
    path = tmp_path / "refiner.safetensors"
    save_weights(path, network.state_dict(), config)
    loaded_config, loaded = load_network(path)
    assert loaded_config == config
    crops = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(loaded(crops, BOXES[:1], crops), network(crops, BOXES[:1], crops))
    with pytest.raises(CheckpointError, match="is a refiner's; give it as refine instead"):
        read_config(path, "tracker")
    with pytest.raises(CheckpointError, match="is a refiner's"):
        load_network(path, "tracker")
    with pytest.raises(CheckpointError, match="is a tracker's; give it as weights"):
        load_network(small_checkpoint, "refiner")
