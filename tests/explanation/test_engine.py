import numpy as np
import pytest

from starktrack.explanation.attention import layer_weights, recording
from starktrack.explanation.engine import ExplainingEngine
from starktrack.tracking.protocol import Engine

ST = ("num_templates=2", "score_head=true")


def test_it_is_an_engine_with_the_answers_of_the_one_it_wraps(explain):
    plain, engine, queries, templates, prediction = explain(*ST)
    assert isinstance(engine, Engine) and isinstance(engine, ExplainingEngine)
    own = plain.predict(queries, [templates])
    np.testing.assert_array_equal(prediction.boxes_cxcywh, own.boxes_cxcywh)
    np.testing.assert_array_equal(prediction.scores, own.scores)


def test_an_explanation_tells_of_every_layer_and_head(explain):
    _, engine, _, _, prediction = explain(*ST)
    explained = engine.last
    assert (
        explained.search.shape == (64, 64, 3) and [t.shape for t in explained.templates] == [(32, 32, 3)] * 2
    )
    assert explained.cells == 4
    assert explained.encoder.shape == explained.decoder.shape == (2, 4, 2 * 4 + 16)
    assert explained.corners.shape == (2, 4, 4)
    np.testing.assert_allclose(explained.corners.sum(axis=(1, 2)), 1, atol=1e-5)
    np.testing.assert_array_equal(explained.box_cxcywh, prediction.boxes_cxcywh[0])
    assert explained.score == pytest.approx(prediction.scores[0])
    assert explained.missing() == []


def test_the_box_is_the_expectation_of_its_corner_maps(explain):
    _, engine, *_ = explain()
    explained = engine.last
    coordinate = np.arange(4) / 4
    left, right = (explained.corners.sum(axis=1) @ coordinate).tolist()
    assert explained.box_cxcywh[0] == pytest.approx((left + right) / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("position_xy", "cell"), [((0.0, 0.0), -16), ((0.3, 0.55), -16 + 2 * 4 + 1), ((1.0, 1.0), -1)]
)
def test_the_position_that_was_asked_for_is_the_one_that_is_told(explain, position_xy, cell):
    plain, engine, queries, templates, _ = explain(position_xy=position_xy)
    with recording(plain.network) as asked:
        plain.predict(queries, [templates])
    expected = layer_weights(asked, ".attention", slice(cell, cell + 1 or None))
    np.testing.assert_allclose(engine.last.encoder, expected, atol=1e-6)


def test_without_a_position_the_centre_of_the_box_asks(explain):
    _, engine, *_ = explain()
    assert engine.last.position_xy == pytest.approx(tuple(engine.last.box_cxcywh[:2]), abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        (("transformer.num_encoder_layers=0", "score_head=true"), ["encoder attention (no encoder)"]),
        (("transformer.num_decoder_layers=0", "score_head=true"), ["decoder attention (no decoder)"]),
        (("box_head.kind=mlp", "score_head=true"), ["corner maps (the box head has none)"]),
        ((), ["score (no score head)"]),
    ],
)
def test_what_a_network_does_not_have_is_named(explain, changes, missing):
    _, engine, *_ = explain(*changes)
    assert engine.last.missing() == missing


def test_a_centre_head_shows_its_heat(explain):
    _, engine, *_ = explain("box_head.kind=centre")
    explained = engine.last
    assert explained.corners is None and explained.centre.shape == (4, 4)
    row, column = np.unravel_index(explained.centre.argmax(), (4, 4))
    x, y = explained.box_cxcywh[:2] * 4
    assert column <= x <= column + 1 and row <= y <= row + 1, "the box is read at the peak"


def test_an_encoder_whose_templates_do_not_ask_is_explained_too(explain):
    _, engine, *_ = explain("transformer.encoder_queries=search", *ST)
    assert engine.last.encoder.shape == (2, 4, 2 * 4 + 16)


LIGHTNING = (
    "backbone.name=repvgg_a0_lite",
    "transformer.num_decoder_layers=0",
    "transformer.encoder_queries=search",
    "transformer.position=learned",
    "transformer.residual_position=true",
    "box_head.kind=corner_rep",
)


@pytest.mark.parametrize(
    ("changes", "encoder_keys", "decoder_keys"),
    [
        (LIGHTNING, 4 + 16, None),
        (("framework=template_query", *ST), 16, 16),
        (("framework=query_update", *ST), 4 + 16, 4 + 16),
        (("framework=hungarian", *ST), 8 + 16, 8 + 16),
    ],
)
def test_other_networks_show_the_tokens_that_they_look_at(explain, changes, encoder_keys, decoder_keys):
    _, engine, *_ = explain(*changes)
    assert engine.last.encoder.shape == (2, 4, encoder_keys)
    assert decoder_keys is None or engine.last.decoder.shape == (2, 4, decoder_keys)
    assert engine.last.corners.shape == (2, 4, 4)
