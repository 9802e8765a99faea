"""How old a frame is when a tracker that is slower than its camera begins with it, with and without `--latest`.

    python benchmarks/live_lag.py [--seconds 20] [--rate 25] [--busy 0.08]

A thread sends MPEG-TS over TCP at the pace of a camera, and notes when each frame went out. The tracker is a pause of
`--busy` seconds a frame, so the figures do not depend on the machine as long as it decodes faster than that.
"""

import argparse
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np

import starktrack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.data.video.live_servers import pictures, transport_stream

SIZE_HW = (240, 320)
SOCKET_BYTES = 65_536


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rate", type=int, default=25)
    parser.add_argument("--busy", type=float, default=0.08)
    options = parser.parse_args()
    images = pictures(options.seconds * options.rate, size_hw=SIZE_HW, grain=8)
    pieces = transport_stream(images, frame_rate=options.rate, g=str(options.rate))
    for latest in (False, True):
        frames, ages, dropped = run(pieces, options.rate, options.busy, latest=latest)
        marks = [next((age for at, age in zip(frames, ages, strict=True) if at >= share * len(pieces) - 1), ages[-1])
                 for share in (0.25, 0.5, 0.75, 1.0)]  # fmt: skip
        shown = ", ".join(f"{age:.2f}" for age in marks)
        print(
            f"latest {latest}: {len(frames)} of {len(pieces)} frames tracked, {dropped} dropped; age of a frame after "
            f"a quarter, a half, three quarters, at the end: {shown} s; median {np.median(ages):.2f} s"
        )


def run(pieces: list[bytes], rate: int, busy: float, *, latest: bool) -> tuple[list[int], list[float], int]:
    """Return the tracked frames, how old each was then in seconds, and how many were dropped."""
    server = socket.create_server(("127.0.0.1", 0))
    sent = [0.0] * len(pieces)

    def send() -> None:
        client, _ = server.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        begun = time.monotonic()
        with client:
            for index, piece in enumerate(pieces):
                # A camera does not wait: a frame is as old as the moment at which it was taken.
                sent[index] = begun + index / rate
                time.sleep(max(0.0, sent[index] - time.monotonic()))
                client.sendall(piece)

    thread = threading.Thread(target=send)
    thread.start()
    address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    tracked, ages = [], []
    with starktrack.open_frames(address, live=starktrack.LiveSettings(latest=latest)) as frames:
        for frame in frames:
            tracked.append(frame.index)
            ages.append(time.monotonic() - sent[frame.index])
            time.sleep(busy)
        health = frames.health()
    thread.join()
    server.close()
    return tracked, ages, health.num_dropped if health else 0


if __name__ == "__main__":
    main()
