import pytest

from starktrack.errors import InputError
from starktrack.evaluation.vot_workspace import TrackerEntry, add_tracker, format_entry, write_workspace

TRAX = TrackerEntry(
    "stark_st50",
    "STARK-ST50",
    "trax",
    "python -m ours",
    environment={"OMP_NUM_THREADS": "1"},
    timeout_seconds=90,
)
PYTHON = TrackerEntry("stark_py", "STARK", "python", "ours.vot:factory")


def test_an_entry_says_how_the_toolkit_starts_the_tracker():
    assert format_entry(TRAX).splitlines() == [
        "[stark_st50]",
        "label = STARK-ST50",
        "protocol = trax",
        "command = python -m ours",
        "env_OMP_NUM_THREADS = 1",
        "timeout = 90",
    ]
    assert "command = ours.vot:factory\n" in format_entry(PYTHON)


def test_entries_are_added_after_what_is_there(tmp_path):
    (tmp_path / "trackers.ini").write_text("; mine\n[other]\ncommand = x\n")
    add_tracker(tmp_path, TRAX)
    text = add_tracker(tmp_path, PYTHON).read_text()
    assert text.startswith("; mine\n[other]\ncommand = x\n\n[stark_st50]\n")
    assert text.count("[stark_py]") == 1


def test_an_identifier_is_used_once(tmp_path):
    add_tracker(tmp_path, TRAX)
    with pytest.raises(InputError, match="must be new, got 'stark_st50'"):
        add_tracker(tmp_path, TRAX)


def test_an_existing_configuration_is_left_alone(tmp_path):
    assert write_workspace(tmp_path / "ws", "vot2020/shortterm")
    path = tmp_path / "ws" / "config.yaml"
    assert "stack: vot2020/shortterm\n" in path.read_text()
    path.write_text("mine")
    assert not write_workspace(tmp_path / "ws", "vot2020/longterm")
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (TrackerEntry("a b", "A", "trax", "x"), "letters, digits"),
        (TrackerEntry("a", "A", "python", "python -m x"), "module:factory"),
    ],
)
def test_what_the_toolkit_could_not_start_is_refused(tmp_path, entry, message):
    with pytest.raises(InputError, match=message):
        add_tracker(tmp_path, entry)


def test_a_broken_registry_is_named(tmp_path):
    (tmp_path / "trackers.ini").write_text("label = before any section\n")
    with pytest.raises(InputError, match=r"trackers\.ini must be an ini file"):
        add_tracker(tmp_path, TRAX)
