"""Live sources for tests: MPEG-TS over TCP at the pace of a camera, a proxy that does harm, and an RTSP server."""

import io
import random
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FRAME_RATE = 50
SYSTEM_PYTHON = "/usr/bin/python3"
RTSP_SERVER = Path(__file__).with_name("rtsp_server.py")


def pictures(count, *, size_hw=(48, 64), grain=4, seed=0):
    """Return pictures of noise that moves by two pixels a frame."""
    height, width = size_hw
    noise = np.random.default_rng(seed).integers(0, 256, (height // grain, width // grain, 3), np.uint8)
    noise = noise.repeat(grain, 0).repeat(grain, 1)
    return [np.roll(noise, 2 * index, axis=1) for index in range(count)]


def transport_stream(images, *, first_frame=0, frame_rate=FRAME_RATE, **codec):
    """Return MPEG-TS as pieces of bytes, one a frame, by default with a key frame in ten; `codec` is for libx264."""
    out = io.BytesIO()
    pieces = []
    with av.open(out, "w", format="mpegts", options={"flush_packets": "1"}) as container:
        options = {"preset": "ultrafast", "tune": "zerolatency", **(codec or {"g": "10", "qp": "20"})}
        stream = container.add_stream("libx264", rate=frame_rate, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, frame_rate)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = first_frame + index, Fraction(1, frame_rate)
            container.mux(stream.encode(frame))
            pieces.append(out.getvalue())
            out.seek(0)
            out.truncate()
        container.mux(stream.encode(None))
    pieces[-1] += out.getvalue()
    return pieces


class Sender:
    """A TCP server that gives each client, one after the other, a list of pieces at the pace of a camera.

    Args:
        takes: What each connection gets; the last one is given to all further ones, unless `ends`.
        pace: Seconds between two pieces.
        head: Bytes before the first piece, such as an HTTP head.
        stays_open: Whether a connection stays open and silent after its last piece.
        ends: Whether no connection is taken after the last take.
        port: Where it listens; 0 for any.
    """

    def __init__(self, *takes, pace=1 / FRAME_RATE, head=b"", stays_open=False, ends=False, port=0):
        self._ends = ends
        self._takes, self._pace, self._head, self._stays_open = takes, pace, head, stays_open
        self._server = socket.create_server(("127.0.0.1", port))
        self.port = self._server.getsockname()[1]
        self.num_clients = 0
        self._is_over = threading.Event()
        self._client = None
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def address(self):
        return f"tcp://127.0.0.1:{self.port}"

    def _serve(self):
        while not self._is_over.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._client = client
            take = self._takes[min(self.num_clients, len(self._takes) - 1)]
            self.num_clients += 1
            if self._ends and self.num_clients == len(self._takes):
                self._server.close()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            try:
                if self._head:
                    client.recv(4096)
                    client.sendall(self._head)
                start = time.monotonic()
                for index, piece in enumerate(take):
                    wait = start + index * self._pace - time.monotonic()
                    if self._is_over.wait(max(0.0, wait)):
                        break
                    client.sendall(piece)
                if self._stays_open:
                    self._is_over.wait()
                client.shutdown(socket.SHUT_WR)
                client.settimeout(1.0)
                client.recv(4096)  # so that closing does not reset the connection
            except OSError:
                pass  # the client went away
            client.close()

    def close(self):
        """End at once: the connection breaks, and no further one is taken."""
        self._is_over.set()
        for each in (self._client, self._server):
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Proxy:
    """A TCP proxy between a client and a server whose harm can be changed while it runs.

    Attributes:
        delay: Seconds to wait before each block is passed on.
        flips: Share of blocks, from the server, in which one byte is changed.
        is_silent: Whether bytes of the server are kept back.
    """

    def __init__(self, port, *, seed=0):
        self._target = port
        self.delay = self.flips = 0.0
        self.is_silent = False
        self._random = random.Random(seed)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            for source, target, is_answer in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=(source, target, is_answer), daemon=True).start()

    def _pass_on(self, source, target, is_answer):
        try:
            while block := source.recv(1400):
                if is_answer:
                    time.sleep(self.delay)
                    while self.is_silent:
                        time.sleep(0.01)
                    if self._random.random() < self.flips:
                        place = self._random.randrange(len(block))
                        block = block[:place] + bytes([block[place] ^ 0xFF]) + block[place + 1 :]
                target.sendall(block)
        except OSError:
            pass
        self._end(source, target)

    def _end(self, *sockets):
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def cut(self):
        """Break all connections; further ones are taken."""
        gone, self._open = self._open, []
        self._end(*gone)

    def close(self):
        self.is_silent = False
        self._end(self._server)
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def missing_rtsp():
    """Return why there is no RTSP server here; None where there is one."""
    if not Path(SYSTEM_PYTHON).exists():
        return "needs Debian's Python"
    tried = subprocess.run([SYSTEM_PYTHON, RTSP_SERVER, "--check"], capture_output=True, text=True)
    if tried.returncode:
        return (
            "needs a GStreamer RTSP server: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi "
            "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
        )
    return None


@contextmanager
def rtsp_server(port=0):
    """Start an RTSP server of a moving picture, 25 frames/s, and give its process and port."""
    running = subprocess.Popen(
        [SYSTEM_PYTHON, RTSP_SERVER, str(port)], stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    )
    try:
        yield running, int(running.stdout.readline())
    finally:
        running.kill()
        running.wait()
