"""Every command and every Python block of README, tour and how-to pages runs, in the order of the page.

A page works on small files under the names that it uses. A block that cannot run here has a comment above it,
`<!-- not run: REASON -->`; these are counted, so that none is left out silently.
"""

import shlex
import sys
import warnings

import pytest
from tests.docs import page_files
from tests.docs.pages import ROOT, RUN, blocks_of, commands_of, name_of

NOT_RUN = {
    "README.md": 5,
    "docs/batch.md": 2,
    "docs/how-to/evaluate.md": 1,
    "docs/how-to/export.md": 1,
    "docs/how-to/track-a-video.md": 1,
    "docs/how-to/train-on-my-videos.md": 3,
    "docs/how-to/vot.md": 2,
    "docs/tour.md": 1,
}
"""How many blocks of a page are left out."""

BLOCKS = [block for page in RUN for block in blocks_of(page)]


@pytest.fixture
def files(tmp_path, monkeypatch, small_checkpoint, official_state):
    """Return a folder with everything that the pages take as given, as the current folder."""
    monkeypatch.chdir(tmp_path)
    page_files.write_clip(tmp_path)
    page_files.write_pictures(tmp_path / "frames")
    page_files.write_benchmark(tmp_path)
    page_files.write_own_videos(tmp_path)
    page_files.write_workspace(tmp_path)
    page_files.write_authors_checkpoint(tmp_path, official_state)
    return tmp_path


MADE_ELSEWHERE = {
    "docs/how-to/evaluate.md": "runs/trial/weights.safetensors",
    "docs/how-to/export.md": "stark_st50.safetensors",
}
"""Weights that a page takes from another page."""


@pytest.fixture
def command(monkeypatch, capfd):
    """Return the function that runs one line of a shell block, which must be a `starktrack` command."""
    from starktrack.cli.main import main

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def run(line):
        program, *arguments = shlex.split(line, comments=True)
        assert program == "starktrack", f"the tests run starktrack only, got {line!r}; say why it is not run"
        monkeypatch.setattr(sys, "argv", ["starktrack", *arguments])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
        shown = capfd.readouterr()
        assert code in (0, None), f"{line}\nended with {code}\n{shown.out[-3000:]}\n{shown.err[-3000:]}"

    yield run
    for name in set(sys.modules) - before & {"still"}:
        del sys.modules[name]


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_everything_on_the_page_runs(page, files, command, small_checkpoint):
    if name_of(page) in MADE_ELSEWHERE:
        page_files.write_weights(files / MADE_ELSEWHERE[name_of(page)], small_checkpoint)
    namespace = {"__name__": page.stem}
    if page.name == "README.md":
        from starktrack import open_frames

        with open_frames("dog.mp4") as frames:
            namespace["first_frame"], namespace["next_frame"] = (next(frames).image for _ in range(2))
    for block in blocks_of(page):
        if block.not_run:
            continue
        if block.file:
            (files / block.file).write_text(block.text)
        elif block.language == "bash":
            for line in commands_of(block):
                command(line)
        elif block.language == "python":
            exec(compile(block.text, block.name, "exec"), namespace)


def test_blocks_that_are_not_run_are_counted_and_say_why():
    left_out = [block for block in BLOCKS if block.not_run]
    listed = "\n".join(f"{block.name}: {block.not_run}" for block in left_out)
    sys.stdout.write(f"{listed}\n")
    counts = {}
    for block in left_out:
        counts[name_of(block.page)] = counts.get(name_of(block.page), 0) + 1
    assert counts == NOT_RUN, listed
    assert all(len(block.not_run) > 10 for block in left_out)


def test_the_pages_hold_enough_to_run():
    ran = [block for block in BLOCKS if not block.not_run]
    assert sum(len(commands_of(block)) for block in ran if block.language == "bash") > 25
    assert sum(block.language == "python" for block in ran) > 12
    assert len(RUN) == 11


def test_no_command_hides_in_another_kind_of_block():
    assert {block.language for block in BLOCKS} <= {"bash", "python", "toml", "csv", "text"}


def test_files_of_toml_and_csv_are_named():
    assert all(block.file for block in BLOCKS if block.language in ("toml", "csv"))
    assert (ROOT / "docs" / "tour.md") in RUN
