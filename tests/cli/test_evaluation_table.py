import numpy as np

from starktrack.cli.evaluation_table import _evaluate
from starktrack.data.result_folder import ResultFolder
from starktrack.data.sources.notu import UnionDataset
from starktrack.evaluation.annotations import Annotation


class One:
    """A data set of one sequence, of which only the name is asked."""

    name, split, missing, names = "one", "test", (), ("a",)

    def __len__(self):
        return 1

    def __getitem__(self, key):
        raise AssertionError("the truth is given")

    facts = __getitem__


def test_sequences_of_a_union_are_scored_by_the_rules_of_their_own_set(tmp_path, monkeypatch):
    parts = {name: One() for name in ("otb", "uav123")}
    union = UnionDataset("all", "test", parts, ())
    boxes = np.tile([10.0, 10, 20, 20], (4, 1))
    hidden = boxes.copy()
    hidden[2:] = np.nan
    truth = [Annotation(name, hidden, ~np.isnan(hidden[:, 0])) for name in ("otb_a", "uav123_a")]
    monkeypatch.setattr(ResultFolder, "boxes", lambda self, name: boxes)
    monkeypatch.setattr(ResultFolder, "seconds", lambda self, name: np.ones(4))
    scored = _evaluate(union, "ours", tmp_path, truth)
    precision = dict(zip(scored.names, scored.values["precision"], strict=True))
    # A frame without target is a failure on OTB; the authors' UAV123 rule counts it as found.
    assert precision == {"otb/otb_a": 0.5, "uav123/uav123_a": 1.0}
