import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parent
CHECKSUMS = json.loads((GOLDEN / "recipe_checksums.json").read_text())


def sha256(*arrays):
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()


@pytest.mark.parametrize("model", ["stark_s50", "stark_st50", "stark_st101", "stark_lightning"])
def test_the_recipe_fills_the_weights_that_the_golden_numbers_were_made_with(model, official_state):
    state = official_state(model)
    filled = [value.numpy() for key, value in state.items() if not key.endswith("num_batches_tracked")]
    expected = CHECKSUMS[model]
    assert sha256(*(value.numpy() for value in state.values())) == expected["sha256_all_arrays_in_key_order"]
    assert len(state) == expected["tensors"]
    assert sum(float(v.astype(np.float64).sum()) for v in filled) == pytest.approx(expected["sum"])


def test_the_recipe_draws_the_pictures_that_the_golden_numbers_were_made_with(golden_video, golden_image):
    frames, boxes = golden_video
    assert sha256(frames) == CHECKSUMS["video_frames_sha256"]
    assert sha256(boxes) == CHECKSUMS["video_boxes_sha256"]
    assert sha256(golden_image) == CHECKSUMS["image_sha256"]
