"""Speed and memory of the studio: tracking beside the command, seeking, a long video with many targets, the page.

    python benchmarks/studio.py track [--video FILE --box X,Y,W,H] [--rounds 3]
    python benchmarks/studio.py seek [--seeks 60]
    python benchmarks/studio.py memory [--frames 100000] [--targets 50]
    python benchmarks/studio.py page

Run by a person. `track` lets the command and the studio, with a page that reads along, track the same video in turns.
`seek` asks the server for random frames of videos of 10 minutes and 1920 x 1080 pixels, at a page's width: one with a
key frame every second, one with the 250 frames from key frame to key frame that H.264 encoders choose by themselves.
`memory` tracks with a tracker that answers at once, in frames of 64 x 48 pixels, and a page that looks at the latest
frame: what could grow with a video (rows, journal, undo, messages, pictures kept) depends neither on the network nor on
the size of the frames, whose caches are bounded in bytes and full after a sixth of the video. `page` counts how often
Chromium paints while results stream (needs playwright and a Chromium of the system).
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.request import urlopen

import av
import numpy as np

from starktrack.data.demo import BOXES_XYWH, CLIP
from starktrack.data.track_output import TargetState, TrackOutput
from starktrack.data.video.writer import VideoWriter
from starktrack.studio.session import Session

HD_HW, HD_SECONDS, HD_RATE = (1080, 1920), 600, 25
SHOWN_WIDTH = 1280


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["track", "seek", "memory", "page"])
    parser.add_argument("--video", type=Path, default=CLIP)
    parser.add_argument("--box", default=",".join(str(value) for value in BOXES_XYWH[0]))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeks", type=int, default=60)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--targets", type=int, default=50)
    options = parser.parse_args()
    box = [float(value) for value in options.box.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.what == "track":
            _track(folder, options.video, box, options.rounds)
        elif options.what == "seek":
            for frames_per_key in (25, 250):
                _seek(folder, options.seeks, frames_per_key)
        elif options.what == "memory":
            asyncio.run(_memory(folder, options.frames, options.targets))
        else:
            _page(folder, options.video, box)
    from conditions import conditions  # loads PyTorch, which is no part of the memory

    print(conditions())


@contextlib.contextmanager
def _server(place: Path) -> Iterator[tuple[str, int]]:
    """Give the address of a studio in a process of its own, and the process."""
    command = [sys.executable, "-m", "starktrack", "studio", str(place), "--no-browser", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().removeprefix("studio: ").strip()
    try:
        while True:
            with contextlib.suppress(OSError):
                urlopen(address, timeout=10).close()
                break
            time.sleep(0.1)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait()


def _track(folder: Path, video: Path, box: Sequence[float], rounds: int) -> None:
    from websockets.sync.client import connect

    shutil.copy(video, folder / video.name)
    found: dict[str, list[float]] = {"track": [], "studio": []}
    with _server(folder / video.name) as (address, _):
        socket_address = f"{address.replace('http', 'ws')}api/socket?path={video.name}"
        with connect(socket_address, origin=address.rstrip("/"), compression=None, max_size=None) as socket:
            target = _ask(socket, "add_target", frame=0, box_xywh=list(box))
            for number in range(rounds + 1):
                command = [sys.executable, "-m", "starktrack", "track", str(video), "--box"]
                command += [",".join(map(str, box)), "--save", str(folder / "boxes.csv")]
                output = subprocess.run(command, capture_output=True, text=True, check=True).stderr
                words = re.findall(r"tracked (\d+) frames, ([\d.]+) frames/s", output)[0]
                started = time.perf_counter()
                _ask(socket, "track", targets=[target], frame=0)
                while '"tracking":false' not in str(socket.recv()):
                    pass
                rate = (int(words[0]) - 1) / (time.perf_counter() - started)
                if number:  # the first one loads the network
                    found["track"].append(float(words[1]))
                    found["studio"].append(rate)
    for name, rates in found.items():
        print(
            f"{name}: median {statistics.median(rates):.1f} frames/s ({min(rates):.1f} to {max(rates):.1f})"
        )
    shares = [mine / other for mine, other in zip(found["studio"], found["track"], strict=True)]
    print(f"studio over track, in pairs: median {statistics.median(shares):.2f} (goal: at least 0.8)")


def _ask(socket, action: str, **values: object) -> object:  # noqa: ANN001
    socket.send(json.dumps({"action": action, "number": 1, **values}))
    while True:
        message = socket.recv()
        if isinstance(message, str) and json.loads(message).get("number") == 1:
            assert json.loads(message)["type"] == "done", message
            return json.loads(message)["result"]


def _seek(folder: Path, seeks: int, frames_per_key: int) -> None:
    video = folder / "hd.mp4"
    _write_repeated(video, HD_HW, HD_RATE, distinct=frames_per_key, total=HD_SECONDS * HD_RATE)
    size = video.stat().st_size / 2**20
    print(f"{size:.0f} MiB, {HD_SECONDS * HD_RATE} frames, a key frame every {frames_per_key}")
    rng = np.random.default_rng(0)
    with _server(video) as (address, pid):
        started = time.perf_counter()
        content = json.load(urlopen(f"{address}api/video?path=hd.mp4"))
        print(f"opened in {time.perf_counter() - started:.2f} s")
        assert content["num_frames"] == HD_SECONDS * HD_RATE
        times = []
        for index in rng.integers(content["num_frames"], size=seeks).tolist():
            started = time.perf_counter()
            urlopen(f"{address}api/frame?path=hd.mp4&index={index}&width={SHOWN_WIDTH}").read()
            times.append(1000 * (time.perf_counter() - started))
        median, ninth = np.percentile(times, [50, 90])
        print(f"seek: median {median:.0f} ms (goal: below 300), 90 % {ninth:.0f} ms; {_rss_mib(pid):.0f} MiB")


def _write_repeated(path: Path, size_hw: tuple[int, int], rate: int, *, distinct: int, total: int) -> None:
    """Write a video whose frames come again after `distinct` of them; only those are encoded."""
    part = path.with_name(f"part-{path.name}")
    rng = np.random.default_rng(0)
    height, width = size_hw
    noise = rng.integers(0, 256, (height // 8, width // 8 + distinct, 3), dtype=np.uint8)
    with VideoWriter(part, size_hw, float(rate)) as writer:
        for frame in range(distinct):
            view = noise[:, frame // 4 : frame // 4 + width // 8]
            writer.write(np.repeat(np.repeat(view, 8, axis=0), 8, axis=1))
    with av.open(str(part)) as source, av.open(str(path), "w") as out:
        video = source.streams.video[0]
        stream = out.add_stream_from_template(video)
        packets = [packet for packet in source.demux(video) if packet.dts is not None]
        ticks = round(distinct / rate / video.time_base)
        originals = [(packet.pts, packet.dts) for packet in packets]
        for repeat in range(total // distinct):
            for packet, (pts, dts) in zip(packets, originals, strict=True):
                packet.pts, packet.dts = pts + repeat * ticks, dts + repeat * ticks
                packet.time_base = video.time_base
                packet.stream = stream
                out.mux(packet)
                packet.stream = video
    part.unlink()


class _Instant:
    """A tracker that answers at once; its boxes move by a pixel."""

    def __init__(self) -> None:
        self._outputs: dict[int, TrackOutput] = {}

    def start(self, image: np.ndarray, *, boxes_xywh: Sequence[np.ndarray]) -> list[int]:
        box = np.array([3.0, 4.0, 10.0, 12.0])
        made = TrackOutput(box_xywh=box, target_id=0, frame_index=0, score=0.9, state=TargetState.TRACKED)
        self._outputs = dict.fromkeys(range(len(boxes_xywh)), made)
        return list(self._outputs)

    def add(self, image: np.ndarray, box_xywh: np.ndarray) -> int:
        raise NotImplementedError

    def remove(self, target_id: int) -> None:
        del self._outputs[target_id]

    def update_all(self, image: np.ndarray) -> dict[int, TrackOutput]:
        return self._outputs


async def _memory(folder: Path, num_frames: int, num_targets: int) -> None:
    video = folder / "long.mp4"
    _write_repeated(video, (48, 64), 25, distinct=250, total=num_frames)
    session = Session(video, folder, _Instant)
    sent = 0

    def read_along(message: dict) -> None:
        nonlocal sent
        if message["type"] == "rows":
            sent += len(session.encode(message))

    session.listeners.add(read_along)
    for _ in range(num_targets):
        session.project.add_target(0, [1, 1, 8, 8])
    started = time.perf_counter()
    session.track(list(session.project.targets), 0, direction="forward", to_next_key=False)
    at, sizes = 0, []
    while session.run is not None:
        await asyncio.sleep(0.05)
        await asyncio.to_thread(session.pictures.jpeg, session.run.at if session.run else 0, 0)
        if session.run is not None and session.run.at * 10 >= (at + 1) * num_frames:
            at = session.run.at * 10 // num_frames
            sizes.append(_rss_mib(os.getpid()))
            print(f"{at * 10} %: {sizes[-1]:.0f} MiB", flush=True)
    seconds = time.perf_counter() - started
    journal = next(folder.glob("*.journal")).stat().st_size
    print(
        f"{num_frames} frames, {num_targets} targets: {seconds:.0f} s, {sizes[-1] - sizes[1]:+.0f} MiB after the "
        f"first fifth (goal: flat); journal {journal / 2**20:.1f} MiB, {sent / 2**20:.1f} MiB sent"
    )
    started = time.perf_counter()
    await session.close()
    size = session.store.file.stat().st_size
    print(f"closed in {time.perf_counter() - started:.1f} s; project {size / 2**20:.1f} MiB")
    started = time.perf_counter()
    session = Session(video, folder, _Instant)
    print(f"opened in {time.perf_counter() - started:.1f} s; {_rss_mib(os.getpid()):.0f} MiB")
    session.project.set_box(0, 5, [2, 2, 8, 8])
    started = time.perf_counter()
    await session.save()
    print(f"one box saved in {1000 * (time.perf_counter() - started):.0f} ms")
    await session.close()


def _page(folder: Path, video: Path, box: Sequence[float]) -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium on this machine (Debian: apt install chromium)")
    shutil.copy(video, folder / video.name)
    with _server(folder / video.name) as (address, _), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport={"width": 1280, "height": 720}, bypass_csp=True).new_page()
        page.goto(address)
        page.wait_for_function("document.getElementById('of').textContent.startsWith('of ')")
        x, y, w, h = box
        content = json.load(urlopen(f"{address}api/video?path={video.name}"))
        area = page.locator("#picture").bounding_box()
        assert area is not None
        scale = min(area["width"] / content["width"], area["height"] / content["height"])
        left = area["x"] + (area["width"] - content["width"] * scale) / 2
        top = area["y"] + (area["height"] - content["height"] * scale) / 2
        page.mouse.move(left + x * scale, top + y * scale)
        page.mouse.down()
        page.mouse.move(left + (x + w) * scale, top + (y + h) * scale, steps=3)
        page.mouse.up()
        page.wait_for_selector("#targets li")
        page.evaluate(
            """() => { window.painted = 0;
                 const count = () => { window.painted += 1; requestAnimationFrame(count); }; count(); }"""
        )
        page.locator("#track").click()
        page.wait_for_function("/frames/.test(document.getElementById('speed').textContent)", timeout=120_000)
        started, before = time.perf_counter(), page.evaluate("window.painted")
        while page.locator("#stop").is_enabled() and time.perf_counter() - started < 60:
            time.sleep(0.5)
        painted, seconds = page.evaluate("window.painted") - before, time.perf_counter() - started
        print(f"page: {painted / seconds:.1f} frames/s over {seconds:.0f} s while results stream (goal: 30)")
        browser.close()


def _rss_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024


if __name__ == "__main__":
    main()
