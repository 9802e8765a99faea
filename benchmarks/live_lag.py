"""How old a frame is when a tracker that is slower than its camera begins with it, with and without `--latest`.

    python benchmarks/live_lag.py [--seconds 20] [--rate 25] [--busy 0.08]

A thread sends MPEG-TS over TCP at the pace of a camera, and notes when each frame went out. The tracker is a pause of
`--busy` seconds a frame, so the figures do not depend on the machine as long as it decodes faster than that.
"""

import argparse
import io
import socket
import threading
import time
from fractions import Fraction

import av
import numpy as np

import starktrack

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
    pieces = transport_stream(options.seconds * options.rate, options.rate)
    for latest in (False, True):
        frames, ages, dropped = run(pieces, options.rate, options.busy, latest=latest)
        marks = [next((age for at, age in zip(frames, ages, strict=True) if at >= share * len(pieces) - 1), ages[-1])
                 for share in (0.25, 0.5, 0.75, 1.0)]  # fmt: skip
        shown = ", ".join(f"{age:.2f}" for age in marks)
        print(
            f"latest {latest}: {len(frames)} of {len(pieces)} frames tracked, {dropped} dropped; age of a frame after "
            f"a quarter, a half, three quarters, at the end: {shown} s; median {np.median(ages):.2f} s"
        )


def transport_stream(count: int, rate: int) -> list[bytes]:
    """Return MPEG-TS of moving noise as pieces of bytes, one a frame."""
    noise = np.random.default_rng(0).integers(0, 256, (SIZE_HW[0] // 8, SIZE_HW[1] // 8, 3), np.uint8)
    noise = noise.repeat(8, 0).repeat(8, 1)
    out, pieces = io.BytesIO(), []
    with av.open(out, "w", format="mpegts", options={"flush_packets": "1"}) as container:
        options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(rate)}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = SIZE_HW
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, rate)
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(np.roll(noise, 2 * index, axis=1), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(stream.encode(frame))
            pieces.append(out.getvalue())
            out.seek(0)
            out.truncate()
        container.mux(stream.encode(None))
    pieces[-1] += out.getvalue()
    return pieces


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
