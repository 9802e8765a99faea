import errno
import os

import pytest

from starktrack.errors import InputError
from starktrack.files import (
    atomic_folder,
    atomic_write,
    check_output_path,
    discard_all_leftovers,
    discard_leftovers,
)


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


def test_folders_that_a_killed_process_left_are_removed_too(tmp_path):
    for name in (".a.12.partial", ".b.12.partial", "a"):
        (tmp_path / name / "inside").mkdir(parents=True)
    discard_leftovers([tmp_path / "a"])
    assert sorted(each.name for each in tmp_path.iterdir()) == [".b.12.partial", "a"]
    (tmp_path / ".c.34.partial.txt").touch()
    discard_all_leftovers(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_a_file_is_on_disk_before_it_replaces_the_older_one_and_its_name_after(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("older")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((os.fstat(file).st_ino, path.read_text())))
    with atomic_write(path) as partial:
        partial.write_text("newer")
    assert synced == [(path.stat().st_ino, "older"), (tmp_path.stat().st_ino, "newer")]


def test_a_file_system_that_cannot_sync_is_no_failure_and_a_bad_disk_is(tmp_path, monkeypatch):
    def sync(number):
        def fail(file):
            raise OSError(number, os.strerror(number))

        return fail

    path = tmp_path / "a.txt"
    monkeypatch.setattr(os, "fsync", sync(errno.EINVAL))
    with atomic_write(path) as partial:
        partial.write_text("whole")
    monkeypatch.setattr(os, "fsync", sync(errno.EIO))
    with pytest.raises(InputError, match="must be written whole"), atomic_write(path) as partial:
        partial.write_text("newer")
    assert path.read_text() == "whole"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_names_the_file_and_keeps_the_older_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("older")
    with (
        pytest.raises(InputError, match=r"a\.txt must be written whole, got: No space left"),
        atomic_write(path),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "older"


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain.txt").write_text("")
    with atomic_write(tmp_path / "a.txt") as partial:
        partial.write_text("")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write_text("first")
        second.write_text("second")
        assert first != second
    assert path.read_text() == "first"


def test_a_folder_appears_when_it_is_whole_and_an_error_leaves_nothing(tmp_path):
    path = tmp_path / "masks"
    path.mkdir()
    with pytest.raises(RuntimeError), atomic_folder(path, "a folder of masks") as partial:
        (partial / "a.png").write_text("half")
        raise RuntimeError
    assert not list(path.iterdir()) and [each.name for each in tmp_path.iterdir()] == ["masks"]
    with atomic_folder(path, "a folder of masks") as partial:
        (partial / "a.png").write_text("whole")
        assert not list(path.iterdir())
    assert (path / "a.png").read_text() == "whole" and [each.name for each in tmp_path.iterdir()] == ["masks"]
    with (
        pytest.raises(InputError, match="a folder of masks must be new or empty"),
        atomic_folder(path, "a folder of masks"),
    ):
        pytest.fail("written to")


@pytest.mark.parametrize("letter", ["a", "ä"])
def test_names_as_long_as_a_file_system_allows_are_written_and_cleared(tmp_path, letter):
    path = tmp_path / (letter * ((255 - 5) // len(letter.encode())) + ".json")
    with atomic_write(path) as partial:
        partial.write_text("whole")
    assert path.read_text() == "whole"
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as partial:
        partial.write_text("half")
        left = partial.read_bytes()
        raise KeyboardInterrupt
    partial.write_bytes(left)  # as if killed
    discard_leftovers([path])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_name_too_long_for_a_file_is_refused_before_the_work(tmp_path):
    with pytest.raises(
        InputError, match=r"an output must have a name of at most 250 bytes, got 304; choose a"
    ):
        check_output_path(tmp_path / ("a" * 300 + ".csv"), (".csv",), "an output")
    check_output_path(tmp_path / ("a" * 246 + ".csv"), (".csv",), "an output")
