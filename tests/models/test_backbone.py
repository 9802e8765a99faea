import pickle
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from starktrack.config.schema import BackboneConfig
from starktrack.errors import CheckpointError, ConfigError
from starktrack.models.backbone import build_backbone

# name, stride, channels of the last stage of that stride; a pinch of every family
STAGES = [
    ("resnet18", 16, 256),
    ("resnet18", 8, 128),
    ("mobilenetv2_100", 16, 96),
    ("mobilenetv2_100", 32, 320),
    ("regnetx_002", 16, 152),
    ("convnext_atto", 16, 160),
    ("repvgg_a0_lite", 16, 192),
]


@pytest.mark.parametrize(("name", "stride", "channels"), STAGES)
def test_any_convolutional_model_gives_its_last_stage_of_the_stride(name, stride, channels):
    backbone = build_backbone(BackboneConfig(name=name, stride=stride))
    before = {key: value.clone() for key, value in backbone.named_buffers()}
    features = backbone.train()(torch.randn(2, 3, 64, 64))
    assert features.shape == (2, channels, 64 // stride, 64 // stride)
    assert backbone.num_channels == channels
    assert all(torch.equal(value, before[key]) for key, value in backbone.named_buffers())
    features.sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_nothing_is_kept_that_the_features_do_not_need():
    whole = sum(parameter.numel() for parameter in timm.create_model("mobilenetv2_100").parameters())
    kept = sum(
        parameter.numel() for parameter in build_backbone(BackboneConfig(name="mobilenetv2_100")).parameters()
    )
    assert kept == 526_400 < whole / 6


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"name": "resnet5O"}, "must be a timm model, got 'resnet5O'; did you mean 'resnet50'?"),
        ({"name": "qqqqqqqqqq"}, "must be a timm model, got 'qqqqqqqqqq'; see timm.list_models()"),
        (
            {"name": "resnet18", "stride": 6},
            "backbone.stride of resnet18 must be one of [2, 4, 8, 16, 32], got 6",
        ),
        (
            {"name": "resnet18", "padding": "same"},
            "backbone.padding must be symmetric for resnet18, got same",
        ),
        ({"name": "test_vit"}, "backbone 'test_vit' has no feature stages; use a convolutional model"),
    ],
)
def test_a_backbone_that_cannot_serve_is_refused_with_the_rule(values, text):
    with pytest.raises(ConfigError) as error:
        build_backbone(BackboneConfig(**values))
    assert text in str(error.value)


TINY = BackboneConfig(name="test_resnet")


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(5)
    return timm.create_model("test_resnet").state_dict()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_of_a_local_file_fill_the_stages(suffix, trained, tmp_path):
    path = tmp_path / f"test_resnet{suffix}"
    save_file(trained, path) if suffix == ".safetensors" else torch.save(trained, path)
    body = build_backbone(TINY, weights=path).body.state_dict()
    shared = [key for key in body if key in trained]
    assert len(shared) > 20
    assert all(torch.equal(body[key], trained[key]) for key in shared)


class Payload:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


def test_a_file_of_another_network_is_refused_although_timm_takes_it(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(
        CheckpointError, match=r"must fill every layer, .*other\.pth leaves \d+ random, such as conv1"
    ):
        build_backbone(TINY, weights=path)


@pytest.mark.parametrize("content", ["missing", "damaged", "hostile"])
def test_a_file_that_is_not_the_backbones_is_refused_with_its_name(content, tmp_path):
    path = tmp_path / "weights.pth"
    if content == "damaged":
        path.write_bytes(b"PK\x03\x04 nothing of use")
    elif content == "hostile":
        path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(
        CheckpointError, match=r"ImageNet weights of test_resnet from file .*weights\.pth failed"
    ):
        build_backbone(TINY, weights=path)


def test_a_download_that_fails_is_one_clear_error(monkeypatch):
    create = timm.create_model

    def offline(*args, pretrained=False, **options):
        if pretrained:
            raise OSError("no route to host")
        return create(*args, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        CheckpointError, match="ImageNet weights of test_resnet from timm's download failed: no route"
    ):
        build_backbone(TINY, imagenet=True)


@pytest.mark.parametrize("wish", [{"imagenet": True}, {"weights": Path("file.safetensors")}])
def test_pretrained_weights_that_nobody_has_are_refused_instead_of_ignored(wish):
    with pytest.raises(ConfigError, match=r"repvgg_a0_lite must start at random .*set run.imagenet=false"):
        build_backbone(BackboneConfig(name="repvgg_a0_lite"), **wish)
