"""Somebody at the page, in a real browser, and what the tests wait for."""

import shutil
import time

from tests.studio.conftest import SIZE_HW, rows_on_disk, true_box

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
DESK = {"width": 1280, "height": 720}
KEY, TRACKED, INTERPOLATED, ABSENT = 1, 2, 3, 4


class Person:
    """Somebody at the page."""

    def __init__(self, page, size_hw=SIZE_HW):
        self.page, self.size_hw = page, size_hw
        self.troubles = []
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("requestfailed", lambda request: self.troubles.append(request.url))

    def open(self, address, video=None):
        self.page.goto(address if video is None else f"{address}#{video.name}")
        self.page.wait_for_function("document.getElementById('of').textContent.startsWith('of ')")
        self.wait_for_picture()

    def wait_for_picture(self):
        self.page.wait_for_function(
            """() => { const c = document.getElementById('picture');
              return c.getContext('2d').getImageData(c.width / 2 | 0, c.height / 2 | 0, 1, 1).data[3] > 0; }"""
        )

    def on_screen(self, x, y):
        area = self.page.locator("#picture").bounding_box()
        height, width = self.size_hw
        scale = min(area["width"] / width, area["height"] / height)
        left = area["x"] + (area["width"] - width * scale) / 2
        top = area["y"] + (area["height"] - height * scale) / 2
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

    def go(self, frame):
        self.page.locator("#frame").fill(str(frame))
        self.page.keyboard.press("Enter")

    def track(self, key="t"):
        self.press(key)
        self.page.wait_for_function("!document.getElementById('stop').disabled")
        self.page.wait_for_function("document.getElementById('stop').disabled")

    def frame(self):
        return int(self.page.locator("#frame").input_value())

    def message(self):
        self.page.wait_for_function("!document.getElementById('message').hidden")
        return self.page.locator("#message span").inner_text()

    def colours_at(self, places):
        """Return what is painted on the canvas at places of the video."""
        area = self.page.locator("#picture").bounding_box()
        screen = [self.on_screen(x, y) for x, y in places]
        return self.page.evaluate(
            """([places, width, height]) => { const c = document.getElementById('picture');
               return places.map(([x, y]) => [...c.getContext('2d').getImageData(
                 x * c.width / width, y * c.height / height, 1, 1).data]); }""",
            [[[x - area["x"], y - area["y"]] for x, y in screen], area["width"], area["height"]],
        )


def contexts(browser, **options):
    # The tests look into the page with code of their own, which its policy forbids.
    return browser.new_context(**{"viewport": DESK, "accept_downloads": True, "bypass_csp": True, **options})


def wait_until(find, is_wanted, seconds=60):
    """Return what `find` gives as soon as it is wanted; fail with what it gives at the end."""
    deadline = time.monotonic() + seconds
    while not is_wanted(found := find()):
        assert time.monotonic() < deadline, f"not what was waited for after {seconds} s: {found}"
        time.sleep(0.05)
    return found


def wait_for_rows(video, is_wanted, target=0):
    """Return the rows of a target as soon as the files hold what is wanted; fail with what they hold at the end."""

    def rows():
        targets = rows_on_disk(video.parent, video.name)
        return targets[target] if target < len(targets) else {}

    def is_there(now):
        try:
            return is_wanted(now)
        except KeyError:  # a frame that has no row yet
            return False

    return wait_until(rows, is_there)
