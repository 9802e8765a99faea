import csv
import io
import json

import numpy as np
import pytest
from rich.console import Console
from tests.evaluation.made import sequence

from starktrack.errors import ConfigError, DatasetError, InputError
from starktrack.evaluation.attributes import derive_attributes, read_attributes, with_derived_attributes
from starktrack.evaluation.conventions import explain
from starktrack.evaluation.dialects import dialect
from starktrack.evaluation.published import not_published_here, published_for, published_numbers
from starktrack.evaluation.report import compare_all, scores_of, to_json
from starktrack.evaluation.scoring import evaluate
from starktrack.evaluation.statistics import compare, interval
from starktrack.evaluation.tables import (
    Table,
    comparison_table,
    group_table,
    overall_table,
    sequence_table,
    to_csv,
    to_latex,
    to_markdown,
    to_terminal,
)


@pytest.fixture(scope="module")
def evaluations():
    rng = np.random.default_rng(0)
    annotations, good, bad = [], {}, {}
    for index in range(12):
        truth = np.array([60.0, 60, 40, 40]) + rng.normal(0, 3, (30, 4)).cumsum(0) * [1, 1, 0, 0]
        name = f"seq_{index}"
        annotations.append(sequence(name, truth, attributes=("blur",) if index < 4 else ("calm", "blur")))
        good[name] = truth + rng.normal(0, 2, truth.shape)
        bad[name] = truth + rng.normal(0, 9, truth.shape)
    chosen = dialect("stark", "otb")
    return [evaluate(n, "otb", p, annotations, chosen) for n, p in [("good", good), ("bad", bad)]]


@pytest.fixture(scope="module")
def scores(evaluations):
    return [scores_of(evaluation) for evaluation in evaluations]


def test_the_overall_table_has_a_row_per_tracker_and_an_interval_per_value(evaluations, scores):
    table = overall_table(scores)
    assert table.headings[:2] == ("tracker", "AUC")
    assert [row[0] for row in table.rows] == ["good", "bad"]
    assert table.rows[0][1].startswith(f"{100 * evaluations[0].overall('auc'):.2f} ±")


def test_published_numbers_stand_below_measured_ones(scores):
    rows = overall_table(scores, published_for("lasot")).rows
    assert ("STARK-ST101 †", "67.1", "", "", "", "77.0", "", "30.0") in rows


def test_sequences_and_attributes_have_rows_of_their_own(evaluations, scores):
    assert len(sequence_table(scores, "").rows) == 12
    rows = group_table(scores, "precision").rows
    assert [row[0] for row in rows] == ["blur (12)", "calm (8)"]
    assert float(rows[0][1]) == pytest.approx(100 * evaluations[0].overall("precision"), abs=0.005)


def test_an_unknown_measure_names_the_nearest(scores):
    with pytest.raises(ConfigError, match="did you mean 'precision'"):
        sequence_table(scores, "precison")


def test_every_form_holds_the_same_cells(evaluations, scores):
    table = overall_table(scores)
    assert to_markdown(table).count("\n| ") == 4
    name, *numbers = tuple(csv.reader(io.StringIO(to_csv(table))))[1]
    assert name == "good"
    assert float(numbers[0]) == pytest.approx(100 * evaluations[0].overall("auc"), abs=0.005)
    latex = to_latex(table)
    assert r"\toprule" in latex
    assert r"tracker & AUC & OP50" in latex
    assert to_terminal(table).row_count == 2


def test_latex_signs_are_escaped(scores):
    assert r"seq\_0 &" in to_latex(sequence_table(scores, ""))


def test_tildes_and_carets_and_backslashes_are_escaped_for_latex():
    latex = to_latex(Table("t", ("a~b",), (("x^2",), ("c\\d{e}",))))
    assert r"a\textasciitilde{}b \\" in latex
    assert r"x\textasciicircum{}2 \\" in latex
    assert r"c\textbackslash{}d\{e\} \\" in latex


def test_a_name_in_brackets_is_no_markup_for_the_terminal():
    console = Console(file=io.StringIO(), width=60)
    console.print(to_terminal(Table("[bold]", ("[a]",), (("[red]ours",),))))
    assert all(text in console.file.getvalue() for text in ("[bold]", "[a]", "[red]ours"))


def test_other_names_of_a_data_set_have_its_published_numbers():
    assert published_for("vot") == published_for("vot2020")
    assert published_for("uav") == published_for("uav123") != []
    assert published_for("vot2019lt") == published_for("vot_longterm") == published_for("vot2020lt") != []


def test_json_tells_conventions_measures_curves_and_sequences(evaluations):
    parsed = json.loads(to_json(evaluations, {"otb": explain(evaluations[0].dialect)}))
    assert parsed["dialect"] == "stark"
    assert len(parsed["conventions"]["otb"]) > 15
    good = parsed["trackers"]["good"]
    assert good["measures"]["auc"] == pytest.approx(evaluations[0].overall("auc"), abs=1e-12)
    assert np.mean(good["curves"]["success"]) == pytest.approx(good["measures"]["auc"], abs=1e-12)
    assert good["sequences"]["seq_3"]["auc"] == evaluations[0].values["auc"][3]


def test_the_interval_of_equal_values_is_a_point():
    found = interval(np.full(5, 0.25), np.ones(5))
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)


def test_the_bootstrap_interval_is_that_of_the_normal_mean():
    values = np.random.default_rng(1).normal(0, 1, 400)
    found = interval(values, np.ones(400))
    # Half a standard error of slack on each side: 2,000 resamples of 400 values.
    assert found.low == pytest.approx(values.mean() - 1.96 / 20, abs=0.025)
    assert found.high == pytest.approx(values.mean() + 1.96 / 20, abs=0.025)


def test_a_paired_comparison_tells_who_wins_where(evaluations, scores):
    found = compare(*evaluations, "auc")
    assert (found.better, found.worse, found.reversal) == (12, 0, 0.0)
    assert found.difference.value == pytest.approx(
        evaluations[0].overall("auc") - evaluations[1].overall("auc")
    )
    assert comparison_table(*scores, compare_all(*evaluations)).rows[0][2] == "12 / 0"


def test_a_comparison_needs_the_same_sequences(evaluations):
    truth = np.array([[1.0, 1, 2, 2]] * 3)
    other = evaluate("o", "otb", {"x": truth}, [sequence("x", truth)], dialect("stark", "otb"))
    with pytest.raises(InputError, match="same sequences and dialect, got good on 12"):
        compare(evaluations[0], other, "auc")


def test_published_numbers_have_sources_and_known_values():
    numbers = published_numbers()
    assert all(len(number.source) > 20 for number in numbers)
    found = {(n.tracker, n.dataset, n.measure): n.value for n in numbers}
    assert len(found) == len(numbers)
    assert found["STARK-ST101", "got10k_test", "sr75"] == 64.1
    assert found["STARK-ST50+AR", "vot2020", "eao"] == 0.505
    assert found["STARK-ST101", "trackingnet", "normalised_precision"] == 86.9
    assert found["SiamRPN++", "trackingnet", "success"] == 73.3
    assert found["LT_DSE", "vot2020lt", "f_score"] == 69.5
    assert found["STARK-ST101", "notu", "auc"] == 66.1
    assert found["PrDiMP50", "lasot", "auc"] == 59.8
    datasets = {number.dataset for number in numbers}
    assert {
        "lasot",
        "got10k_test",
        "trackingnet",
        "vot2020",
        "vot2020lt",
        "otb",
        "nfs",
        "uav123",
        "notu",
        "speed",
    } <= datasets


def test_what_is_not_published_here_is_told():
    assert not_published_here("got10k_test") == ""
    assert not_published_here("vot") == not_published_here("vot2020")
    assert "table 3 of the paper: accuracy and robustness" in not_published_here("vot")
    assert "table 5 of the paper: precision" in not_published_here("notu")


def test_attributes_follow_from_the_boxes():
    still = np.array([[50.0, 50, 40, 40]] * 4)
    assert derive_attributes(sequence("a", still)) == ()
    jump, grow, gone, small = still.copy(), still.copy(), still.copy(), still.copy()
    jump[2, 0] += 41
    grow[2, 2:] = 81
    gone[2] = np.nan
    small[:, 2:] = 31
    assert derive_attributes(sequence("a", jump)) == ("fast motion",)
    assert derive_attributes(sequence("a", grow)) == ("scale variation",)
    assert derive_attributes(sequence("a", gone)) == ("absence",)
    assert derive_attributes(sequence("a", small)) == ("low resolution",)
    wide = still.copy()
    wide[1, 2:] = [64, 30]
    assert derive_attributes(sequence("a", wide)) == ("aspect ratio change",)


def test_told_attributes_win_over_derived_ones(tmp_path):
    truth = np.array([[50.0, 50, 4, 4]] * 2)
    annotations = [sequence("a", truth)]
    (tmp_path / "a.json").write_text('{"a": ["rain"]}')
    parsed = read_attributes(tmp_path / "a.json", annotations)
    assert with_derived_attributes(parsed)[0].benchmark.attributes == ("rain",)
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(DatasetError, match="got none for a"):
        read_attributes(tmp_path / "b.json", annotations)
