"""Explanations of small random networks."""

import numpy as np
import pytest
import torch

from starktrack.config.schema import Config
from starktrack.engines.torch_engine import TorchEngine
from starktrack.explanation.engine import ExplainingEngine
from starktrack.models.build import build_network
from starktrack.tracking.protocol import BoxQueries


@pytest.fixture
def explain(small_model, small_clip):
    """Return the function that gives a small network of these changes, and its explanation of one frame."""

    def make(*changes, position_xy=None):
        torch.manual_seed(0)
        model = small_model(*changes)
        plain = TorchEngine(build_network(model), Config(name="x", model=model), device=torch.device("cpu"))
        engine = ExplainingEngine(plain, position_xy)
        queries = BoxQueries([small_clip[0].image], np.zeros(1, np.int64), small_clip[0].box_xywh[None])
        templates = engine.embed(queries) * model.num_templates
        return plain, engine, queries, templates, engine.predict(queries, [templates])

    return make
