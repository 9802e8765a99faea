"""Make the pictures of the studio's page anew: the demo's clip, pointed at and tracked in Chromium, light and dark.

    python scripts/studio_pictures.py

Needs `scripts/browser` and the extras `studio` and `torch`. Writes docs/images/studio.jpg and studio-dark.jpg.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from starktrack.data.demo import BOXES_XYWH, CLIP

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
FRAME = 150
TO_SCREEN = """([x, y]) => { const canvas = document.getElementById('picture'), area = canvas.getBoundingClientRect();
    const scale = Math.min(area.width / 640, area.height / 512);
    const left = area.x + (area.width - 640 * scale) / 2, top = area.y + (area.height - 512 * scale) / 2;
    return [left + x * scale, top + y * scale]; }"""


def open_page(page: Page, address: str) -> None:
    """Open the page and wait for the first frame, and until everything has its place."""
    page.set_default_timeout(1_800_000)  # tracking takes its time on a busy machine
    page.goto(address)
    page.wait_for_function("document.getElementById('of').textContent === 'of 240'")
    page.wait_for_function(
        """() => { const canvas = document.getElementById('picture');
             return canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[3] > 0; }"""
    )
    page.wait_for_timeout(1000)


def point_and_track(page: Page) -> None:
    """Draw the box of the first frame, name it, and track to the end."""
    x, y, w, h = BOXES_XYWH[0]
    page.mouse.move(*page.evaluate(TO_SCREEN, [x, y]))
    page.mouse.down()
    page.mouse.move(*page.evaluate(TO_SCREEN, [x + w / 2, y + h / 2]))
    page.mouse.move(*page.evaluate(TO_SCREEN, [x + w, y + h]))
    page.mouse.up()
    page.locator("#targets input[type=text]").fill("helicopter")
    page.keyboard.press("Enter")
    page.locator("#track").click()
    page.wait_for_selector("#stop:not([disabled])")
    page.wait_for_selector("#track:not([disabled])")


def take(page: Page, name: str, overlay: str) -> None:
    """Show one frame with an overlay, and write the picture."""
    page.locator("#frame").fill(str(FRAME))
    page.keyboard.press("Enter")
    if overlay:
        with page.expect_response("**/api/insight**"):
            page.locator("#overlay").select_option(overlay)
    page.locator("#picture").focus()
    page.wait_for_timeout(5000)  # the picture, the maps, and the note that all is saved
    page.screenshot(path=IMAGES / f"{name}.jpg", type="jpeg", quality=85)


def main() -> None:
    """Start a studio in a folder of its own, and take both pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        video = shutil.copy(CLIP, folder)
        command = [sys.executable, "-m", "starktrack", "studio", video, "--no-browser", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                address = server.stdout.readline().removeprefix("studio: ").strip()
                browser = driver.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
                )
                for name, scheme, overlay in (("studio", "light", ""), ("studio-dark", "dark", "corners")):
                    context = browser.new_context(
                        viewport={"width": 1280, "height": 720}, color_scheme=scheme, bypass_csp=True
                    )
                    page = context.new_page()
                    open_page(page, address)
                    if name == "studio":
                        point_and_track(page)
                    take(page, name, overlay)
                browser.close()
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
