"""Another kind of network costs one file: it trains, is stored, exported and run with nothing else changed."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.kinds.spot import SpotKind, SpotModel
from tests.training.tiny import losses, stage, tiny_job, tiny_recipe

import starktrack
from starktrack.config.loading import from_mapping, to_mapping
from starktrack.config.schema import MODELS, Config
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.engines.export import export_onnx
from starktrack.engines.onnx_engine import open_onnx
from starktrack.engines.parity import compare
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import CheckpointError
from starktrack.kinds import KINDS, kind_of, load_network, register
from starktrack.models.weights import read_config
from starktrack.tracking.protocol import BoxQueries
from starktrack.training.loop import train


@pytest.fixture
def config():
    register(SpotKind())
    yield Config(name="spot", model=SpotModel(width=4))
    del KINDS["spot"], MODELS["spot"]


@pytest.fixture
def trained(config, tmp_path):
    torch.manual_seed(0)
    recipe = tiny_recipe(config=config, stages={"localise": stage(frozen_stride=0)}, picture_every=1)
    assert train(tiny_job(recipe, tmp_path), kind_of(config).build(config.model)) == 0
    return tmp_path


def test_it_trains_in_the_loop_and_its_weights_are_read_back(trained, config):
    of_steps = losses(trained)
    assert len(of_steps) == 6 and np.isfinite(of_steps).all()
    stored, network = load_network(trained / "weights.safetensors")
    assert stored == config and from_mapping(Config, to_mapping(config)) == config
    torch.manual_seed(0)
    before = kind_of(config).build(config.model)
    assert not torch.equal(before.features.weight, network.features.weight)


def test_it_is_exported_and_answers_as_on_torch(trained, config):
    _, network = load_network(trained / "weights.safetensors", "spot")
    path = trained / "spot.onnx"
    assert export_onnx(network, config, path).holds
    ours, theirs = open_onnx(path, threads=1), TorchEngine(network, config, device=torch.device("cpu"))
    parity = compare(theirs, ours)
    assert parity.holds and parity.num_crops == 12 and parity.corner_difference < 1e-5
    frame = next(synthetic_clip(1))
    queries = BoxQueries([frame.image], np.zeros(1, np.int64), frame.box_xywh[None])
    answers = [each.predict(queries, [each.embed(queries)]).boxes_cxcywh for each in (ours, theirs)]
    np.testing.assert_allclose(*answers, atol=1e-5)


def test_it_is_refused_where_another_kind_is_meant(trained):
    with pytest.raises(CheckpointError, match=r"must be a tracker's weights, .* is a spot's"):
        read_config(trained / "weights.safetensors", "tracker")


def compared_words(node):
    """Yield the constants on both sides of a comparison, also in `kind in (None, "tracker")`; not those of calls."""
    if isinstance(node, ast.Constant):
        yield node.value
    elif isinstance(node, ast.Compare | ast.MatchValue | ast.Tuple | ast.List | ast.Set):
        for child in ast.iter_child_nodes(node):
            yield from compared_words(child)


def test_no_file_of_ours_asks_which_kind_a_network_is():
    package = Path(starktrack.__file__).parent
    asked, seen = [], 0
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare | ast.MatchValue):
                seen += 1
                if {"tracker", "refiner"} & set(compared_words(node)):
                    asked.append(f"{path.relative_to(package)}:{node.lineno}: {ast.unparse(node)}")
    assert not asked and seen > 1000


def test_pictures_of_training_and_tables_ask_the_kind(trained, config):
    assert not KINDS["spot"].table_columns(config.model, has_weights=False)
    assert list(KINDS["refiner"].table_columns(MODELS["refiner"](), has_weights=True).values()) == [
        "256",
        "nothing",
    ]
    assert (trained / "pictures" / "epoch-0001.jpg").stat().st_size > 1000
