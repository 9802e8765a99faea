import base64
import json
import zlib

import numpy as np
import pytest

from starktrack.errors import InputError, ResultFileError
from starktrack.studio import project as project_module
from starktrack.studio.project import Kind, Project, State
from starktrack.studio.project_file import read_project, write_project


@pytest.fixture
def project():
    made = Project("clip.mp4", (100, 200), 20)
    made.add_target(0, (10, 10, 20, 20), name="duck")
    return made


def kinds(project, target=0):
    return project.targets[target].kinds.tolist()


def test_a_new_target_has_a_key_box_a_name_and_a_colour(project):
    assert project.add_target(3, [1, 2, 3, 4]) == 1
    second = project.targets[1]
    assert (second.name, second.colour) == ("target 2", project_module.COLOURS[1])
    assert second.boxes_xywh[3].tolist() == [1, 2, 3, 4] and second.keys() == [3]
    assert kinds(project, 1) == [0, 0, 0, Kind.KEY] + [0] * 16


def test_undo_and_redo_go_through_every_change(project):
    project.set_box(0, 5, (1, 1, 5, 5))
    project.mark_absent(0, 6)
    project.rename(0, "swan", "#123456")
    for _ in range(3):
        project.undo()
    assert kinds(project) == [Kind.KEY] + [0] * 19 and project.targets[0].name == "duck"
    for _ in range(3):
        project.redo()
    assert (project.targets[0].name, project.targets[0].colour) == ("swan", "#123456")
    assert kinds(project)[5:7] == [Kind.KEY, Kind.ABSENT]
    project.undo()
    project.clear(0, 0, 19)
    assert not project.can_redo and not any(kinds(project))


def test_old_changes_are_forgotten_when_they_take_too_much_memory(project, monkeypatch):
    monkeypatch.setattr(project_module, "UNDO_BYTES", 3 * project.targets[0].num_bytes)
    for frame in range(10):
        project.set_box(0, frame, (1, 1, 5, 5))
    steps = 0
    while project.can_undo:
        project.undo()
        steps += 1
    assert steps == 3


def test_interpolation_is_linear_between_two_boxes(project):
    project.set_box(0, 4, (50, 10, 20, 40))
    project.interpolate(0, 0, 4)
    assert kinds(project)[:5] == [Kind.KEY, *[Kind.INTERPOLATED] * 3, Kind.KEY]
    assert project.targets[0].boxes_xywh[1].tolist() == [20, 10, 20, 25]
    with pytest.raises(InputError, match="goes from a box to a box, got none in frame 9"):
        project.interpolate(0, 0, 9)


def test_accepting_makes_key_boxes_of_what_was_tracked(project):
    held = project.begin_tracking([0])[0]
    for frame in range(1, 5):
        held.put(frame, Kind.TRACKED, (1, 1, 5, 5), 0.3, State.LOST)
    assert project.doubtful(-1) == (0, 1) and project.doubtful(4) is None
    project.accept(0, 0, 2)
    assert kinds(project)[:5] == [Kind.KEY] * 3 + [Kind.TRACKED] * 2
    project.undo()
    project.undo()
    assert kinds(project) == [Kind.KEY] + [0] * 19


def test_cut_and_join_are_inverse(project):
    project.set_box(0, 9, (5, 5, 5, 5))
    whole = project.targets[0].boxes_xywh.copy()
    part = project.split(0, 5)
    assert project.targets[0].keys() == [0] and project.targets[part].keys() == [9]
    project.join(0, part)
    assert list(project.targets) == [0]
    np.testing.assert_array_equal(project.targets[0].boxes_xywh, whole)
    with pytest.raises(InputError, match="both parts must have boxes"):
        project.split(0, 0)
    with pytest.raises(InputError, match="got target 0 twice"):
        project.join(0, 0)


def test_joining_keeps_what_a_person_set(project):
    other = project.add_target(0, (1, 1, 2, 2))
    held = project.begin_tracking([other])[other]
    held.put(3, Kind.TRACKED, (9, 9, 9, 9))
    project.set_box(other, 4, (7, 7, 7, 7))
    held = project.begin_tracking([0])[0]
    held.put(4, Kind.TRACKED, (8, 8, 8, 8))
    project.join(0, other)
    boxes = project.targets[0].boxes_xywh
    assert [boxes[frame, 0] for frame in (0, 3, 4)] == [10, 9, 7]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.set_box(9, 0, (1, 1, 2, 2)), r"a target must be one of \[0\], got 9"),
        (lambda p: p.set_box(True, 0, (1, 1, 2, 2)), "got True"),
        (lambda p: p.set_box(0, 20, (1, 1, 2, 2)), "a frame must be from 0 to 19, got 20"),
        (lambda p: p.set_box(0, "0", (1, 1, 2, 2)), "a frame must be from 0 to 19, got '0'"),
        (lambda p: p.set_box(0, 0, (1, 1, -2, 2)), "positive width and height"),
        (lambda p: p.set_box(0, 0, [1, 2, 3]), "four numbers"),
        (lambda p: p.clear(0, 5, 4), "must end where it starts or later, got 5 to 4"),
        (lambda p: p.rename(0, "x" * 201), "at most 200 characters"),
        (lambda p: p.rename(0, "x", "red"), "a colour must be #rrggbb, got 'red'"),
    ],
)
def test_bad_changes_are_refused_and_change_nothing(project, change, message):
    before = (project.targets, project.revision)
    with pytest.raises(InputError, match=message):
        change(project)
    assert (project.targets, project.revision) == before


def test_a_project_survives_its_file(project, tmp_path):
    held = project.begin_tracking([0])[0]
    held.put(1, Kind.TRACKED, (1.25, 2.5, 5, 5), 0.75, State.UNCERTAIN)
    project.mark_absent(0, 2)
    project.rename(0, "Ente 鸭")
    path = tmp_path / "clip.starktrack.json"
    write_project(path, project)
    read, _ = read_project(path)
    assert (read.video, read.size_hw, read.num_frames) == ("clip.mp4", (100, 200), 20)
    assert read.targets[0].name == "Ente 鸭" and read.next_id() == project.next_id()
    for name in ("boxes_xywh", "scores", "kinds", "states"):
        np.testing.assert_array_equal(getattr(read.targets[0], name), getattr(project.targets[0], name))


def test_a_project_of_the_first_version_still_opens(project, tmp_path):
    path = tmp_path / "clip.starktrack.json"
    path.write_text(json.dumps(OLD))
    read, journal = read_project(path)
    assert journal == "" and read.targets[0].name == "duck"
    assert read.targets[0].boxes_xywh[0].tolist() == [10, 10, 20, 20]
    assert kinds(read)[:3] == [Kind.KEY, Kind.TRACKED, Kind.ABSENT]
    assert (read.targets[0].scores[1], read.targets[0].states[1]) == (0.75, State.UNCERTAIN)


OLD = {
    **{"format": "starktrack studio", "version": 1, "video": "clip.mp4"},
    **{"size_hw": [100, 200], "num_frames": 20, "next_id": 1},
    "targets": [
        {
            **{"id": 0, "name": "duck", "colour": "#0072b2"},
            "entries": [
                [0, 1, 0, None, 10, 10, 20, 20],
                [1, 2, 2, 0.75, 11, 10, 20, 20],
                [2, 4, 0, None, None, None, None, None],
            ],
        }
    ],
}
"""What version 1 wrote."""


def rows(content, **changed):
    return {**content, "targets": [{**content["targets"][0], **changed}]}


def entry(row):
    return {**OLD, "targets": [{**OLD["targets"][0], "entries": [row]}]}


def packed(content):
    return base64.b64encode(zlib.compress(content)).decode()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: "no json", "must be a studio project in JSON"),
        (lambda c: "[" * 100_000, "must be a studio project in JSON"),
        (lambda c: [], "project of version 1 or 2, got another file"),
        (lambda c: {**c, "version": 3}, "project of version 1 or 2, got another file"),
        (lambda c: {**c, "size_hw": [0, 5]}, "size_hw must be from 1"),
        (lambda c: {**c, "num_frames": 10**12}, "num_frames must be from 1"),
        (lambda c: {**c, "targets": 3}, "targets must be a list"),
        (lambda c: {**c, "targets": [3]}, "a target must be an object"),
        (lambda c: {**c, "targets": c["targets"] * 2}, "got the same id twice"),
        (lambda c: rows(c, colour="red"), "a colour must be #rrggbb"),
        (lambda c: rows(c, rows=5), "rows must be whole"),
        (lambda c: rows(c, rows="%"), "rows must be whole"),
        (lambda c: rows(c, rows=c["targets"][0]["rows"][:-8]), "rows must be whole"),
        (lambda c: rows(c, rows=packed(bytes(25))), "must have 26 bytes each"),
        (lambda c: rows(c, rows=packed(bytes(26))), "must hold boxes of the video"),
        (lambda c: rows(c, rows=packed(bytes(10**6))), "at most 520 bytes"),
        (lambda c: entry([0, 1, 0, None, 1, 1, 5]), "an entry must hold 8 values"),
        (lambda c: entry([99, 1, 0, None, 1, 1, 5, 5]), "an entry's frame must be from 0 to 19, got 99"),
        (lambda c: entry([0, 7, 0, None, 1, 1, 5, 5]), "an entry's kind must be from 1 to 4, got 7"),
        (lambda c: entry([0, 1, 0, None, 1, 1, None, 5]), "must have a box of four numbers"),
        (lambda c: entry([0, 1, 0, "x", 1, 1, 5, 5]), "must hold numbers, got 'x'"),
    ],
)
def test_a_damaged_file_is_one_clear_error(project, tmp_path, damage, message):
    path = tmp_path / "clip.starktrack.json"
    write_project(path, project)
    content = damage(json.loads(path.read_text()))
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ResultFileError, match=message):
        read_project(path)
