import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import starktrack
from starktrack.config.schema import Config
from starktrack.engines import export
from starktrack.engines.export import Parity, compare, export_onnx
from starktrack.engines.onnx_engine import open_onnx
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import CheckpointError, MissingExtraError
from starktrack.models.build import build_network
from starktrack.models.crops import normalise


def test_the_exported_network_agrees_with_torch_on_every_crop(exported, network, config):
    parity = compare(TorchEngine(network, config, device=torch.device("cpu")), open_onnx(exported))
    assert parity.num_crops == 12
    assert parity.overlap == 1
    assert parity.corner_difference < 1e-5 and parity.probability_difference < 1e-5


def test_the_check_sees_that_two_networks_differ(exported, other_network, config):
    reference = TorchEngine(other_network, config, device=torch.device("cpu"))
    parity = compare(reference, open_onnx(exported))
    assert parity.overlap < 0.9 and parity.corner_difference > 1e-2
    assert not parity.holds


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({"overlap": 0.9989}, False),
        ({"probability_difference": 0.002}, False),
        ({"overlap": np.nan}, False),
        ({"probability_difference": np.nan}, False),
    ],
)
def test_networks_are_the_same_by_overlap_and_by_probability(change, holds):
    good = Parity(overlap=0.9995, corner_difference=1e-4, probability_difference=1e-4, num_crops=1)
    assert dataclasses.replace(good, **change).holds is holds


def test_a_network_that_differs_is_not_written(exported, other_network, config, tmp_path, monkeypatch):
    path = tmp_path / "tiny.onnx"
    path.write_bytes(b"older")
    monkeypatch.setattr(export, "_write", lambda network, config, partial: shutil.copy(exported, partial))
    with pytest.raises(CheckpointError, match=r"must answer as PyTorch does .* was not written"):
        export_onnx(other_network, config, path)
    assert path.read_bytes() == b"older"
    assert [each.name for each in tmp_path.iterdir()] == ["tiny.onnx"]


def test_the_file_carries_its_configuration_and_no_path_of_this_machine(exported, config):
    assert open_onnx(exported).config == config
    assert str(Path(starktrack.__file__).parent).encode() not in exported.read_bytes()


def test_the_file_is_hardly_larger_than_its_weights(exported, network):
    weights = 4 * sum(parameter.numel() for parameter in network.parameters())
    assert exported.stat().st_size < 1.1 * weights + 300_000


def test_exporting_leaves_the_network_as_it_was(config, tmp_path, monkeypatch):
    from starktrack.config.presets import stark_lightning
    from starktrack.models.build import build_network

    network = build_network(stark_lightning().model)
    monkeypatch.setattr(export, "_write", lambda *_: (_ for _ in ()).throw(CheckpointError("stop")))
    with pytest.raises(CheckpointError, match="stop"):
        export_onnx(network, stark_lightning(), tmp_path / "lightning.onnx")
    assert network.training and network.backbone[0].folded is None


def test_colours_are_normalised_as_in_training(network, config):
    crops = torch.arange(2 * 4 * 4 * 3, dtype=torch.uint8).reshape(2, 4, 4, 3)
    assert torch.allclose(export._Graph(network, config).normalise(crops), normalise(crops), atol=1e-6)


def test_without_onnx_the_extra_is_named(network, config, tmp_path, monkeypatch):
    monkeypatch.setattr("starktrack.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'needs the package onnx, .* "starktrack\[export\]"'):
        export_onnx(network, config, tmp_path / "tiny.onnx")


@pytest.mark.parametrize(
    "parts",
    [
        ("score_head=true", "score_from=evidence", "num_templates=2"),
        ("box_head.kind=centre", "score_head=true", "score_from=evidence"),
        (
            "box_head.kind=guided",
            "box_head.width=8",
            "score_head=true",
            "score_from=evidence",
            "num_templates=2",
        ),
        ("box_head.kind=mlp",),
    ],
)
def test_every_head_can_be_exported(parts, small_model, tmp_path):
    torch.manual_seed(0)
    config = Config(name="parts", model=small_model(*parts))
    parity = export_onnx(build_network(config.model), config, tmp_path / "parts.onnx")
    assert parity.holds and parity.probability_difference < 1e-5


def test_roles_of_templates_are_exported(small_model, tmp_path):
    torch.manual_seed(0)
    config = Config(
        name="roles", model=small_model("num_templates=2", "score_head=true", "role_embedding=true")
    )
    network = build_network(config.model)
    network.role_embedding.data.normal_(std=3)
    assert export_onnx(network, config, tmp_path / "roles.onnx").holds
    network.role_embedding.data.zero_()
    without = TorchEngine(network, config, device=torch.device("cpu"))
    assert not compare(without, open_onnx(tmp_path / "roles.onnx")).holds
