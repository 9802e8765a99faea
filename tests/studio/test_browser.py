"""The page in a real browser, driven as a person would: pointer, keys, reloads, and a server that dies."""

import shutil
import signal
import time

import numpy as np
import pytest
from tests.studio.conftest import NUM_FRAMES, SIDE, SIZE_HW, read_json, true_box

from starktrack import interchange
from starktrack.geometry.boxes import overlap, xywh_to_xyxy

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)"
)


@pytest.fixture(scope="session")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


class Person:
    """Somebody at the page."""

    def __init__(self, page):
        self.page = page
        self.troubles = []
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("requestfailed", lambda request: self.troubles.append(request.url))

    def open(self, address):
        self.page.goto(address)
        self.page.wait_for_function(
            "document.getElementById('of').textContent.startsWith('of ')", timeout=60_000
        )
        self.wait_for_picture()

    def wait_for_picture(self):
        self.page.wait_for_function(
            """() => { const c = document.getElementById('picture');
              return c.getContext('2d').getImageData(c.width / 2 | 0, c.height / 2 | 0, 1, 1).data[3] > 0; }""",
            timeout=60_000,
        )

    def on_screen(self, x, y):
        area = self.page.locator("#picture").bounding_box()
        scale = min(area["width"] / SIZE_HW[1], area["height"] / SIZE_HW[0])
        left = area["x"] + (area["width"] - SIZE_HW[1] * scale) / 2
        top = area["y"] + (area["height"] - SIZE_HW[0] * scale) / 2
        return left + x * scale, top + y * scale

    def drag(self, start, end):
        self.page.mouse.move(*self.on_screen(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.on_screen((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
        self.page.mouse.move(*self.on_screen(*end))
        self.page.mouse.up()

    def draw(self, frame):
        x, y, w, h = true_box(frame)
        self.drag((x, y), (x + w, y + h))
        self.page.wait_for_selector("#targets li")

    def press(self, *keys):
        self.page.locator("#picture").focus()
        for key in keys:
            self.page.keyboard.press(key)

    def wait_until_tracked(self):
        self.page.wait_for_function("document.getElementById('stop').disabled", timeout=120_000)

    def wait_until_saved(self):
        self.page.wait_for_function(
            "document.getElementById('saved').textContent === 'Saved'", timeout=30_000
        )

    def frame(self):
        return int(self.page.locator("#frame").input_value())

    def colour_at(self, x, y):
        """Return what is painted on the canvas at a place of the video."""
        area = self.page.locator("#picture").bounding_box()
        left, top = self.on_screen(x, y)
        return self.page.evaluate(
            """([x, y, width, height]) => { const c = document.getElementById('picture');
               return [...c.getContext('2d').getImageData(x * c.width / width, y * c.height / height, 1, 1).data]; }""",
            [left - area["x"], top - area["y"], area["width"], area["height"]],
        )


@pytest.fixture
def person(browser):
    # The tests look into the page with code of their own, which its policy forbids.
    context = browser.new_context(
        viewport={"width": 1280, "height": 720}, accept_downloads=True, bypass_csp=True
    )
    yield Person(context.new_page())
    context.close()


def rows_of(place):
    stored = read_json(place / "square.mp4.starktrack.json")
    return [{row[0]: row for row in target["entries"]} for target in stored["targets"]]


def wait_for_rows(place, are_wanted, seconds=30):
    """Return the rows of the first target as soon as the file holds what is wanted, or what it holds at the end."""
    deadline = time.monotonic() + seconds
    rows = {}
    while time.monotonic() < deadline:
        if (place / "square.mp4.starktrack.json").exists():
            (rows, *_) = rows_of(place) or [{}]
            if are_wanted(rows):
                break
        time.sleep(0.1)
    return rows


def test_a_person_points_tracks_corrects_and_exports(person, workplace, start_server, tmp_path):
    server = start_server(workplace / "square.mp4")
    person.open(server.address)
    person.draw(0)
    person.press("t")
    person.page.wait_for_function("!document.getElementById('stop').disabled")
    person.wait_until_tracked()
    person.wait_until_saved()
    (rows,) = rows_of(workplace)
    assert sorted(rows) == list(range(NUM_FRAMES))
    found, true = (
        np.array(boxes, float) for boxes in zip(*((rows[f][4:], true_box(f)) for f in rows), strict=True)
    )
    assert overlap(xywh_to_xyxy(found), xywh_to_xyxy(true)).mean() > 0.6
    # The box that is drawn moves with the numbers behind it.
    person.page.locator("#frame").fill("30")
    person.page.keyboard.press("Enter")
    person.page.wait_for_timeout(1500)
    x, y, w, h = rows[30][4:]
    near = [person.colour_at(x + dx, y + h / 2)[:3] for dx in (-0.6, -0.3, 0, 0.3, 0.6)]
    assert any(r < 60 and abs(g - 114) < 40 and abs(b - 178) < 40 for r, g, b in near), near
    # A correction, undone and made again; then frames of the keyboard alone.
    person.drag((x + w / 2, y + h / 2), (x + w / 2 + 20, y + h / 2))
    moved = wait_for_rows(workplace, lambda now: now[30][1] == 1)[30]
    assert moved[1] == 1 and abs(moved[4] - (x + 20)) < 1.5
    person.press("Control+z")
    assert wait_for_rows(workplace, lambda now: now[30][1] == 2)[30][4:] == [x, y, w, h]
    person.press("Home", "ArrowRight", "ArrowRight", "Alt+ArrowRight")
    assert person.frame() == 2
    nudged = wait_for_rows(workplace, lambda now: now[2][1] == 1)
    assert nudged[2][4] == pytest.approx(rows[2][4] + 1, abs=0.01)
    # Out as a file, and in again.
    with person.page.expect_download() as waiting:
        person.page.locator("#export").select_option("cvat")
    waiting.value.save_as(tmp_path / "out.xml")
    assert len(interchange.read(tmp_path / "out.xml").tracks[0]) == NUM_FRAMES
    person.page.locator("#import-file").set_input_files(str(tmp_path / "out.xml"))
    person.page.wait_for_function("document.querySelectorAll('#targets li').length === 2")
    assert person.troubles == []


def test_reloading_and_killing_the_server_lose_nothing(person, workplace, start_server, free_port):
    server = start_server(workplace / "square.mp4", port=free_port)
    person.open(server.address)
    person.draw(0)
    person.wait_until_saved()
    person.page.reload()
    person.page.wait_for_selector("#targets li")
    server.kill()
    person.page.wait_for_function("!document.getElementById('message').hidden", timeout=30_000)
    assert "server is not there" in person.page.locator("#message").inner_text()
    start_server(workplace / "square.mp4", port=free_port)
    person.page.wait_for_function("document.getElementById('message').hidden", timeout=60_000)
    person.press("a")
    assert wait_for_rows(workplace, lambda now: now.get(0, [0, 0])[1] == 4)[0][1] == 4


def test_the_keyboard_alone_is_enough(person, workplace, start_server):
    server = start_server(workplace)
    person.page.goto(server.address)
    person.page.wait_for_selector("#list[open] #entries button")
    person.page.locator("#entries button").first.focus()
    person.page.keyboard.press("Enter")
    person.page.wait_for_selector("#list:not([open])", state="attached")
    person.wait_for_picture()
    person.press("m")
    person.page.wait_for_selector("#targets li")
    side = round(min(SIZE_HW) / 5)
    person.press("Shift+Alt+ArrowLeft")
    wait_for_rows(workplace, lambda now: now.get(0, [0] * 8)[6] == side - 1)
    person.press("End", "m")
    wait_for_rows(workplace, lambda now: NUM_FRAMES - 1 in now)
    person.press("Home", "ArrowRight", "i")
    rows = wait_for_rows(workplace, lambda now: len(now) == NUM_FRAMES)
    assert rows[0][6] == side - 1 and len(rows) == NUM_FRAMES and rows[5][1] == 3
    person.press("?")
    assert person.page.locator("#help[open]").is_visible()
    assert person.page.locator("#keys dt").count() > 15


def test_the_page_keeps_its_own_policy(browser, workplace, start_server):
    server = start_server(workplace / "square.mp4")
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.goto(server.address)
    page.wait_for_selector("#new-target")
    page.get_by_text("of 40", exact=True).wait_for()
    page.locator("#picture").focus()
    page.keyboard.press("m")
    page.wait_for_selector("#targets li")
    context.close()
    assert said == []


def test_every_control_has_a_name_and_the_page_fits_a_small_screen(person, workplace, start_server):
    server = start_server(workplace / "square.mp4")
    for width, height in ((1280, 720), (820, 1180)):
        person.page.set_viewport_size({"width": width, "height": height})
        person.open(server.address)
        if width == 1280:
            person.draw(0)
        nameless = person.page.evaluate(
            """() => [...document.querySelectorAll('button, select, input, canvas')].filter((e) =>
                 !(e.textContent.trim() && e.matches('button')) && !e.getAttribute('aria-label') && !e.labels?.length)
                 .map((e) => e.outerHTML)"""
        )
        assert nameless == []
        wide = person.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.scrollHeight, innerWidth, innerHeight]"
        )
        assert wide[0] <= wide[2] and wide[1] <= wide[3], wide
        outside = person.page.evaluate(
            """() => [...document.querySelectorAll('header *, aside *, #transport *')]
                 .map((e) => [e.id || e.tagName, e.getBoundingClientRect()])
                 .filter(([, b]) => b.width && (b.right > innerWidth + 1 || b.bottom > innerHeight + 1))
                 .map(([id]) => id)"""
        )
        assert outside == []


def test_ctrl_c_saves_and_ends_with_the_usual_code(person, workplace, start_server):
    server = start_server(workplace / "square.mp4")
    person.open(server.address)
    person.draw(0)
    time.sleep(0.2)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=30) in (0, 130)
    assert len(rows_of(workplace)[0]) == 1 and SIDE
