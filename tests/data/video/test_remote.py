"""Videos at addresses: the same frames as on disk, read in pieces."""

import contextlib
import http.server
import re
import threading

import numpy as np
import pytest

from starktrack.data.frames import open_frames
from starktrack.data.video.random_access import RandomFrames
from starktrack.data.video.remote import is_remote_file
from starktrack.data.video.writer import VideoWriter
from starktrack.errors import MissingExtraError, VideoError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A video of 30 frames of noise, which no codec makes small."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    rng = np.random.default_rng(0)
    with VideoWriter(path, (240, 320), 10.0) as writer:
        for _ in range(30):
            writer.write(rng.integers(0, 255, (240, 320, 3), np.uint8))
    assert path.stat().st_size > 500_000
    return path


def memory_file(name, data):
    with fsspec.filesystem("memory").open(f"/{name}", "wb") as file:
        file.write(data)
    return f"memory://{name}"


@pytest.fixture(params=["HTTP/1.0", "HTTP/1.1"])
def server(clip, request):
    """A server of the clip that knows ranges; one that closes connections, and one that keeps them."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = request.param

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, *, body):
            data = clip.read_bytes()
            if not self.path.startswith("/clip.mp4"):
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first, last = (int(asked[1]), int(asked[2] or len(data) - 1)) if asked else (0, len(data) - 1)
            self.send_response(206 if asked else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.end_headers()
            if body:
                with contextlib.suppress(OSError):  # of a reader that has enough
                    self.wfile.write(data[first : last + 1])

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):
            """A reader that has enough resets the connection."""

    with Server(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def frames_of(source, **options):
    with open_frames(source, **options) as frames:
        return [(frame.index, frame.seconds, frame.image) for frame in frames]


def check_same(found, wanted):
    assert [each[:2] for each in found] == [each[:2] for each in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one[2], other[2])


def test_an_address_gives_the_frames_of_the_file(clip, server):
    wanted = frames_of(clip)
    check_same(frames_of(memory_file("clip.mp4", clip.read_bytes()), decoder_threads=1), wanted)
    check_same(frames_of(f"{server}/clip.mp4"), wanted)
    check_same(frames_of(f"simplecache::{server}/clip.mp4", start_frame=20), wanted[20:])


def test_frames_of_an_address_are_read_in_any_order(clip, server):
    wanted = frames_of(clip)
    for address in (memory_file("any.mp4", clip.read_bytes()), f"{server}/clip.mp4"):
        with RandomFrames(address, decoder_threads=1) as frames:
            assert len(frames) == 30
            for index in (29, 28, 3, 27):
                np.testing.assert_array_equal(frames.read(index), wanted[index][2])


def test_a_file_is_read_in_pieces(clip, monkeypatch):
    address = memory_file("pieces.mp4", clip.read_bytes())
    sizes = []
    original = fsspec.implementations.memory.MemoryFile.read

    def read(self, size=-1):
        data = original(self, size)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(fsspec.implementations.memory.MemoryFile, "read", read)
    with open_frames(address) as frames:
        next(frames)
        assert 0 < sum(sizes) < clip.stat().st_size / 2
    assert max(sizes) < 100_000


def test_a_file_that_was_cut_is_not_taken_for_whole(clip):
    data = clip.read_bytes()
    with pytest.raises(VideoError, match=r"memory://cut.mp4 must be a whole video"):
        frames_of(memory_file("cut.mp4", data[: len(data) // 2]))


def test_a_store_that_fails_in_the_middle_breaks_the_video_off(clip, monkeypatch):
    address = memory_file("failing.mp4", clip.read_bytes())
    original = fsspec.implementations.memory.MemoryFile.read
    left = [10]

    def read(self, size=-1):
        left[0] -= 1
        if left[0] < 0:
            raise ConnectionResetError(104, "Connection reset by peer")
        return original(self, size)

    monkeypatch.setattr(fsspec.implementations.memory.MemoryFile, "read", read)
    with pytest.raises(VideoError, match=r"failing.mp4 .*Connection reset by peer"):
        frames_of(address)


def test_what_is_not_there_is_an_error_without_the_password(server):
    with pytest.raises(
        VideoError, match=r"^memory://nowhere.mp4 must be a video that can be opened, got: FileNot"
    ):
        open_frames("memory://nowhere.mp4")
    with pytest.raises(VideoError, match=r"^bucket7://host/a.mp4 must be .*Protocol not known"):
        open_frames("bucket7://me:secret@host/a.mp4?token=x")
    with pytest.raises(VideoError, match=r"must answer with a video"):
        open_frames(f"{server}/other.mp4")
    with pytest.raises(VideoError, match="frames in any order need a file or a folder, got rtsp://host/a"):
        RandomFrames("rtsp://host/a")


def test_without_fsspec_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("starktrack.errors.find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match=r"reading s3://b/a.mp4 needs the package fsspec.*starktrack\[remote"
    ):
        open_frames("s3://b/a.mp4")


def test_only_addresses_that_ffmpeg_does_not_read_go_to_fsspec():
    of_ffmpeg = ("rtsp://h/a", "HTTPS://h/a.mp4", "udp://@1.2.3.4:5", "srt://h:1")
    assert not any(map(is_remote_file, of_ffmpeg))
    assert all(
        map(is_remote_file, ("s3://b/a.mp4", "gs://b/a.mp4", "simplecache::https://h/a.mp4", "memory://a"))
    )
