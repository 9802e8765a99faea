import json
from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.made import sequence

from starktrack.errors import DatasetError, ResultFileError, SourceWarning
from starktrack.evaluation.dialects import DIALECTS, dialect
from starktrack.evaluation.metrics import frames_per_second
from starktrack.evaluation.scoring import evaluate, join, score_sequence
from starktrack.evaluation.truth import open_truth, scored_sequences

GOLDEN_MEASURES = ("auc", "op50", "op75", "precision", "normalised_precision")


def golden_dataset(golden, dataset):
    annotations, predictions = [], {}
    for index in range(5):
        prefix = f"{dataset}/{index}/"
        visible = golden.get(prefix + "visible")
        annotations.append(
            sequence(str(index), golden[prefix + "gt"], None if visible is None else visible.astype(bool))
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
    annotations = scored_sequences(open_truth("trackingnet", trackingnet_folder / "dummy_GT.zip"))
    submitted = scored_sequences(open_truth("trackingnet", trackingnet_folder / "dummy_subm.zip"))
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
        sequence(name, truth, cover > 0, object_class="thing", resolution_wh=program.RESOLUTION)
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
    np.testing.assert_allclose(result.mean_curve("success"), expected["succ_curve"], atol=1e-9)


@pytest.mark.parametrize(("dataset", "part"), [("got10k_val", "got10k"), ("otb", "otb")])
def test_speeds_equal_the_got10k_package(oracle, oracle_program, dataset, part):
    annotations, _, numbers = oracle
    seconds = [oracle_program("oracle_got10k").seconds_of(a.name, len(a)) for a in annotations]
    speed = frames_per_second(seconds, dialect("got10k", dataset).speed)
    assert speed == pytest.approx(numbers[part]["speed_fps"], abs=1e-9)
    # Ours elsewhere: the mean of 1/seconds is never below 1 over the mean of seconds.
    assert frames_per_second(seconds, dialect("stark", dataset).speed) < speed


def test_otb_curves_equal_the_got10k_package(oracle):
    annotations, predictions, numbers = oracle
    expected = numbers["otb"]
    result = evaluate("ours", "otb", predictions, annotations, dialect("got10k", "otb"))
    np.testing.assert_allclose(result.curves["success"], expected["success"], atol=1e-9)
    np.testing.assert_allclose(result.curves["precision"], expected["precision"], atol=1e-9)


@pytest.mark.shared
def test_dialects_differ_on_the_whole_of_lasot_as_measured_before(lasot_zip, simulate):
    annotations = scored_sequences(open_truth("lasot", lasot_zip))
    predictions = {a.name: simulate(a.boxes_xywh, seed) for seed, a in enumerate(annotations)}
    scores = {
        name: evaluate("simulated", "lasot", predictions, annotations, dialect(name, "lasot")).overall("auc")
        for name in ("lasot", "stark", "got10k")
    }
    assert sum(map(len, annotations)) == 685_360
    assert sum(int(a.flagged_absent.sum()) for a in annotations) == 18_346
    assert scores["lasot"] == pytest.approx(scores["stark"], abs=1e-4)
    assert 0.002 < scores["got10k"] - scores["lasot"] < 0.02


@pytest.mark.shared
def test_integer_result_files_cost_the_stark_dialect_a_little(lasot_zip, simulate):
    annotations = scored_sequences(open_truth("lasot", lasot_zip), ["airplane-1", "bird-2", "volleyball-19"])
    predictions = {a.name: simulate(a.boxes_xywh, seed) for seed, a in enumerate(annotations)}
    whole, cut = (
        evaluate("s", "lasot", predictions, annotations, dialect(name, "lasot")).overall("auc")
        for name in ("stark", "stark-integer")
    )
    truncated = {name: np.trunc(boxes) for name, boxes in predictions.items()}
    assert cut == evaluate("s", "lasot", truncated, annotations, dialect("stark", "lasot")).overall("auc")
    assert 0 < whole - cut < 0.05


def plain_lasot(predicted, truth, absent):
    """Score one sequence frame by frame, as the LaSOT toolkit's rules read."""
    boxes = [list(truth[0])]
    for index in range(1, len(truth)):
        x, y, w, h = predicted[index]
        bad = not (w > 0 and h > 0) or np.isnan(predicted[index]).any()
        boxes.append(boxes[-1] if bad and not np.isnan(truth[index]).any() else [x, y, w, h])
    success, precision, normalised = np.zeros(21), np.zeros(51), np.zeros(51)
    for (px, py, pw, ph), (x, y, w, h), is_absent in zip(boxes, truth, absent, strict=True):
        if is_absent:
            continue
        overlap = error = relative = -1.0
        if min(x, y, w, h) > 0:
            shared_w, shared_h = min(px + pw, x + w) - max(px, x), min(py + ph, y + h) - max(py, y)
            shared = max(shared_w, 0) * max(shared_h, 0)
            overlap = shared / (pw * ph + w * h - shared)
            dx, dy = px + pw / 2 - x - w / 2, py + ph / 2 - y - h / 2
            error, relative = np.hypot(dx, dy), np.hypot(dx / w, dy / h)
        success += [overlap > k / 20 for k in range(21)]
        precision += [error <= k for k in range(51)]
        normalised += [relative <= k / 100 for k in range(51)]
    return success / len(truth), precision / len(truth), normalised / len(truth)


def plain_trackingnet(predicted, truth):
    """Score one sequence frame by frame, as the TrackingNet devkit's rules read."""
    success, precision, normalised = np.zeros(21), np.zeros(21), np.zeros(21)
    for index, (guess, true) in enumerate(zip(predicted, truth, strict=True)):
        x, y, w, h = np.round(true)
        px, py, pw, ph = (x, y, w, h) if index == 0 else np.round(guess)
        shared_w = min(px + pw - 1, x + w - 1) - max(px, x) + 1
        shared_h = min(py + ph - 1, y + h - 1) - max(py, y) + 1
        shared = max(shared_w, 0) * max(shared_h, 0)
        dx, dy = px + pw / 2 - x - w / 2, py + ph / 2 - y - h / 2
        success += [shared / (pw * ph + w * h - shared) >= threshold for threshold in np.linspace(0, 1, 21)]
        precision += [np.hypot(dx, dy) <= threshold for threshold in np.linspace(0, 50, 21)]
        normalised += [np.hypot(dx / w, dy / h) <= threshold for threshold in np.linspace(0, 0.5, 21)]
    areas = [(curve[1:] + curve[:-1]).sum() / 2 / 20 for curve in (success, precision, normalised)]
    return [area / len(truth) for area in areas]


def test_the_trackingnet_dialect_equals_a_plain_reading_of_its_rules(simulate):
    rng = np.random.default_rng(9)
    truth = np.array([80.0, 60, 31, 43]) + rng.normal(0, 2, (300, 4)).cumsum(0) * [1, 1, 0, 0]
    predicted = simulate(truth, 4)
    result = evaluate(
        "t", "trackingnet", {"made": predicted}, [sequence("made", truth)], dialect("trackingnet")
    )
    measured = [result.overall(key) for key in ("success", "precision", "normalised_precision")]
    np.testing.assert_allclose(measured, plain_trackingnet(predicted, truth), atol=1e-12)


def test_the_lasot_dialect_equals_a_plain_reading_of_its_rules(simulate):
    rng = np.random.default_rng(8)
    truth = np.round(np.array([80.0, 60, 30, 40]) + rng.normal(0, 2, (300, 4)).cumsum(0) * [1, 1, 0, 0])
    truth[[20, 21, 60]] = [[0, 0, 0, 0], [-3, 40, 30, 40], [50, 50, 30, 0]]
    predicted = simulate(truth, 1)
    predicted[[30, 31, 21, 90]] = [[0, 0, 0, 0], [5, 5, -2, 8], [9, 9, 0, 9], [np.nan] * 4]
    absent = rng.random(300) < 0.1
    annotation = sequence("made", truth, ~absent)
    result = evaluate("t", "lasot", {"made": predicted}, [annotation], dialect("lasot", "lasot"))
    expected = plain_lasot(predicted, truth, absent)
    for curve, values in zip(("success", "precision", "normalised"), expected, strict=True):
        # Thresholds are exact multiples here; only the first frame's overlap of 1 could differ, by rounding.
        np.testing.assert_allclose(result.curves[curve][0], values, atol=1e-12, err_msg=curve)


def four_frames(predicted=None, **changes):
    truth = np.array([[10.0, 10, 20, 20]] * 4)
    annotation = sequence("Four", changes.pop("truth", truth), **changes)
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
    with pytest.warns(
        SourceWarning, match="Four: 1 of 4 frames have no box in the result file; the stark dialect"
    ):
        padded = score_sequence(predicted, annotation, dialect("stark", "otb")).overlap
    assert padded.tolist() == [1, 1, 1, 0]
    with pytest.warns(SourceWarning, match="Four: 1 of 4 frames .* the trackingnet dialect"):
        failed = score_sequence(predicted, annotation, dialect("trackingnet")).overlap
    assert np.isnan(failed[3])
    with pytest.raises(ResultFileError, match="got 3 boxes for 4 frames of Four"):
        score_sequence(predicted, annotation, dialect("stark", "lasot"))


@pytest.mark.parametrize("name", ["stark", "stark-integer", "pytracking", "trackingnet"])
def test_toolkits_that_fill_short_predictions_count_failures_and_it_is_said(name):
    predicted, annotation = four_frames([[10, 10, 20, 20]] * 3)
    with pytest.warns(SourceWarning, match=f"Four: 1 of 4 frames .* the {name} dialect"):
        score_sequence(predicted, annotation, dialect(name, "otb"))


@pytest.mark.parametrize("name", ["lasot", "got10k", "pysot"])
def test_toolkits_that_refuse_short_predictions_are_followed(name):
    predicted, annotation = four_frames([[10, 10, 20, 20]] * 3)
    with pytest.raises(ResultFileError, match=f"the {name} dialect wants one box per annotated frame, got 3"):
        score_sequence(predicted, annotation, dialect(name, "otb"))


def test_long_predictions_are_cut_or_refused():
    predicted, annotation = four_frames([[10, 10, 20, 20]] * 6)
    assert len(score_sequence(predicted, annotation, dialect("lasot")).overlap) == 4
    with pytest.raises(ResultFileError, match="6 boxes"):
        score_sequence(predicted, annotation, dialect("pysot"))


def test_a_negative_size_is_refused_where_the_toolkit_refuses_it():
    predicted, annotation = four_frames([[10, 10, 20, 20], [10, 10, -2, 20]] * 2)
    with pytest.raises(ResultFileError, match="frame 1 of Four"):
        score_sequence(predicted, annotation, dialect("stark"))


@pytest.mark.parametrize(("toolkit", "dataset"), [("got10k", "otb"), ("pysot", ""), ("got10k", "got10k_val")])
def test_a_prediction_that_is_no_number_is_refused_where_the_toolkit_has_no_rule(toolkit, dataset):
    predicted, annotation = four_frames([[10, 10, 20, 20], [np.nan] * 4] * 2)
    files = {"Four": "ours/Four.txt"}
    with pytest.raises(ResultFileError, match=r"^ours/Four\.txt: .* frame 1 of Four \(line 2 of its result"):
        evaluate("t", dataset, {"Four": predicted}, [annotation], dialect(toolkit, dataset), files)
    repeated = evaluate("t", "lasot", {"Four": predicted}, [annotation], dialect("lasot", "lasot"))
    assert repeated.overall("op50") == 1


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
        sequence(name, truth, object_class=kind) for name, kind in [("a", "cat"), ("b", "cat"), ("c", "dog")]
    ]
    result = evaluate(
        "t", "got10k_val", {"a": good, "b": good, "c": bad}, annotations, dialect("got10k", "got10k_val")
    )
    assert result.overall("mao") == pytest.approx(0.5)
    assert result.overall("ao") == pytest.approx(2 / 3)


def test_joined_data_sets_keep_their_own_rules_and_weigh_every_sequence_the_same():
    predicted, annotation = four_frames(visible=np.array([True, True, False, False]))
    parts = [
        evaluate("t", part, {name: predicted}, [replace(annotation, name=name)], dialect("stark", part))
        for part, name in (("uav123", "uav123_Four"), ("lasot", "lasot_Four"))
    ]
    joined = join("both", parts)
    assert joined.names == ("uav123_Four", "lasot_Four")
    assert joined.values["precision"].tolist() == [1.0, 0.5]
    assert joined.overall("precision") == 0.75
    other = evaluate("t", "otb", {"Four": predicted}, [annotation], dialect("lasot"))
    with pytest.raises(DatasetError, match="one dialect's measures"):
        join("both", [parts[0], other])


def test_every_dialect_scores_a_perfect_tracker_nearly_perfect():
    predicted, annotation = four_frames()
    first = {
        name: evaluate("t", "otb", {"Four": predicted}, [annotation], dialect(name, "otb"))
        for name in DIALECTS
    }
    assert {name: round(result.overall(next(iter(result.values))), 3) for name, result in first.items()} == {
        name: 1.0 if name == "trackingnet" else 0.952 for name in DIALECTS
    }
