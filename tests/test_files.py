import pytest

from starktrack.files import atomic_write, discard_leftovers


def test_a_whole_file_replaces_the_older_one(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("older")
    with atomic_write(path) as partial:
        partial.write_text("newer")
        assert path.read_text() == "older"
    assert path.read_text() == "newer"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_an_error_leaves_the_older_one(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("older")
    with pytest.raises(RuntimeError), atomic_write(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "older"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_what_a_killed_process_left_is_removed_and_other_files_are_not(tmp_path):
    for name in (".a.12.partial.txt", ".b.12.partial.txt", "a.txt", ".a.txt"):
        (tmp_path / name).write_text("half")
    discard_leftovers([tmp_path / "a.txt", tmp_path / "nowhere" / "c.txt"])
    assert sorted(file.name for file in tmp_path.iterdir()) == [".a.txt", ".b.12.partial.txt", "a.txt"]
