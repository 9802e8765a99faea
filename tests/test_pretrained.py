"""The weights that come with the package: small, documented, equal in both forms, and able to track."""

import numpy as np
import pytest

import starktrack
from starktrack.api import load_refiner
from starktrack.data.sources import open_dataset
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.data.video.image_files import read_image
from starktrack.data.video.writer import VideoWriter
from starktrack.engines.parity import compare
from starktrack.geometry.boxes import cxcywh_to_xyxy, overlap, xywh_to_xyxy
from starktrack.pretrained import DEFAULT, model_card, pretrained_weights
from starktrack.tracking.protocol import BoxQueries, Refinement

MOST_BYTES = 12_000_000


def engine_of(kind: str):
    return starktrack.load(engine=kind, device="cpu").engine


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_both_files_are_small(engine):
    assert pretrained_weights(DEFAULT, engine).stat().st_size < MOST_BYTES


def test_both_files_hold_the_same_network():
    torch_engine, onnx_engine = engine_of("torch"), engine_of("onnx")
    assert torch_engine.config == onnx_engine.config and torch_engine.config.name == DEFAULT
    assert compare(torch_engine, onnx_engine).holds


def test_nothing_asked_for_means_the_pretrained_weights_without_torch():
    assert starktrack.load().engine.runtime.engine in ("onnx", "openvino")
    assert type(starktrack.load(DEFAULT, engine="torch", device="cpu").engine).__name__ == "TorchEngine"


def test_no_other_preset_has_weights():
    assert pretrained_weights("stark_s50", "onnx") is None and model_card("stark_s50") is None


@pytest.mark.parametrize("seed", [1, 2])
def test_an_object_that_was_never_seen_in_training_is_followed(seed):
    clip = list(synthetic_clip(60, seed=seed, object_seed=seed))
    tracker = starktrack.load()
    tracker.start(clip[0].image, box_xywh=clip[0].box_xywh)
    outputs = [tracker.update(frame.image) for frame in clip[1:]]
    found = np.stack([output.box_xywh for output in outputs])
    true = np.stack([frame.box_xywh for frame in clip[1:]])
    assert overlap(xywh_to_xyxy(found), xywh_to_xyxy(true)).mean() > 0.6
    assert np.mean([output.state == "tracked" for output in outputs]) > 0.5
    assert not any(output.state == "lost" for output in outputs)


def test_a_target_that_vanishes_counts_as_lost():
    clip = list(synthetic_clip(40, seed=1, object_seed=1))
    hidden = range(20, 30)
    tracker = starktrack.load()
    tracker.start(clip[0].image, box_xywh=clip[0].box_xywh)
    states = [
        tracker.update(np.full_like(frame.image, 128) if index in hidden else frame.image).state
        for index, frame in enumerate(clip[1:], start=1)
    ]
    assert states[hidden[-1] - 1] == "lost" and set(states[:19]) == {"tracked"}


def test_the_card_states_the_thresholds_that_the_weights_carry():
    tracking = engine_of("onnx").config.tracking
    for score in (tracking.tracked_score, tracking.lost_score):
        assert f"{score:.3f}" in model_card(DEFAULT)


def test_the_card_tells_data_recipe_numbers_limits_and_licences():
    card = model_card(DEFAULT)
    for heading in ("Data", "Recipe", "Numbers", "Limits", "Licences"):
        assert f"## {heading}" in card


@pytest.mark.shared
def test_both_files_find_the_same_boxes_on_real_pictures(shared):
    folder = shared / "data" / "eval" / "otb" / "Surfer"
    true = np.loadtxt(folder / "groundtruth_rect.txt", delimiter=",")[::40] - [1, 1, 0, 0]
    pictures = [read_image(path) for path in sorted((folder / "img").iterdir())[::40]]
    queries = BoxQueries(pictures, np.arange(len(pictures)), true)
    answers = []
    for engine in (engine_of("torch"), engine_of("onnx")):
        own = engine.embed(queries)
        answers.append(engine.predict(queries, [[template] * 2 for template in own]))
    first, second = (cxcywh_to_xyxy(answer.boxes_cxcywh) for answer in answers)
    assert len(pictures) >= 6 and overlap(first, second).min() > 0.999
    np.testing.assert_allclose(answers[0].scores, answers[1].scores, atol=1e-3)


@pytest.mark.shared
def test_the_man_of_otb_is_followed_to_the_end_of_an_mp4_with_a_box_alone(shared, tmp_path):
    folder = shared / "data" / "eval" / "otb" / "Man"
    true = np.loadtxt(folder / "groundtruth_rect.txt", delimiter=",") - [1, 1, 0, 0]
    pictures = [read_image(path) for path in sorted((folder / "img").iterdir())]
    with VideoWriter(tmp_path / "man.mp4", pictures[0].shape[:2], 25.0) as writer:
        for picture in pictures:
            writer.write(picture)
    outputs = [tracked.output for tracked in starktrack.track(tmp_path / "man.mp4", true[0])]
    each = overlap(xywh_to_xyxy(np.stack([output.box_xywh for output in outputs])), xywh_to_xyxy(true))
    assert len(outputs) == len(true) and each.mean() > 0.6 and each[-10:].min() > 0.3


def refiner_of(kind: str):
    return load_refiner("refine_mobile", engine=kind, device="cpu")


def test_both_files_of_the_refiner_hold_the_same_network():
    for kind in ("torch", "onnx"):
        assert pretrained_weights("refine_mobile", kind).stat().st_size < MOST_BYTES
    first, second = refiner_of("torch"), refiner_of("onnx")
    assert first.config == second.config and first.config.name == "refine_mobile"
    assert compare(first, second).holds


@pytest.mark.shared
def test_both_files_of_the_refiner_draw_the_same_outlines_on_real_pictures(shared):
    answers: dict[str, list[Refinement]] = {"torch": [], "onnx": []}
    dataset = open_dataset("davis", shared / "data" / "eval" / "davis", "all", allow_missing=True)
    names = ("blackswan", "drift-chicane", "horsejump-high", "libby")
    for sequence in (dataset[name] for name in names):
        index = np.flatnonzero(sequence.visible)[[0, -1]]
        pictures = [sequence.frames.read(int(each)) for each in index]
        queries = BoxQueries(pictures, np.arange(2), sequence.boxes_xywh[index])
        for kind, refiner in ((kind, refiner_of(kind)) for kind in answers):
            answers[kind].append(refiner.predict(queries, [[each] for each in refiner.embed(queries)]))
    assert len(answers["onnx"]) == len(names)
    boxes, logits = (
        [np.concatenate([getattr(each, part) for each in of_kind]) for of_kind in answers.values()]
        for part in ("boxes_cxcywh", "mask_logits")
    )
    assert overlap(*(cxcywh_to_xyxy(each) for each in boxes)).min() > 0.999
    drawn = [each > 0 for each in logits]
    assert (drawn[0] == drawn[1]).mean() > 0.9999 and 0.05 < drawn[0].mean() < 0.5


def test_the_pretrained_refiner_outlines_the_target_and_reads_its_box():
    assert starktrack.load(refine="refine_mobile").refiner.runtime.engine in ("onnx", "openvino")
    assert "J" in model_card("refine_mobile")
    frames = list(synthetic_clip(4, seed=1))
    plain, outlining = (starktrack.load(device="cpu", refine=name) for name in (None, "refine_mobile"))
    for tracker in (plain, outlining):
        tracker.start(frames[0].image, box_xywh=frames[0].box_xywh)
    for frame in frames[1:]:
        found = outlining.update(frame.image)
        own = plain.update(frame.image).box_xywh
        assert not np.array_equal(found.box_xywh, own)
        assert overlap(xywh_to_xyxy(found.box_xywh[None]), xywh_to_xyxy(frame.box_xywh[None]))[0] > 0.6
        left, top, width, height = np.round(frame.box_xywh).astype(int)
        inside = found.mask[top : top + height, left : left + width].sum()
        assert inside > 0.3 * width * height and inside > 0.8 * found.mask.sum()
