"""What is on disk at any moment: changes are appended, and a kill at any byte loses no more than the last of them."""

import os
import shutil
import sys
import threading
import time

import numpy as np
import pytest
from tests.studio.conftest import rows_of

from starktrack.errors import InputError, ResultFileError
from starktrack.studio import store as store_module
from starktrack.studio.project import Kind, Project, State, Target
from starktrack.studio.project_file import read_project
from starktrack.studio.rows import decode_rows, encode_rows
from starktrack.studio.store import ProjectStore

NAME = "clip.mp4"


def content_of(project):
    return [(t.id, t.name, t.colour, rows_of(t)) for t in project.targets.values()], project.next_id()


def opened(folder):
    store = ProjectStore(folder, NAME)
    project = store.load()
    store.close()
    return project


def changes():
    """Return functions that change a project, each in its own way."""
    return [
        lambda p: p.add_target(0, (10, 10, 20, 20), name="Ente 鸭"),
        lambda p: p.set_box(0, 5, (1.5, 2.25, 5, 5)),
        lambda p: p.interpolate(0, 0, 5),
        lambda p: p.add_target(3, (1, 2, 3, 4), colour="#123456"),
        lambda p: p.mark_absent(1, 4),
        lambda p: p.rename(1, "second"),
        lambda p: p.split(0, 4),
        lambda p: p.clear(2, 0, 19),
        lambda p: p.delete_target(1),
        lambda p: p.undo(),
        lambda p: p.redo(),
        lambda p: p.join(0, 2),
    ]


@pytest.fixture
def journalled(tmp_path):
    """Return a folder left behind by a killed process, and what the project was after each change."""
    store = ProjectStore(tmp_path, NAME)
    assert store.load() is None
    project, states = Project(NAME, (100, 200), 20), []
    for change in changes():
        change(project)
        store.save(project.snapshot(), {})
        states.append((store._journal.tell(), content_of(project)))
    store._journal.close()  # as the system does it after a kill
    return tmp_path, states


def test_every_kind_of_change_is_there_again(journalled):
    folder, states = journalled
    assert content_of(opened(folder)) == states[-1][1]
    # Opening folded the journal into the file, which holds all by itself.
    assert [path.name for path in folder.iterdir()] == [f"{NAME}.starktrack.json"]
    assert content_of(read_project(folder / f"{NAME}.starktrack.json")[0]) == states[-1][1]


def test_a_kill_at_any_byte_leaves_the_project_at_a_whole_change(journalled, tmp_path_factory, monkeypatch):
    folder, states = journalled
    monkeypatch.setattr(os, "fsync", lambda _: None)  # thousands of openings, and no power cut among them
    journal = (folder / f"{NAME}.starktrack.journal").read_bytes()
    assert len(journal) == states[-1][0]
    place = tmp_path_factory.mktemp("cut")
    # Every byte around the end of a change; within one, where all cuts are alike, every seventh.
    ends = {end + byte for end, _ in states for byte in range(-20, 21)}
    cuts = ends.union(range(0, len(journal), 7)) & set(range(len(journal) + 1))
    for cut in sorted(cuts):
        shutil.copy(folder / f"{NAME}.starktrack.json", place)
        (place / f"{NAME}.starktrack.journal").write_bytes(journal[:cut])
        whole = max((number for number, (end, _) in enumerate(states) if end <= cut), default=0)
        assert content_of(opened(place)) == states[whole][1], cut


def test_a_damaged_byte_ends_the_journal_there(journalled, tmp_path_factory):
    folder, states = journalled
    journal = (folder / f"{NAME}.starktrack.journal").read_bytes()
    place = tmp_path_factory.mktemp("damaged")
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(journal), 60).tolist():
        shutil.copy(folder / f"{NAME}.starktrack.json", place)
        changed = bytearray(journal)
        changed[at] ^= 1 << int(rng.integers(8))
        (place / f"{NAME}.starktrack.journal").write_bytes(bytes(changed))
        assert content_of(opened(place)) in [state for _, state in states], at


def test_a_kill_while_the_journal_is_folded_loses_nothing(journalled, monkeypatch):
    folder, states = journalled

    def killed(*_, **__):
        raise KeyboardInterrupt

    for step in ("write_project", "_line"):  # before the new file is in its place, and right after it
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(store_module, step, killed)
            store = ProjectStore(folder, NAME)
            try:
                store.load()
            finally:
                store._journal.close()
        assert content_of(opened(folder)) == states[-1][1]


def test_work_goes_on_after_a_restart(journalled):
    folder, _ = journalled
    for number in range(3):
        store = ProjectStore(folder, NAME)
        project = store.load()
        project.set_box(0, 10 + number, (1, 1, 5, 5))
        store.save(project.snapshot(), {})
        store._journal.close()
    assert [opened(folder).targets[0].kinds[10 + number] for number in range(3)] == [Kind.KEY] * 3


def test_saving_costs_what_changed_and_not_what_there_is(tmp_path):
    project = Project(NAME, (100, 200), 20_000)
    for _ in range(10):
        project.add_target(0, (1, 1, 5, 5))
    held = project.begin_tracking(list(range(10)))
    for target in held.values():
        target.kinds[:] = Kind.TRACKED
        target.boxes_xywh[:] = np.random.default_rng(0).random((20_000, 4)) + 1
    store = ProjectStore(tmp_path, NAME)
    store.load()
    store.save(project.snapshot(), {})
    whole, before = store.file.stat().st_size, store._journal.tell()
    for target in held.values():
        target.put(50, Kind.TRACKED, (2, 2, 5, 5), 0.5, State.LOST)
    started = time.perf_counter()
    store.save(project.snapshot(), dict.fromkeys(held, (45, 50)))
    seconds = time.perf_counter() - started
    project.set_box(3, 19_999, (1, 1, 9, 9))
    store.save(project.snapshot(), {})
    assert store._journal.tell() - before < whole / 100 and seconds < 1
    store._journal.close()
    assert content_of(opened(tmp_path)) == content_of(project)


def test_rows_are_whole_while_a_tracker_writes_them():
    target, is_over = Target.empty(0, "", "#000000", 20_000), threading.Event()

    def track():
        while not is_over.is_set():
            for frame in range(20_000):
                target.put(frame, Kind.TRACKED, (1, 2, 3, 4), 0.5, State.TRACKED)
            target.kinds[:] = Kind.NONE

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    writer = threading.Thread(target=track)
    writer.start()
    try:
        counts = set()
        for _ in range(100):
            found = Target.empty(0, "", "#000000", 20_000)
            decode_rows(found, 0, 19_999, encode_rows(target, 0, 19_999))
            rows = found.kinds == Kind.TRACKED
            counts.add(int(rows.sum()))
            assert (found.boxes_xywh[rows] == (1, 2, 3, 4)).all() and (
                found.states[rows] == State.TRACKED
            ).all()
        assert len(counts) > 10
    finally:
        is_over.set()
        writer.join()
        sys.setswitchinterval(interval)


def test_a_project_is_open_in_one_process_only(tmp_path):
    first = ProjectStore(tmp_path, NAME)
    with pytest.raises(InputError, match="must be open in one studio only, got a second; close the other"):
        ProjectStore(tmp_path, NAME)
    first.close()
    ProjectStore(tmp_path, NAME).close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_the_next_save_holds_all(journalled, monkeypatch):
    folder, _ = journalled
    store = ProjectStore(folder, NAME)
    project = store.load()
    project.set_box(0, 12, (1, 1, 5, 5))
    with monkeypatch.context() as patched:

        def full(_):
            raise OSError(28, "No space left on device")

        patched.setattr(store_module.os, "fsync", full)
        with pytest.raises(InputError, match="No space left on device"):
            store.save(project.snapshot(), {})
    store.save(project.snapshot(), {})
    store._journal.close()
    assert content_of(opened(folder)) == content_of(project)


def test_a_damaged_file_is_refused_and_left_alone(tmp_path):
    file = tmp_path / f"{NAME}.starktrack.json"
    file.write_text("{}")
    store = ProjectStore(tmp_path, NAME)
    with pytest.raises(ResultFileError, match="move it away"):
        store.load()
    store.close()
    assert file.read_text() == "{}"
