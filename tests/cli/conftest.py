"""The command as a user runs it, without the cost of a new process."""

import sys
from dataclasses import dataclass

import cv2
import pytest

from starktrack.data.video.writer import VideoWriter


@dataclass(frozen=True)
class Finished:
    """What a command left behind: exit code, standard output and standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def starktrack(monkeypatch, capfd):
    """Return the function that runs `starktrack` with these arguments."""
    from starktrack.cli.main import main

    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments) -> Finished:
        monkeypatch.setattr(sys, "argv", ["starktrack", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        shown = capfd.readouterr()
        return Finished(code, shown.out, shown.err)

    return run


@pytest.fixture(scope="session")
def clip_file(small_clip, tmp_path_factory):
    """Return twelve frames of 128 x 96 pixels at 12.5 frames per second, as an mp4."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with VideoWriter(path, (96, 128), 12.5) as writer:
        for frame in small_clip:
            writer.write(frame.image)
    return path


@pytest.fixture
def work(tmp_path):
    """Return a folder with four OTB sequences whose target moves by two pixels a frame, and with trackers."""
    from tests.cli import mini_otb

    return mini_otb.write(tmp_path)


@pytest.fixture
def image_folder(small_clip, tmp_path):
    """Return the same frames as a folder of pictures."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, frame in enumerate(small_clip):
        cv2.imwrite(str(folder / f"{index:04d}.png"), frame.image[..., ::-1])
    return folder
