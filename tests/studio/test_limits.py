"""Files that are made to harm: declared sizes, lists of other files, streams without an end, floods of sockets."""

import struct

import av
import httpx
import numpy as np
import pytest
from tests.studio.conftest import BrightTracker
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from starktrack.data.video import random_access
from starktrack.errors import VideoError
from starktrack.studio.limits import MOST_PIXELS, check_video
from starktrack.studio.pages import MOST_SOCKETS
from starktrack.studio.session import Session


def avi_that_declares(path, width, height):
    """Write an AVI of 64 x 64 pixels, and another size into its header."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffvhuff", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    content = bytearray(path.read_bytes())
    at = content.index(b"strf") + 12
    assert struct.unpack_from("<2i", content, at) == (64, 64)
    struct.pack_into("<2i", content, at, width, height)
    path.write_bytes(content)


def gif_that_declares(path, width, height):
    path.write_bytes(
        b"GIF89a"
        + struct.pack("<2H3B", width, height, 0x80, 0, 0)
        + bytes(6)
        + b","
        + struct.pack("<4HB", 0, 0, 1, 1, 0)
        + bytes([2, 2, 0x44, 1, 0, 0x3B])
    )


@pytest.mark.parametrize(("name", "make"), [("bomb.avi", avi_that_declares), ("bomb.gif", gif_that_declares)])
def test_a_declared_size_is_refused_before_memory_is_taken(tmp_path, name, make):
    make(tmp_path / name, 12_000, 12_000)
    assert MOST_PIXELS < 12_000**2
    with pytest.raises(VideoError, match=r"12000 x 12000|exceeds limit"):
        Session(tmp_path / name, tmp_path, BrightTracker)
    make(tmp_path / name, 64, 64)
    check_video(tmp_path / name)


def test_a_track_of_an_unknown_codec_is_an_error_of_ours(tmp_path, square_clip):
    content = bytearray(square_clip.read_bytes())
    at = content.index(b"avc1", content.index(b"stsd"))
    content[at : at + 4] = b"zzzz"
    (tmp_path / "strange.mp4").write_bytes(content)
    with pytest.raises(VideoError):
        Session(tmp_path / "strange.mp4", tmp_path, BrightTracker)


SECRET = "secret.mp4"


@pytest.mark.parametrize(
    "text",
    [
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{SECRET}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {SECRET}\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="p"><Period>'
        f"<AdaptationSet mimeType='video/mp4'><Representation id='1' bandwidth='1'><BaseURL>{SECRET}</BaseURL>"
        "</Representation></AdaptationSet></Period></MPD>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "YUV4MPEG2 W60000 H60000 F25:1\nFRAME\n",
    ],
)
def test_lists_of_other_files_are_no_videos(tmp_path, square_clip, text):
    (tmp_path / SECRET).write_bytes(square_clip.read_bytes())
    (tmp_path / "list.mp4").write_text(text)
    with pytest.raises(VideoError, match="must be a whole video"):
        Session(tmp_path / "list.mp4", tmp_path, BrightTracker)
    assert not list(tmp_path.glob("*.starktrack.*"))


def test_counting_frames_ends(tmp_path, monkeypatch):
    with av.open(str(tmp_path / "long.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 64, 64
        for _ in range(20):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        container.mux(stream.encode())
    monkeypatch.setattr(random_access, "COUNT_SECONDS", -1.0)
    with pytest.raises(VideoError, match="must be counted within"):
        Session(tmp_path / "long.avi", tmp_path, BrightTracker)


def test_foreign_and_hundreds_of_sockets_leave_a_real_server_up(workplace, start_server):
    server = start_server(workplace / "square.mp4")
    address = server.address.replace("http", "ws") + "api/socket?path=square.mp4"
    origin = server.address.rstrip("/")
    for foreign in (None, "http://evil.example", "null"):
        with pytest.raises(InvalidStatus) as answer:
            connect(address, origin=foreign)
        assert answer.value.response.status_code == 403
    sockets, refused = [], 0
    for _ in range(200):
        try:
            socket = connect(address, origin=origin, compression=None, open_timeout=60, legacy=True)
            try:
                socket.recv(timeout=60)
                sockets.append(socket)
            except ConnectionClosed as closed:
                assert closed.rcvd.code == 1013 and "close some" in closed.rcvd.reason
                refused += 1
        except InvalidStatus:
            refused += 1
    assert len(sockets) == MOST_SOCKETS and refused == 200 - MOST_SOCKETS
    assert sockets[0].recv(timeout=60) == '{"type":"whole"}'
    sockets[0].send("[" * 900_000)
    assert "must be JSON" in sockets[0].recv(timeout=60)
    sockets[1].send("x" * 2_000_000)
    with pytest.raises(ConnectionClosed):
        while True:
            sockets[1].recv(timeout=60)
    for socket in sockets:
        socket.close()
    last = connect(address, origin=origin, open_timeout=60, legacy=True)
    assert '"project"' in last.recv(timeout=60)
    last.close()


def test_other_machines_need_the_token_of_the_printed_address(workplace, start_server):
    server = start_server(workplace / "square.mp4", "--host", "0.0.0.0")
    plain, _, token = server.address.partition("?token=")
    assert "0.0.0.0" not in plain and len(token) > 20
    local = "http://127.0.0.1:" + plain.rstrip("/").rsplit(":", 1)[1]
    for place in (plain, local):
        assert httpx.get(place, timeout=60).status_code == 403
        with httpx.Client(timeout=60) as browser:
            assert browser.get(f"{place}?token={token}").status_code == 200
            assert browser.get(f"{place.rstrip('/')}/api/folder").status_code == 200
    assert httpx.get(local, headers={"host": "evil.example"}, timeout=60).status_code == 403
