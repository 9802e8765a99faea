import json

import cv2
import numpy as np
import pytest

from starktrack.workflows.ablate import tables

RECIPE = """
[config]
name = "tiny"
[config.model]
num_templates = 2
score_head = true
geometry = "exact"
backbone = { name = "test_efficientnet" }
transformer = { width = 32, num_heads = 4, ffn_width = 32, num_encoder_layers = 1, num_decoder_layers = 1 }
box_head = { width = 32, cell_offset = 0.5 }
search = { side = 64, factor = 4.0 }
template = { side = 32, factor = 2.0 }

[run]
batch_size = 4
micro_batch = 4
log_every = 1
picture_every = 0
imagenet = false

[datasets.own]
source = "videos"
split = "all"

[validation]
max_frames = 3

[validation.datasets.own]
source = "videos"
split = "all"

[stages.localise]
epochs = 1
data = { sampling = { mode = "trident", min_length = 5 }, loader = { num_workers = 0 } }

[stages.score]
trains = "score"
epochs = 1
data = { sampling = { mode = "trident", min_length = 5, negative_share = 0.5 }, loader = { num_workers = 0 } }
"""


@pytest.fixture
def ablate(starktrack, tmp_path, monkeypatch):
    """Return the function that ablates a tiny recipe on two videos of noise."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for seed in range(2):
        folder = tmp_path / "data" / f"video{seed}"
        folder.mkdir(parents=True)
        rng = np.random.default_rng(seed)
        for number in range(1, 9):
            picture = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f"{number:08d}.png"), picture)
        (folder / "groundtruth.txt").write_text("".join(f"{10 + number},6,36,32\n" for number in range(8)))
    (tmp_path / "tiny.toml").write_text(RECIPE)
    places = ("--data", tmp_path / "data", "--out", tmp_path / "out", "--device", "cpu", "--budget", 8)
    return lambda *more: starktrack("ablate", tmp_path / "tiny.toml", *places, *more)


def test_rows_are_trained_scored_and_printed_once(ablate, tmp_path):
    rows = [part for name in ("mlp", "hungarian", "ours") for part in ("--row", name)]
    done = ablate(*rows)
    assert done.code == 0, done.err
    assert done.out == (tmp_path / "out" / "tables.md").read_text()
    score = json.loads((tmp_path / "out" / "hungarian" / "score.json").read_text())
    assert set(score["sequences"]) == {"video0", "video1"} and 0 <= score["success"] <= 1
    assert f"| Hungarian, 10 queries | {100 * score['success']:.1f} |" in done.out
    weights = tmp_path / "out" / "ours" / "weights.safetensors"
    written = weights.stat().st_mtime_ns
    (tmp_path / "out" / "ours" / "score.json").unlink()
    again = ablate(*rows)
    assert again.out == done.out and weights.stat().st_mtime_ns == written, (
        "trained weights are only scored again"
    )
    other = ablate("--row", "ours", "--budget", 16)
    assert other.code == 1 and "must be a new folder for another recipe or budget" in other.err


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--row", "no_encodr"), "did you mean 'no_encoder'?"),
        (("--budget", 7), "a budget must be at least 8 samples (a batch in each of 2 epochs), got 7"),
        (("validation.datasets={}",), "must have [validation.datasets.NAME] to score the rows on"),
    ],
)
def test_what_cannot_be_ablated_is_refused(ablate, more, text):
    done = ablate(*more)
    assert done.code == 1 and text in done.err


def test_tables_stand_beside_the_published_ones():
    text = tables({"ours": 0.5, "mlp": 0.45}, "tiny, 8 samples a row, today")
    assert "### Table 7: tiny, 8 samples a row, today" in text and "### Table 8" in text
    assert "| 4: perceptron for corners | 45.0 | -5.0 | 63.7 | -2.7 |" in text
    assert "| template query | - | - | 61.2 | -5.2 |" in text
    assert text.count("| STARK (6 / ours) | 50.0 | +0.0 | 66.4 | +0.0 |") == 2
