"""What a notebook does: the workflows as functions, with records and callbacks."""

import sys

import pytest
from tests.cli import mini_otb

import starktrack
from starktrack.workflows.jobs import JobProgress


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with four OTB sequences and trackers of one's own, as the current one."""
    folder = mini_otb.write(tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    monkeypatch.setenv("CALLS", str(folder / "calls"))
    return folder


def test_an_evaluation_returns_scores_and_goes_on_where_it_stopped(work):
    steps, notes = [], []
    arguments = ("otb", "data", ["mine:Right"])
    options = {"allow_missing": True, "on_progress": steps.append, "on_note": notes.append}
    found = starktrack.evaluate(*arguments, **options, sequences=mini_otb.NAMES[:1])
    assert (found.names, found.problems, found.has_failed) == (tuple(mini_otb.NAMES[:1]), (), False)
    found = starktrack.evaluate(*arguments, **options)
    # The overlap of a perfect box is 1, above 20 of the 21 thresholds.
    assert found.evaluations[0].overall("auc") == pytest.approx(20 / 21)
    assert steps[0] == JobProgress("mine.Right", 1, 0)
    assert (steps[-1].total, steps[-1].finished_before, steps[-1].items) == (3, 1, 3.0)
    assert notes == []
    steps.clear()
    starktrack.evaluate(*arguments, **options)
    assert steps == [JobProgress("mine.Right", 0, 4)]


def test_a_report_returns_tables_and_json(work):
    run = starktrack.evaluate("otb", "data", ["mine:Right", "mine:Still"], allow_missing=True)
    found = starktrack.report(run.folders, "data", per=["sequence"], compare=True)
    (section,) = found.sections
    overall, sequences, comparison = section.tables
    assert [row[0] for row in overall.rows] == ["mine.Right", "mine.Still"]
    assert {row[0] for row in sequences.rows} == set(mini_otb.NAMES)
    assert comparison.title.startswith("mine.Right minus mine.Still")
    assert section.conventions[0] == "otb, by the conventions of stark:"
    assert '"trackers"' in found.json


def test_what_cannot_be_reported_is_refused_before_anything_is_read(work):
    with pytest.raises(starktrack.ConfigError, match="--per must be sequence or attribute, got 'frame'"):
        starktrack.report({"a": "nowhere"}, "data", dataset="otb", per=["frame"])
