import json
import time

import numpy as np
import pytest

from starktrack.errors import DatasetError, ResultFileError
from starktrack.evaluation.annotations import Annotation, read_annotations
from starktrack.evaluation.dialects import DIALECTS, dialect
from starktrack.evaluation.scoring import evaluate, score_sequence

GOLDEN_MEASURES = ("auc", "op50", "op75", "precision", "normalised_precision")


def golden_dataset(golden, dataset):
    annotations, predictions = [], {}
    for index in range(5):
        prefix = f"{dataset}/{index}/"
        visible = golden.get(prefix + "visible")
        annotations.append(
            Annotation(str(index), golden[prefix + "gt"], None if visible is None else visible.astype(bool))
        )
        predictions[str(index)] = golden[prefix + "pred"].astype(float)
    return annotations, predictions


@pytest.mark.parametrize("dataset", ["lasot", "got10k", "uav", "otb"])
def test_frames_equal_the_official_stark_analysis(golden_analysis, dataset):
    annotations, predictions = golden_dataset(golden_analysis, dataset)
    for annotation in annotations:
        score = score_sequence(predictions[annotation.name], annotation, dialect("stark", dataset))
        prefix = f"{dataset}/{annotation.name}/"
        np.testing.assert_allclose(score.overlap, golden_analysis[prefix + "iou"], atol=1e-12)
        np.testing.assert_allclose(score.centre_error_px, golden_analysis[prefix + "err_center"], atol=1e-9)
        np.testing.assert_allclose(
            score.normalised_error, golden_analysis[prefix + "err_center_norm"], atol=1e-9
        )
        np.testing.assert_array_equal(score.valid, golden_analysis[prefix + "valid"])


@pytest.mark.parametrize("drop", [0, 1])
@pytest.mark.parametrize("dataset", ["lasot", "got10k", "uav", "otb"])
def test_curves_and_scores_equal_the_official_stark_analysis(golden_analysis, dataset, drop):
    annotations, predictions = golden_dataset(golden_analysis, dataset)
    chosen = dialect("stark", dataset, drop_invalid=bool(drop))
    result = evaluate("golden", dataset, predictions, annotations, chosen)
    summary = f"{dataset}/summary_exclude{drop}/"
    scores = [100 * result.overall(key) for key in GOLDEN_MEASURES]
    # The official curves are stored in float32: seven digits of numbers up to 100.
    np.testing.assert_allclose(scores, golden_analysis[summary + "AUC_OP50_OP75_P_NP"], atol=2e-5)
    for curve, key in (("success", "success"), ("precision", "prec"), ("normalised", "norm_prec")):
        np.testing.assert_allclose(
            100 * result.mean_curve(curve), golden_analysis[summary + key + "_curve"], atol=2e-5
        )
    np.testing.assert_allclose(
        result.values["mean_overlap"], golden_analysis[summary + "avg_overlap"], atol=1e-9
    )


@pytest.mark.shared
def test_trackingnet_dummy_files_give_the_published_numbers(trackingnet_folder):
    annotations = read_annotations(trackingnet_folder / "dummy_GT.zip")
    submitted = read_annotations(trackingnet_folder / "dummy_subm.zip")
    predictions = {one.name: one.boxes_xywh for one in submitted}
    result = evaluate("dummy", "trackingnet", predictions, annotations, dialect("trackingnet"))
    published = {
        "coverage": 88.9555555556,
        "precision": 87.8024691358,
        "normalised_precision": 87.8024691358,
        "success": 88.0796296296,
    }
    for key, value in published.items():
        assert 100 * result.overall(key) == pytest.approx(value, abs=1e-9), key


@pytest.fixture(scope="module")
def oracle(golden_folder, oracle_program):
    program = oracle_program("oracle_got10k")
    made = program.synthetic()
    annotations = [
        Annotation(name, truth, cover > 0, program.RESOLUTION, object_class="thing")
        for name, (truth, _, cover) in made.items()
    ]
    numbers = json.loads((golden_folder / "oracle_got10k.json").read_text())
    return annotations, {name: predicted for name, (_, predicted, _) in made.items()}, numbers


def test_validation_scores_equal_the_got10k_package(oracle):
    annotations, predictions, numbers = oracle
    expected = numbers["got10k"]
    result = evaluate("ours", "got10k_val", predictions, annotations, dialect("got10k", "got10k_val"))
    assert result.overall("ao") == pytest.approx(expected["ao"], abs=1e-9)
    assert result.overall("sr50") == pytest.approx(expected["sr"], abs=1e-9)
    assert result.overall("sr75") == pytest.approx(expected["succ_curve"][75], abs=1e-9)
    frames = result.weights["sr50"]
    pooled = (result.curves["success"] * frames[:, None]).sum(0) / frames.sum()
    np.testing.assert_allclose(pooled, expected["succ_curve"], atol=1e-9)


def test_otb_curves_equal_the_got10k_package(oracle):
    annotations, predictions, numbers = oracle
    expected = numbers["otb"]
    result = evaluate("ours", "otb", predictions, annotations, dialect("got10k", "otb"))
    np.testing.assert_allclose(result.curves["success"], expected["success"], atol=1e-9)
    np.testing.assert_allclose(result.curves["precision"], expected["precision"], atol=1e-9)


@pytest.mark.shared
def test_the_whole_of_lasot_is_scored_within_three_seconds(lasot_zip, simulate):
    annotations = read_annotations(lasot_zip)
    predictions = {a.name: simulate(a.boxes_xywh, seed) for seed, a in enumerate(annotations)}
    start = time.process_time()
    scores = {
        name: evaluate("simulated", "lasot", predictions, annotations, dialect(name, "lasot")).overall("auc")
        for name in ("lasot", "stark", "got10k")
    }
    assert time.process_time() - start < 3 * 3
    assert sum(map(len, annotations)) == 685_360
    assert sum(int((~a.visible).sum()) for a in annotations) == 18_346
    assert scores["lasot"] == pytest.approx(scores["stark"], abs=1e-4)
    assert 0.002 < scores["got10k"] - scores["lasot"] < 0.02


@pytest.mark.shared
def test_integer_result_files_cost_the_stark_dialect_a_little(lasot_zip, simulate):
    annotations = read_annotations(lasot_zip, ["airplane-1", "bird-2", "volleyball-19"])
    predictions = {a.name: simulate(a.boxes_xywh, seed) for seed, a in enumerate(annotations)}
    whole, cut = (
        evaluate("s", "lasot", predictions, annotations, dialect(name, "lasot")).overall("auc")
        for name in ("stark", "stark-integer")
    )
    truncated = {name: np.trunc(boxes) for name, boxes in predictions.items()}
    assert cut == evaluate("s", "lasot", truncated, annotations, dialect("stark", "lasot")).overall("auc")
    assert 0 < whole - cut < 0.05


def four_frames(predicted=None, **changes):
    truth = np.array([[10.0, 10, 20, 20]] * 4)
    annotation = Annotation("Four", changes.pop("truth", truth), **changes)
    return (truth if predicted is None else np.array(predicted, float)), annotation


def test_a_touching_truth_is_valid_for_stark_and_not_for_pytracking():
    truth = np.array([[0.0, 5, 10, 10]] * 4)
    predicted, annotation = four_frames(truth, truth=truth)
    assert score_sequence(predicted, annotation, dialect("stark")).valid.all()
    assert not score_sequence(predicted, annotation, dialect("pytracking")).valid.any()


def test_an_empty_prediction_repeats_the_last_box_for_lasot_and_fails_for_got10k():
    predicted, annotation = four_frames([[10, 10, 20, 20], [10, 10, 20, 20], [0, 0, 0, 0], [0, 0, 0, 0]])
    repeated = score_sequence(predicted, annotation, dialect("lasot", "lasot"))
    assert repeated.overlap.tolist() == [1, 1, 1, 1]
    kept = score_sequence(predicted, annotation, dialect("got10k", "otb"))
    assert kept.overlap.tolist() == [1, 1, 0, 0]


def test_an_absent_frame_passes_or_fails_in_precision_as_the_data_set_says():
    predicted, annotation = four_frames(visible=np.array([True, True, False, False]))
    shares = {
        (name, dataset): evaluate("t", dataset, {"Four": predicted}, [annotation], dialect(name, dataset))
        for name, dataset in [
            ("stark", "lasot"),
            ("stark", "uav123"),
            ("lasot", "lasot"),
            ("got10k", "lasot"),
        ]
    }
    precision = {key: result.overall("precision") for key, result in shares.items()}
    assert list(precision.values()) == [0.5, 1.0, 0.5, 1.0]


def test_the_first_frame_is_given_scored_or_left_out():
    predicted, annotation = four_frames([[90, 90, 5, 5]] + [[10, 10, 20, 20]] * 3)
    overlap = {
        (name, dataset): score_sequence(predicted, annotation, dialect(name, dataset)).overlap.tolist()
        for name, dataset in [("stark", ""), ("pysot", ""), ("got10k", "got10k_val")]
    }
    assert list(overlap.values()) == [[1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 1]]


def test_short_predictions_are_refused_padded_or_failed():
    predicted, annotation = four_frames([[10, 10, 20, 20]] * 3)
    assert score_sequence(predicted, annotation, dialect("stark", "otb")).overlap.tolist() == [1, 1, 1, 0]
    failed = score_sequence(predicted, annotation, dialect("trackingnet")).overlap
    assert np.isnan(failed[3])
    with pytest.raises(ResultFileError, match="got 3 boxes for 4 frames of Four"):
        score_sequence(predicted, annotation, dialect("stark", "lasot"))


def test_long_predictions_are_cut_or_refused():
    predicted, annotation = four_frames([[10, 10, 20, 20]] * 6)
    assert len(score_sequence(predicted, annotation, dialect("lasot")).overlap) == 4
    with pytest.raises(ResultFileError, match="6 boxes"):
        score_sequence(predicted, annotation, dialect("pysot"))


def test_a_negative_size_is_refused_where_the_toolkit_refuses_it():
    predicted, annotation = four_frames([[10, 10, 20, 20], [10, 10, -2, 20]] * 2)
    with pytest.raises(ResultFileError, match="frame 1 of Four"):
        score_sequence(predicted, annotation, dialect("stark"))


def test_missing_sequences_are_named():
    _, annotation = four_frames()
    with pytest.raises(ResultFileError, match="1 missing: Four"):
        evaluate("t", "otb", {}, [annotation], dialect("stark"))
    with pytest.raises(DatasetError, match="at least one"):
        evaluate("t", "otb", {}, [], dialect("stark"))


def test_classes_weigh_the_same_however_many_sequences_they_have():
    truth = np.array([[10.0, 10, 20, 20]] * 3)
    good, bad = truth, truth + np.array([100.0, 0, 0, 0])
    annotations = [
        Annotation(name, truth, object_class=kind)
        for name, kind in [("a", "cat"), ("b", "cat"), ("c", "dog")]
    ]
    result = evaluate(
        "t", "got10k_val", {"a": good, "b": good, "c": bad}, annotations, dialect("got10k", "got10k_val")
    )
    assert result.overall("mao") == pytest.approx(0.5)
    assert result.overall("ao") == pytest.approx(2 / 3)


def test_every_dialect_scores_a_perfect_tracker_nearly_perfect():
    predicted, annotation = four_frames()
    first = {
        name: evaluate("t", "otb", {"Four": predicted}, [annotation], dialect(name, "otb"))
        for name in DIALECTS
    }
    assert {name: round(result.overall(next(iter(result.values))), 3) for name, result in first.items()} == {
        name: 1.0 if name == "trackingnet" else 0.952 for name in DIALECTS
    }
