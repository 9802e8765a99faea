import contextlib
import functools
import gc
import http.server
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import warnings
from fractions import Fraction

import av
import numpy as np
import pytest

from starktrack.data.frames import open_frames
from starktrack.data.video.file import turn_upright
from starktrack.data.video.live import LiveSettings
from starktrack.data.video.random_access import RandomFrames
from starktrack.errors import SourceWarning, VideoBrokenError, VideoError


def read_until_broken(path):
    frames = []
    with pytest.raises(VideoBrokenError) as caught, open_frames(path) as stream:
        for frame in stream:
            frames.append(frame)
    return frames, caught.value


def test_an_mp4_says_its_size_rate_and_count(make_clip, index_of):
    with open_frames(make_clip()) as frames:
        assert (frames.name, frames.size_hw, frames.frame_rate, frames.num_frames) == (
            "clip.mp4",
            (48, 64),
            25.0,
            20,
        )
        shown = list(frames)
    assert [index_of(frame.image) for frame in shown] == [frame.index for frame in shown] == list(range(20))
    np.testing.assert_allclose([frame.seconds for frame in shown], np.arange(20) * 0.04)


def test_the_start_frame_is_the_right_picture(make_clip, index_of):
    with open_frames(make_clip(), start_frame=7) as frames:
        first = next(frames)
    assert (first.index, index_of(first.image)) == (7, 7)
    assert first.seconds == pytest.approx(0.28)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts", "clip.avi"])
def test_a_container_without_a_sure_count_gives_every_frame(make_clip, name):
    with open_frames(make_clip(name)) as frames:
        assert frames.num_frames in (None, 20)
        assert frames.frame_rate == 25.0
        assert [frame.index for frame in frames] == list(range(20))


def test_a_bare_stream_has_no_clock(make_clip):
    with open_frames(make_clip("clip.h264")) as frames:
        assert [frame.seconds for frame in frames] == [None] * 20


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_variable_frame_rate_keeps_each_time(make_clip, name):
    milliseconds = [100 * (i // 2) + 20 * (i % 2) for i in range(20)]
    with open_frames(make_clip(name, milliseconds=milliseconds)) as frames:
        np.testing.assert_allclose([frame.seconds for frame in frames], np.array(milliseconds) / 1000)


def test_decoded_frames_do_not_pile_up(make_clip):
    path = make_clip(images=[np.zeros((48, 64, 3), np.uint8)] * 80, rotation=90)
    gc.collect()
    gc.disable()
    try:
        with open_frames(path) as frames:
            assert len(list(frames)) == 80
            alive = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert alive < 5


@pytest.mark.parametrize(("degrees", "quarter_turns"), [(90, 1), (180, 2), (-90, 3)])
def test_a_rotated_video_is_upright(make_clip, degrees, quarter_turns):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:16, :16] = 250
    with open_frames(make_clip(images=[image] * 2, rotation=degrees)) as frames:
        assert frames.size_hw == ((64, 48) if degrees % 180 else (48, 64))
        shown = next(frames).image
    expected = np.rot90(image, quarter_turns)
    assert np.abs(shown.astype(int) - expected).mean() < 5


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), [[1, 2, 3], [4, 5, 6]]),
        ((-1, 0, 0, 1), [[3, 2, 1], [6, 5, 4]]),
        ((1, 0, 0, -1), [[4, 5, 6], [1, 2, 3]]),
        ((-1, 0, 0, -1), [[6, 5, 4], [3, 2, 1]]),
        ((0, -1, 1, 0), [[3, 6], [2, 5], [1, 4]]),
        ((0, 1, -1, 0), [[4, 1], [5, 2], [6, 3]]),
        ((0, 1, 1, 0), [[1, 4], [2, 5], [3, 6]]),
        ((0, -1, -1, 0), [[6, 3], [5, 2], [4, 1]]),
    ],
)
def test_all_eight_orientations_stand_upright(matrix, expected):
    image = np.repeat(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)[:, :, None], 3, axis=2)
    a, b, c, d = (65536 * value for value in matrix)
    upright = turn_upright(image, np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32).tobytes())
    np.testing.assert_array_equal(upright[:, :, 0], expected)
    assert upright.flags.c_contiguous


@pytest.mark.parametrize(
    ("name", "container_options"),
    [
        ("cut.mp4", {"movflags": "faststart"}),
        ("cut.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("cut.mkv", {}),
        ("cut.avi", {}),
        ("cut.flv", {}),
    ],
)
@pytest.mark.parametrize("share", [0.6, 0.97])
def test_a_cut_file_gives_its_whole_frames_and_breaks_off(
    make_clip, noise, cut, name, container_options, share
):
    path = cut(make_clip(name, noise, container_options=container_options), share)
    frames, error = read_until_broken(path)
    assert 40 * share - 8 < len(frames) < 40
    assert error.num_frames == len(frames)
    assert f"{name} broke off after {len(frames)} frames: " in str(error)


def test_a_matroska_file_cut_by_its_last_byte_breaks_off(make_clip):
    path = make_clip("clip.mkv")
    path.write_bytes(path.read_bytes()[:-1])
    frames, error = read_until_broken(path)
    assert len(frames) == 20
    assert "the file ends before its own end; copy or download it again" in str(error)


def test_a_matroska_file_damaged_in_the_middle_breaks_off(make_clip, noise):
    path = make_clip("clip.mkv", [*noise, *noise])
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
    path.write_bytes(data)
    _, error = read_until_broken(path)
    assert "of 3.20 seconds" in str(error)


@pytest.mark.parametrize("name", ["slow.mkv", "slow.webm", "slow.mp4", "slow.avi"])
def test_a_video_slower_than_one_frame_a_second_is_whole(make_clip, name):
    codec = "libvpx-vp9" if name == "slow.webm" else "libx264"
    with open_frames(make_clip(name, codec=codec, rate=Fraction(1, 4))) as frames:
        np.testing.assert_allclose([frame.seconds for frame in frames], 4.0 * np.arange(20))


def test_a_matroska_file_whose_last_frame_stays_is_whole(make_clip):
    path = make_clip("still.mkv", milliseconds=[40 * i for i in range(19)] + [20_000], last_milliseconds=9000)
    with open_frames(path) as frames:
        assert len(list(frames)) == 20


def test_a_slow_matroska_file_that_is_cut_breaks_off(make_clip, noise, cut):
    frames, error = read_until_broken(cut(make_clip("cut.mkv", noise, rate=Fraction(1, 4)), 0.6))
    assert len(frames) == error.num_frames < 30


def joined(make_clip, name="joined.ts", count=2, **options):
    clip = make_clip(name, **options)
    clip.write_bytes(clip.read_bytes() * count)
    return clip


@pytest.mark.parametrize("options", [None, {"bf": "2"}])
def test_broadcasts_that_are_joined_have_one_clock(make_clip, options, tmp_path):
    path = joined(make_clip, options=options)
    with pytest.warns(SourceWarning, match=r"joined\.ts: frame 20 is timed"), open_frames(path) as frames:
        shown = list(frames)
    assert len(shown) == 40
    np.testing.assert_allclose([frame.seconds for frame in shown], 0.04 * np.arange(40), atol=1e-6)


def moved(clip, name, milliseconds):
    """Copy a clip into another file, all times so much later."""
    path = clip.with_name(name)
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(clip)) as source, av.open(str(path), "w", options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                packet.pts += milliseconds
                packet.dts += milliseconds
                target.mux(packet)
    return path


@pytest.mark.parametrize(
    ("name", "milliseconds"),
    [("moved.mkv", -60), ("moved.mkv", -20), ("moved.ts", -60), ("moved.mkv", 5000), ("moved.flv", 5000)],
)
@pytest.mark.filterwarnings("ignore:moved.mkv. frame 1 has no time")
def test_a_clock_that_starts_before_or_after_zero_is_moved_there(make_clip, name, milliseconds):
    clip = make_clip("clip.mkv", options={"bf": "0"})
    with open_frames(moved(clip, name, milliseconds)) as frames:
        np.testing.assert_allclose([frame.seconds for frame in frames], 0.04 * np.arange(20), atol=1e-6)


def test_frames_at_the_start_without_a_time_are_said(make_clip):
    clip = make_clip("clip.mkv", options={"bf": "0"})
    with pytest.warns(SourceWarning, match=r"moved\.mkv: frame 1 has no time"):
        list(open_frames(moved(clip, "moved.mkv", -60)))


@pytest.mark.parametrize("share", [0.5, 0.97])
def test_an_flv_that_is_cut_breaks_off(make_clip, noise, cut, share):
    clip = make_clip(
        "clip.flv", noise, options={"bf": "0"}, container_options={"flvflags": "add_keyframe_index"}
    )
    frames, error = read_until_broken(cut(clip, share))
    assert len(frames) == error.num_frames < 40


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_an_avi_with_bidirectional_frames_is_in_order(make_clip, index_of, codec):
    path = make_clip("clip.avi", codec=codec, options={"bf": "2", "qmin": "1", "qmax": "2"})
    with open_frames(path) as frames:
        shown = list(frames)
    assert [index_of(frame.image) for frame in shown] == list(range(20))
    np.testing.assert_allclose([frame.seconds for frame in shown], 0.04 * np.arange(20), atol=1e-6)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts", "clip.webm"])
def test_a_pipe_is_read_as_it_comes(make_clip, index_of, tmp_path, name):
    clip = make_clip(name, codec="libvpx-vp9" if name == "clip.webm" else "libx264")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    sender = threading.Thread(target=lambda: pipe.write_bytes(clip.read_bytes()))
    sender.start()
    with open_frames(pipe) as frames:
        assert [index_of(frame.image) for frame in frames] == list(range(20))
    sender.join()


def test_an_interrupt_ends_opening_a_silent_pipe(make_clip, tmp_path):
    clip = make_clip("clip.mkv").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from starktrack.data.frames import open_frames\n"
        f"try: open_frames({str(pipe)!r})\n"
        "except KeyboardInterrupt: print('interrupted')"
    )
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with pipe.open("wb", buffering=0) as writer:
        writer.write(clip[:200])
        time.sleep(2)  # until it waits for more
        running.send_signal(signal.SIGINT)
        try:
            assert running.communicate(timeout=20)[0] == "interrupted\n"
        finally:
            running.kill()


def test_a_pipe_without_a_video_is_refused(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    sender = threading.Thread(target=lambda: pipe.write_bytes(bytes(range(256)) * 20))
    sender.start()
    with pytest.raises(VideoError, match=r"pipe must bring a video that can be read forwards, got: Invalid"):
        open_frames(pipe)
    sender.join()


def test_process_substitution_is_a_source(make_clip):
    code = "import sys; from starktrack.data.frames import open_frames; print(len(list(open_frames(sys.argv[1]))))"
    shell = f"{sys.executable} -c '{code}' <(cat {make_clip('clip.mkv')})"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, check=True, timeout=60)
    assert done.stdout == b"20\n"


@pytest.mark.parametrize("source", ["-", "pipe:0", "/dev/stdin"])
@pytest.mark.parametrize("redirected", [True, False])
def test_standard_input_is_a_source(make_clip, source, redirected):
    path = make_clip("clip.mkv")
    code = f"from starktrack.data.frames import open_frames; print(len(list(open_frames({source!r}))))"
    with path.open("rb") as file:
        given = {"stdin": file} if redirected else {"input": file.read()}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, timeout=60, **given
        )
    assert done.stdout == b"20\n"


def test_an_mp4_whose_index_comes_last_cannot_come_through_a_pipe(make_clip, noise, tmp_path):
    clip, pipe = make_clip(images=noise), tmp_path / "pipe"
    os.mkfifo(pipe)

    def send():
        with contextlib.suppress(BrokenPipeError):
            pipe.write_bytes(clip.read_bytes())

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(VideoError, match=r"pipe cannot be read: .*an MP4 in a pipe needs its index first"):
        open_frames(pipe)
    sender.join()


def counts(index, pix_fmt):
    values = np.random.default_rng(0).integers(2300, 2400, (48, 64)).astype(np.uint16)
    values[10:20, 10 + index : 20 + index] += 130
    return values if pix_fmt.startswith("gray") else np.stack([values, values + 5, values + 9], axis=2)


@pytest.mark.parametrize("pix_fmt", ["gray16le", "gray12le", "gbrp16le", "gbrp12le"])
def test_videos_of_counts_share_one_scale(tmp_path, pix_fmt):
    path = tmp_path / "thermal.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, pix_fmt
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(counts(index, pix_fmt), format=pix_fmt)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.warns(SourceWarning, match=r"thermal\.mkv: .* mapped to 8 bits from 2300 to 25"):
        shown = [frame.image for frame in open_frames(path)]
    assert len(np.unique(shown[0])) > 100
    np.testing.assert_array_equal(shown[0][30:], shown[2][30:])
    with open_frames(path, intensity_range=(2300, 2555)) as frames:
        expected = np.minimum(counts(0, pix_fmt) - 2300, 255)
        given = next(frames).image
    np.testing.assert_array_equal(given, expected if expected.ndim == 3 else np.dstack([expected] * 3))


def test_ten_bit_colours_are_no_counts(make_clip):
    path = make_clip("ten.mkv", codec="ffv1", pix_fmt="yuv420p10le")
    with warnings.catch_warnings():
        warnings.simplefilter("error", SourceWarning)
        with open_frames(path) as frames:
            means = [frame.image.mean() for frame in frames]
    np.testing.assert_allclose(means, 10 + 4 * np.arange(20), atol=3)  # FFmpeg rounds down


@pytest.mark.parametrize(("rotation", "expected"), [(None, Fraction(2)), (90, Fraction(1, 2))])
def test_pixels_that_are_not_square_are_told(make_clip, rotation, expected):
    path = make_clip(aspect=Fraction(2), rotation=rotation)
    with open_frames(path) as frames:
        assert frames.pixel_aspect == expected


def test_data_that_cannot_be_decoded_breaks_off(make_clip, noise):
    path = make_clip("clip.mov", noise, codec="mjpeg")
    with av.open(str(path)) as container:
        damaged = [packet for packet in container.demux(video=0) if packet.size][20]
    data = bytearray(path.read_bytes())
    data[damaged.pos : damaged.pos + damaged.size] = bytes(damaged.size)
    path.write_bytes(data)
    frames, error = read_until_broken(path)
    assert (len(frames), error.num_frames) == (20, 20)
    assert "cannot be read there (Invalid data" in str(error)


def test_a_video_that_changes_size_breaks_off_there(make_clip):
    small = make_clip("small.ts", [np.zeros((48, 64, 3), np.uint8)] * 6)
    large = make_clip("large.ts", [np.zeros((96, 64, 3), np.uint8)] * 6)
    small.write_bytes(small.read_bytes() + large.read_bytes())
    frames, error = read_until_broken(small)
    assert (len(frames), error.num_frames) == (6, 6)
    assert "frame 6 must be 64 x 48 pixels like the frames before it, got 64 x 96" in str(error)


def test_a_trimmed_mp4_is_whole_and_counts_what_is_shown(make_clip, index_of):
    path = make_clip(options={"g": "5", "bf": "0"})
    data = bytearray(path.read_bytes())
    place = data.find(b"elst") + 12  # how many ms are shown, from which tick (1/12800 s) on
    data[place : place + 8] = struct.pack(">Ii", 400, 7 * 512)
    path.write_bytes(data)
    with open_frames(path) as frames:
        assert frames.num_frames == 10
        assert [index_of(frame.image) for frame in frames] == list(range(7, 17))


def test_an_mp4_without_its_index_is_unreadable(make_clip, noise, cut):
    with pytest.raises(
        VideoError, match=r"must be a whole video that FFmpeg can read, got .* before its index"
    ):
        open_frames(cut(make_clip(images=noise), 0.6))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "empty.mp4 must be a video, got an empty file"),
        ("notes.txt", b"hello world\n" * 100, "notes.txt must hold a video track, got none"),
        ("noise.mp4", bytes(range(256)) * 20, "noise.mp4 must be a whole video that FFmpeg can read"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VideoError, match=message):
        open_frames(path)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(VideoError, match=r"sound\.wav must hold a video track, got none"):
        open_frames(path)


def test_a_file_name_with_a_colon_is_no_protocol(make_clip):
    with open_frames(make_clip().rename(make_clip("x.mp4").parent / "10:30.mp4")) as frames:
        assert frames.name == "10:30.mp4"


@pytest.fixture
def serve(tmp_path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_address_is_read_and_its_password_is_not_shown(make_clip, serve):
    make_clip("clip.mkv")
    with open_frames(f"http://me:secret@{serve}/clip.mkv") as frames:
        assert frames.name == "http://127.0.0.1/clip.mkv"
        assert len(list(frames)) == 20


def test_a_cut_file_behind_an_address_breaks_off(make_clip, noise, cut, serve):
    cut(make_clip("cut.mkv", [*noise, *noise]), 0.5)
    _, error = read_until_broken(f"http://{serve}/cut.mkv")
    assert "of 3.20 seconds" in str(error)


def test_an_address_that_answers_with_an_error_is_named(serve):
    with pytest.raises(
        VideoError, match=r"http://127\.0\.0\.1/no\.mp4 must answer with a video .*404 Not Found"
    ):
        open_frames(f"http://{serve}/no.mp4")


def test_an_address_that_stays_silent_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/clip.mp4"
        with pytest.raises(VideoError, match=r"must answer with a video within 0\.2 seconds"):
            open_frames(address, live=LiveSettings(timeout_seconds=0.2))


PLAYLISTS = {
    "live.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.ts\n",  # no end: its reader waits for more
    "ended.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.ts\n#EXT-X-ENDLIST\n",
    "joined.mp4": "ffconcat version 1.0\nfile clip.ts\n",
    "session.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
@pytest.mark.parametrize("reader", [open_frames, RandomFrames])
def test_a_file_that_only_names_other_files_is_refused(make_clip, tmp_path, name, reader):
    make_clip("clip.ts")
    (tmp_path / name).write_text(PLAYLISTS[name])
    with pytest.raises(VideoError, match=f"{name} must (hold the video itself|be a whole video)"):
        reader(tmp_path / name)


def test_a_title_that_is_no_text_is_no_matter(make_clip, index_of):
    path = make_clip("clip.mkv")
    content = path.read_bytes()
    assert content.count(b"Lavf") > 1
    path.write_bytes(content.replace(b"Lavf", b"\xff\xfe\xff\xfe"))
    with open_frames(path) as frames:
        assert index_of(next(frames).image) == 0


def test_a_frame_that_asks_for_all_memory_is_refused(make_clip):
    path = make_clip("clip.y4m", codec="rawvideo")
    path.write_bytes(path.read_bytes().replace(b"W64 H48", b"W64000 H48000", 1))
    with pytest.raises(VideoError):
        open_frames(path)
