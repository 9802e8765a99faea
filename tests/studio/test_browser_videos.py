"""Videos that come into the page: uploads with progress and limits, drops, and videos as phones write them."""

import csv
import struct
from fractions import Fraction

import av
import httpx
import numpy as np
import pytest
from tests.studio.conftest import NUM_FRAMES, rows_on_disk
from tests.studio.person import wait_for_rows
from typer.testing import CliRunner

from starktrack.cli.main import app
from starktrack.data.frames import open_frames
from starktrack.studio.library import MOST_UPLOAD_BYTES

BYTES_PER_SECOND = 400_000

WATCH_THE_BAR = """() => { window.shown = []; const bar = document.getElementById('upload-progress');
    new MutationObserver(() => shown.push([bar.checkVisibility() && bar.getBoundingClientRect().height > 3, bar.value]))
      .observe(bar, { attributes: true }); }"""


def with_padding(clip, num_bytes):
    """Return an MP4 file with a box of nothing at its end, so that sending it takes its time."""
    return clip.read_bytes() + struct.pack(">I4s", num_bytes, b"free") + bytes(num_bytes - 8)


def test_an_upload_shows_how_far_it_is(person, studio, square_clip, tmp_path):
    (tmp_path / "slow.mp4").write_bytes(with_padding(square_clip, 3 * BYTES_PER_SECOND))
    person.page.goto(studio.address)
    person.page.wait_for_selector("#list[open]")
    assert person.page.locator("#upload-progress").is_hidden()
    network = person.page.context.new_cdp_session(person.page)
    network.send("Network.enable")
    network.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": BYTES_PER_SECOND},
    )
    person.page.evaluate(WATCH_THE_BAR)
    person.page.locator("#upload").set_input_files(str(tmp_path / "slow.mp4"))
    person.page.wait_for_function("document.getElementById('video-name').textContent === 'slow.mp4'")
    shown = person.page.evaluate("shown")
    shares = [share for is_visible, share in shown if is_visible]
    assert shares[0] == 0 and shares == sorted(shares)
    assert len({share for share in shares if 0.05 < share < 0.95}) >= 3, shares
    assert person.page.locator("#upload-progress").is_hidden()
    assert (studio.folder / "slow.mp4").read_bytes() == (tmp_path / "slow.mp4").read_bytes()
    assert person.troubles == []


def test_a_file_over_the_limit_is_an_error_in_the_page_and_is_not_sent(person, studio, tmp_path):
    with (tmp_path / "long.mp4").open("wb") as file:
        file.truncate(MOST_UPLOAD_BYTES + 1)
    sent = []
    person.page.on("request", lambda request: sent.append(request.url))
    person.page.goto(studio.address)
    person.page.wait_for_selector("#list[open]")
    assert person.page.locator("#limit").inner_text() == "at most 4 GiB"
    person.page.locator("#upload").set_input_files(str(tmp_path / "long.mp4"))
    error = person.page.locator("#list-error")
    person.page.wait_for_function("document.getElementById('list-error').textContent")
    assert error.is_visible() and error.get_attribute("role") == "alert"
    assert error.inner_text() == (
        "long.mp4 must have at most 4 GiB, got 4.1 GiB; put it into the studio's folder and open Videos again."
    )
    assert person.page.locator("#upload-progress").is_hidden()
    assert not any("/api/upload" in url for url in sent)


def test_an_upload_that_the_server_refuses_at_once_is_an_error_in_its_words(person, studio, tmp_path):
    (tmp_path / "videos.zip").write_bytes(bytes(30_000_000))
    person.page.goto(studio.address)
    person.page.wait_for_selector("#list[open]")
    person.page.locator("#upload").set_input_files(str(tmp_path / "videos.zip"))
    person.page.wait_for_function("document.getElementById('list-error').textContent")
    assert "an upload must be a video" in person.page.locator("#list-error").inner_text()
    assert person.page.locator("#upload-progress").is_hidden()
    assert not list(studio.folder.glob("videos*"))


@pytest.mark.parametrize("place", ["#picture", ".drop"])
def test_a_video_dropped_onto_the_page_opens(person, studio, video, square_clip, tmp_path, place):
    name = f"dropped on {place[1:]}.mp4"
    (tmp_path / name).write_bytes(square_clip.read_bytes())
    person.open(studio.address, video)
    if place == ".drop":
        person.page.locator("#open-list").click()
    person.page.locator(place).wait_for()
    area = person.page.locator(place).bounding_box()
    hand = person.page.context.new_cdp_session(person.page)
    held = {"items": [], "files": [str(tmp_path / name)], "dragOperationsMask": 1}
    at = {"x": area["x"] + area["width"] / 2, "y": area["y"] + area["height"] / 2}
    for kind in ("dragEnter", "dragOver"):
        hand.send("Input.dispatchDragEvent", {"type": kind, "data": held, **at})
    person.page.wait_for_function("document.body.classList.contains('drag')")
    hand.send("Input.dispatchDragEvent", {"type": "drop", "data": held, **at})
    person.page.wait_for_function(
        "(name) => document.getElementById('video-name').textContent === name", arg=name
    )
    person.page.wait_for_selector("#list:not([open])", state="attached")
    person.wait_for_picture()
    assert not person.page.evaluate("document.body.classList.contains('drag')")
    assert person.page.locator("#of").inner_text() == f"of {NUM_FRAMES}"
    assert (studio.folder / name).read_bytes() == square_clip.read_bytes()
    assert person.troubles == []


MILLISECONDS = [100 * (i // 2) + 20 * (i % 2) for i in range(10)]


@pytest.fixture
def phone_video(studio):
    """Return a video of a phone that is held upright: turned by a quarter, with frames at uneven times."""
    path = studio.folder / "phone.mp4"
    rng = np.random.default_rng(1)
    ground = np.kron(rng.integers(20, 120, (6, 8, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.set_display_rotation(90)
        for index, when in enumerate(MILLISECONDS):
            image = ground.copy()
            image[40:64, 20 + 4 * index : 50 + 4 * index] = (250, 230, 40)
            frame = av.VideoFrame.from_ndarray(image)
            frame.pts, frame.time_base = when, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_turned_video_with_uneven_times_is_shown_and_tracked_as_by_the_command(
    person, studio, phone_video, tmp_path
):
    with open_frames(phone_video) as stream:
        frames = list(stream)
    images = [frame.image for frame in frames]
    assert images[0].shape == (160, 120, 3)
    assert [frame.seconds for frame in frames] == pytest.approx([each / 1000 for each in MILLISECONDS])
    video = httpx.get(f"{studio.address}api/video", params={"path": phone_video.name}).json()
    assert (video["width"], video["height"], video["num_frames"]) == (120, 160, len(frames))
    person.size_hw = (160, 120)
    person.open(studio.address, phone_video)
    places = [(x + 0.5, y + 0.5) for x in range(5, 120, 10) for y in range(5, 160, 10)]
    for index in (0, 5, 9):
        person.go(index)
        expected = np.array([images[index][int(y), int(x)] for x, y in places], float)
        person.page.wait_for_function(
            """([index, at, red]) => { const c = document.getElementById('picture');
                 const seen = c.getContext('2d').getImageData(at[0] * c.width, at[1] * c.height, 1, 1).data[0];
                 return document.getElementById('frame').value === String(index) && Math.abs(seen - red) < 60; }""",
            arg=[index, *spot(person, images[index])],
        )
        seen = np.array(person.colours_at(places), float)[:, :3]
        assert np.abs(seen - expected).mean() < 10, index
    # Tracked in the page as by the command: the same frames, times and boxes.
    bright = np.argwhere(images[0][..., 0] > 180)
    (top, left), (bottom, right) = bright.min(axis=0), bright.max(axis=0) + 1
    person.go(0)
    person.drag((left, top), (right, bottom))
    start = wait_for_rows(phone_video, len)[0][4:]
    person.track()
    wait_for_rows(phone_video, lambda now: len(now) == len(frames))
    with person.page.expect_download() as waiting:
        person.page.locator("#export").select_option("csv")
    waiting.value.save_as(tmp_path / "page.csv")
    command = [
        "track",
        str(phone_video),
        "--box",
        ",".join(map(str, start)),
        "--save",
        str(tmp_path / "command.csv"),
    ]
    assert CliRunner().invoke(app, command).exit_code == 0
    by_page, by_command = (read_rows(tmp_path / f"{name}.csv") for name in ("page", "command"))
    assert by_page[:, 0].tolist() == by_command[:, 0].tolist() == list(range(len(frames)))
    assert by_page[:, 1] == pytest.approx(by_command[:, 1], abs=1e-3)
    assert np.abs(by_page[:, 2:] - by_command[:, 2:]).max() < 0.02
    assert [len(rows) for rows in rows_on_disk(studio.folder, phone_video.name)] == [len(frames)]
    assert person.troubles == []


def spot(person, image):
    """Return the middle of the bright square as shares of the canvas, and its red."""
    y, x = np.argwhere(image[..., 0] > 180).mean(axis=0)
    area = person.page.locator("#picture").bounding_box()
    shown_x, shown_y = person.on_screen(x + 0.5, y + 0.5)
    shares = [(shown_x - area["x"]) / area["width"], (shown_y - area["y"]) / area["height"]]
    return [shares, float(image[round(y), round(x), 0])]


def read_rows(path):
    with path.open(newline="") as file:
        return np.array(
            [
                [float(row[name]) for name in ("frame", "seconds", "x", "y", "w", "h")]
                for row in csv.DictReader(file)
            ]
        )
