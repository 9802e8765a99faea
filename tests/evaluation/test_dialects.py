import dataclasses

import numpy as np
import pytest

from starktrack.errors import ConfigError
from starktrack.evaluation.conventions import WORDS, explain
from starktrack.evaluation.dialects import DIALECTS, OVERRIDES, dialect, matlab_range


def test_unknown_toolkit_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'pytracking'"):
        dialect("pytraking")


def test_every_choice_of_every_dialect_has_words():
    choices = 0
    for name in DIALECTS:
        for dataset in ("", *{beginning for _, beginning in OVERRIDES}):
            lines = explain(dialect(name, dataset))
            assert all(lines)
            choices += len(lines)
    assert choices > 600


def test_every_field_that_is_a_choice_is_explained():
    silent = {f.name for f in dataclasses.fields(DIALECTS["stark"])} - set(WORDS)
    assert silent == {
        "name", "source", "measures", "smallest_true_size",
        "overlap_thresholds", "centre_thresholds", "normalised_thresholds",
    }  # fmt: skip


def test_the_explanation_says_what_differs_between_stark_and_pytracking():
    stark, pytracking = (set(explain(dialect(name))[1:]) for name in ("stark", "pytracking"))
    assert len(stark - pytracking) == 2
    assert all("true size is positive" in line for line in stark - pytracking)


def test_special_cases_follow_the_data_set():
    assert dialect("stark", "lasot").short_predictions == "refuse"
    assert dialect("pytracking", "uav123").centre_if_absent == "success"
    assert dialect("stark-integer", "uav123").centre_if_invalid == "success"
    assert dialect("got10k", "otb").first_frame == "truth"
    assert dialect("got10k", "got10k_val").first_frame == "left_out"


def test_dropping_invalid_frames_changes_the_denominator_only():
    changed = dataclasses.asdict(dialect("stark", drop_invalid=True)).items()
    plain = dataclasses.asdict(dialect("stark"))
    differing = [key for key, value in changed if not np.array_equal(value, plain[key])]
    assert differing == ["denominator"]


def test_matlab_counts_the_upper_half_down_from_the_end():
    values = matlab_range(0.05, 20)
    np.testing.assert_allclose(values, np.linspace(0, 1, 21), atol=1e-15)
    assert values[17] == 1 - 3 * 0.05 != 17 * 0.05
