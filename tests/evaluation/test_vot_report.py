import re
from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.made import vot_sequence

from starktrack.data.formats.regions import Rectangle
from starktrack.evaluation.tables import comparison_table, overall_table
from starktrack.evaluation.vot_anchors import score_anchors
from starktrack.evaluation.vot_longterm import score_longterm
from starktrack.evaluation.vot_report import compare_vot, vot_scores
from starktrack.evaluation.vot_results import (
    VotRun,
    anchor_frames,
    read_run,
    read_sequences,
    run_path,
)
from starktrack.evaluation.vot_unsupervised import score_unsupervised


@pytest.fixture(scope="module")
def workspace(oracle_program, tmp_path_factory):
    root = tmp_path_factory.mktemp("vot") / "workspace"
    oracle_program("oracle_vot").write_workspace(root)
    return root


def score(workspace, kind, sequences):
    results = workspace / "results" / "Ours"
    if kind == "baseline":

        def read(sequence, anchor):
            path = run_path(results, kind, sequence.name, f"{anchor:08d}")
            return read_run(path, len(anchor_frames(sequence, anchor)))

        return score_anchors(sequences, read, (15, 60))
    runs = {s.name: read_run(run_path(results, kind, s.name, "001"), len(s)) for s in sequences}
    return (score_longterm if kind == "longterm" else score_unsupervised)(sequences, runs)


KEYS = {
    "baseline": ("eao", "accuracy", "robustness"),
    "longterm": ("precision", "recall", "f_score"),
    "unsupervised": ("accuracy",),
}


@pytest.mark.parametrize("kind", ["baseline", "unsupervised"])
def test_a_sequence_that_alone_is_drawn_has_the_score_that_it_has_alone(workspace, kind):
    sequences = read_sequences(workspace)
    whole = score(workspace, kind, sequences)
    drawn = whole.parts.measures(np.eye(len(sequences)))
    for index, sequence in enumerate(sequences):
        alone = score(workspace, kind, [sequence])
        assert [drawn[key][index] for key in KEYS[kind]] == pytest.approx(
            [getattr(alone, key) for key in KEYS[kind]]
        )
    thrice = whole.parts.measures(np.full((1, len(sequences)), 3.0))
    assert [thrice[key][0] for key in KEYS[kind]] == pytest.approx(
        [getattr(whole, key) for key in KEYS[kind]]
    )


def test_longterm_sequences_that_are_all_drawn_have_the_score_of_all(workspace):
    whole = score(workspace, "longterm", read_sequences(workspace))
    drawn = whole.parts.measures(np.ones((1, 4)))
    measured = [getattr(whole, key) for key in KEYS["longterm"]]
    assert [drawn[key][0] for key in KEYS["longterm"]] == pytest.approx(measured)
    half = whole.parts.measures(np.array([[1.0, 1.0, 0.0, 0.0]]))
    precision, recall = whole.parts.precision[:2].mean(axis=0), whole.parts.recall[:2].mean(axis=0)
    assert half["f_score"][0] == pytest.approx(max(2 * precision * recall / (precision + recall + 1e-300)))


@pytest.mark.parametrize("kind", list(KEYS))
def test_a_tag_of_every_frame_of_a_sequence_has_the_scores_of_that_sequence(workspace, kind):
    sequences = [
        replace(
            s,
            benchmark=replace(
                s.benchmark,
                tags={"blur": np.full(len(s), s.name == "masks"), "never": np.zeros(len(s), bool)},
            ),
        )
        for s in read_sequences(workspace)
    ]
    found = score(workspace, kind, sequences)
    (tag,) = found.tags
    assert (tag, found.tags[tag].num_frames) == ("blur", len(sequences[2]))
    fields = {key: f"sequence_{key}" for key in KEYS[kind] if hasattr(found, f"sequence_{key}")}
    assert fields
    for key, field in fields.items():
        assert found.tags[tag].values[key] == pytest.approx(getattr(found, field)["masks"])


def box(x):
    return Rectangle(np.array([x, 0.0, 10.0, 10.0]))


def test_tagged_frames_are_counted_as_often_as_runs_pass_them():
    flags = np.array([False, True, True, False])
    sequence = vot_sequence("a", (100, 40), tuple(box(0.0) for _ in range(4)), {0: 1, 2: 1}, {"blur": flags})
    # From 0: overlaps 0 (the start), 1, 1/3, 1; from 2: 0, 1. Frames 1 and 2 are tagged.
    runs = {0: [box(90.0), box(0.0), box(5.0), box(0.0)], 2: [box(90.0), box(0.0)]}
    found = score_anchors(
        [sequence], lambda _, anchor: VotRun(tuple(runs[anchor]), np.zeros(len(runs[anchor]))), (1, 2)
    )
    assert found.tags["blur"].values == pytest.approx({"accuracy": (1 + 1 / 3 + 0) / 3, "robustness": 1.0})
    longterm = score_longterm([sequence], {"a": VotRun(tuple(runs[0]), np.array([0.0, 0.9, 0.9, 0.1]))})
    # F is highest where all but the first two are reported, or all; both tagged frames are.
    shared = (1 + 1 / 3) / 2
    assert longterm.tags["blur"].values == pytest.approx(
        {"precision": shared, "recall": shared, "f_score": shared}
    )


def test_a_better_tracker_is_told_with_its_interval(workspace):
    sequences = read_sequences(workspace)
    ours = score(workspace, "baseline", sequences)

    def perfect(sequence, anchor):
        regions = tuple(sequence.benchmark.regions[frame] for frame in anchor_frames(sequence, anchor))
        return VotRun(regions, np.zeros(len(regions)))

    best = score_anchors(sequences, perfect, (15, 60))
    both = vot_scores({"best": best, "ours": ours}, "t", sequences)
    rows = {row[0]: row for row in comparison_table(*both, compare_vot(best, ours)).rows}
    assert list(rows) == ["EAO", "A", "R"]
    value, low, high = map(float, re.findall(r"[+-]\d\.\d{4}", rows["EAO"][1]))
    assert 0 < low < value < high
    assert value == pytest.approx(best.eao - ours.eao, abs=1e-4)
    assert (rows["EAO"][2], rows["A"][2], rows["EAO"][3]) == ("", "4 / 0", "0.000")
    (row,) = overall_table(both[1:]).rows
    assert re.fullmatch(r"0\.\d{4} ±0\.\d{4}", row[1])
    assert row[2].startswith(f"{ours.accuracy:.4f} ±")
