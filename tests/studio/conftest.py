"""A studio on a small clip with a fake tracker, which follows the bright square of the clip and is quick."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

import httpx
import numpy as np
import pytest

from starktrack.data.video.writer import VideoWriter

NUM_FRAMES, SIZE_HW, SIDE = 40, (120, 160), 20


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

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start_server():
    """Return a function that starts the command on a folder and returns where it listens."""
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

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))
