"""A studio on a small clip with a fake tracker, which follows the bright square of the clip and is quick."""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from starktrack.data.video.writer import VideoWriter
from starktrack.studio.project import Target
from starktrack.studio.rows import ROW_BYTES, decode_rows
from starktrack.studio.store import ProjectStore

NUM_FRAMES, SIZE_HW, SIDE = 40, (120, 160), 20
NUM_LONG = 2000


def true_box(frame):
    """Where the square of the clip is: it moves two pixels right a frame and one down."""
    return (10 + 2 * frame, 20 + frame, SIDE, SIDE)


def picture(frame):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 60, (*SIZE_HW, 3), dtype=np.uint8)
    x, y, w, h = true_box(frame)
    image[y : y + h, x : x + w] = (250, 230, 40)
    image[y : y + h : 4, x : x + w] = (40, 40, 200)
    return image


@pytest.fixture(scope="session")
def square_clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "square.mp4"
    with VideoWriter(path, SIZE_HW, 25.0) as writer:
        for frame in range(NUM_FRAMES):
            writer.write(picture(frame))
    return path


@dataclass
class Answer:
    box_xywh: np.ndarray
    score: float | None
    state: str | None


class BrightTracker:
    """Finds the bright square in every frame, and doubts itself in frames 20 to 24."""

    delay = 0.0

    def __init__(self):
        self.ids = []
        self.updates = 0

    def start(self, image, *, boxes_xywh):
        self.ids = list(range(len(boxes_xywh)))
        return list(self.ids)

    def add(self, image, box_xywh):
        self.ids.append(max(self.ids, default=-1) + 1)
        return self.ids[-1]

    def remove(self, target_id):
        self.ids.remove(target_id)

    def update_all(self, image):
        time.sleep(self.delay)
        rows, columns = np.nonzero(image[..., 0] > 150)
        box = np.array([columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1], float)
        frame = round((columns.min() - 10) / 2)
        is_sure = not 20 <= frame < 25
        answer = Answer(box, 0.9 if is_sure else 0.4, "tracked" if is_sure else "uncertain")
        return dict.fromkeys(self.ids, answer)


@pytest.fixture
def workplace(square_clip, tmp_path):
    """Return a folder with the clip in it."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "square.mp4").write_bytes(square_clip.read_bytes())
    return tmp_path / "videos"


@pytest.fixture
def run():
    """Return a runner of coroutines."""
    return asyncio.run


@dataclass
class Server:
    """A studio in a process of its own, as the command starts it."""

    process: subprocess.Popen
    address: str
    folder: Path | None = None

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory):
    """Return a clip that takes a tracker some seconds."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    with VideoWriter(path, SIZE_HW, 25.0) as writer:
        for frame in range(NUM_LONG):
            writer.write(picture(frame * NUM_FRAMES // NUM_LONG))
    return path


@pytest.fixture
def start_server():
    """Return a function that starts the command on a folder and returns where it listens."""
    with servers() as start:
        yield start


@contextlib.contextmanager
def servers():
    """Give a function that starts the command; what it started is killed at the end."""
    running = []

    def start(place, *options, port=0):
        command = [sys.executable, "-m", "starktrack", "studio", str(place), "--no-browser"]
        process = subprocess.Popen(
            [*command, "--port", str(port), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        line = process.stdout.readline()
        assert line.startswith("studio: "), line + process.stdout.read()
        address = line.removeprefix("studio: ").strip()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(address, timeout=5)
                return Server(process, address)
            time.sleep(0.1)
        raise AssertionError("the server does not answer")

    try:
        yield start
    finally:
        for process in running:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def browser():
    """Return Chromium; without it the tests of the page skip."""
    from tests.studio.person import CHROMIUM, FLAGS

    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def studio(browser, tmp_path_factory):
    """Return a running studio and its folder, which all tests share; each has a video of its own in it."""
    folder = tmp_path_factory.mktemp("studio")
    with servers() as start:
        server = start(folder)
        server.folder = folder
        yield server


@pytest.fixture
def video(studio, square_clip, request):
    """Return a copy of the clip in the studio's folder."""
    name = "".join(c if c.isalnum() else "_" for c in request.node.name)[-60:]
    return shutil.copy(square_clip, studio.folder / f"{name}.mp4")


@pytest.fixture
def person(browser):
    """Return somebody at a page of their own."""
    from tests.studio.person import Person, contexts

    context = contexts(browser)
    yield Person(context.new_page())
    context.close()


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rows_of(target, first=0, last=None):
    """Return frame, kind, state, score and box of each frame with a box or an absence, by frame."""
    end = len(target.kinds) if last is None else last + 1
    rows = {}
    for frame in (np.flatnonzero(target.kinds[first:end]) + first).tolist():
        score = None if np.isnan(target.scores[frame]) else round(float(target.scores[frame]), 4)
        box = target.boxes_xywh[frame]
        shown = [None] * 4 if np.isnan(box[0]) else [round(value, 3) for value in box.tolist()]
        rows[frame] = [frame, int(target.kinds[frame]), int(target.states[frame]), score, *shown]
    return rows


def rows_on_disk(place, name="square.mp4"):
    """Return the rows of every target that would be there after a kill at this moment."""
    copies = Path(tempfile.mkdtemp())
    try:
        for file in place.glob(f"{name}.starktrack.*"):
            shutil.copy(file, copies)
        store = ProjectStore(copies, name)
        project = store.load()
        store.close()
    finally:
        shutil.rmtree(copies)
    return [] if project is None else [rows_of(target) for target in project.targets.values()]


def decoded(content, num_frames=NUM_FRAMES):
    """Return a message of rows as a page reads it: for each block its target, range and rows."""
    length = int.from_bytes(content[:4], "little")
    header = json.loads(content[4 : 4 + length])
    at, blocks = 4 + length, []
    for number, first, last, num_rows in header["blocks"]:
        target = Target.empty(number, "", "#000000", num_frames)
        size = ROW_BYTES * num_rows
        decode_rows(target, first, last, content[at : at + size])
        at += size + -size % 4
        blocks.append({"target": number, "first": first, "last": last, "rows": rows_of(target)})
    assert at == len(content)
    return {"type": "rows", "blocks": blocks}
