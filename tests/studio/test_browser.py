"""The page in a real browser, driven as a person would: pointer, fingers, keys, reloads, and a server that dies."""

import json
import re
import shutil
import signal
import time
import zipfile
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest
from tests.studio.conftest import NUM_FRAMES, NUM_LONG, SIZE_HW, rows_on_disk, true_box
from tests.studio.person import (
    ABSENT,
    DESK,
    INTERPOLATED,
    KEY,
    TRACKED,
    Person,
    contexts,
    wait_for_rows,
    wait_until,
)

from starktrack import interchange
from starktrack.data.video.random_access import RandomFrames
from starktrack.geometry.boxes import overlap, xywh_to_xyxy


def test_a_person_points_tracks_corrects_and_undoes(person, studio, video):
    person.open(studio.address, video)
    person.draw(0)
    person.track()
    rows = wait_for_rows(video, lambda now: len(now) == NUM_FRAMES)
    assert sorted(rows) == list(range(NUM_FRAMES))
    found, true = (
        np.array(boxes, float) for boxes in zip(*((rows[f][4:], true_box(f)) for f in rows), strict=True)
    )
    assert overlap(xywh_to_xyxy(found), xywh_to_xyxy(true)).mean() > 0.6
    # The box that is drawn moves with the numbers behind it, and so does the picture under it.
    for frame in (5, 30):
        person.go(frame)
        x, y, w, h = rows[frame][4:]
        edge = [(x + dx, y + h / 2) for dx in (-0.6, -0.3, 0, 0.3, 0.6)]

        def is_drawn(edge=edge):
            near = person.colours_at(edge)
            return any(r < 60 and abs(g - 114) < 40 and abs(b - 178) < 40 for r, g, b, _ in near)

        wait_until(is_drawn, bool, 20)
        inside = [(x + w / 2, y + h / 2 + d) for d in (0, 1, 2, 3)]
        wait_until(lambda at=inside: max(c[0] for c in person.colours_at(at)), lambda red: red > 150)
    # A correction, undone and made again; what was before it stays.
    person.drag((x + w / 2, y + h / 2), (x + w / 2 + 20, y + h / 2))
    moved = wait_for_rows(video, lambda now: now[30][1] == KEY)
    assert moved[30][1] == KEY and abs(moved[30][4] - (x + 20)) < 1.5 and moved[29] == rows[29]
    person.press("Control+z")
    assert wait_for_rows(video, lambda now: now[30][1] == TRACKED)[30] == rows[30]
    person.press("Control+y")
    assert wait_for_rows(video, lambda now: now[30][1] == KEY)[30] == moved[30]
    # Tracking goes on from the corrected box; what was before it stays.
    person.drag((x + w / 2 + 20, y + h / 2), (x + w / 2 + 2, y + h / 2))
    corrected = wait_for_rows(video, lambda now: abs(now[30][4] - (x + 2)) < 1.5)
    person.track()
    went_on = wait_for_rows(video, lambda now: now[NUM_FRAMES - 1] != rows[NUM_FRAMES - 1])
    assert {f: row for f, row in went_on.items() if f <= 30} == {f: corrected[f] for f in range(31)}
    assert all(went_on[f][1] == TRACKED for f in range(31, NUM_FRAMES))
    x = x + 2
    # The outline of a refiner over the frame, and what the network looks at where PyTorch is there to show it.
    with person.page.expect_response("**/api/insight**") as outlined:
        person.press("o")
    assert outlined.value.ok and outlined.value.json()["outline"]
    if person.page.locator("#overlay option[value=corners]").is_enabled():
        before = person.colours_at([(x + w / 2, y + h / 2)])
        with person.page.expect_response("**/api/insight**") as mapped:
            person.page.locator("#overlay").select_option("corners")
        assert mapped.value.ok and mapped.value.json()["maps"]
        person.page.wait_for_function(
            "/top-left|no corner/.test(document.getElementById('overlay-note').textContent)"
        )
        person.page.locator("#overlay").select_option("attention")
        wait_until(lambda: person.colours_at([(x + w / 2, y + h / 2)]), lambda now: now != before)
    assert person.troubles == []


def test_several_targets_are_named_coloured_and_tracked_both_ways(person, studio, video):
    person.open(studio.address, video)
    person.go(20)
    person.draw(20)
    person.press("n")
    person.drag((100, 10), (140, 40))
    person.page.wait_for_function("document.querySelectorAll('#targets li').length === 2")
    # The second box by a corner, its name and its colour.
    person.drag((140, 40), (150, 50))
    rows = wait_for_rows(video, lambda now: now[20][6] > 45, target=1)
    assert np.abs(np.array(rows[20][4:]) - (100, 10, 50, 40)).max() < 1.5
    second = person.page.locator("#targets li").nth(1)
    second.locator("input[type=text]").fill("Ente 鸭")
    second.locator("input[type=text]").press("Enter")
    second.locator("input[type=color]").fill("#ff8800")
    second.locator("input[type=color]").blur()
    person.page.evaluate(
        """() => { window.said = []; const speed = document.getElementById('speed');
             new MutationObserver(() => said.push(speed.textContent)).observe(speed, { childList: true }); }"""
    )
    person.track("b")
    for target in (0, 1):
        rows = wait_for_rows(video, lambda now: len(now) == NUM_FRAMES, target)
        assert [frame for frame, row in rows.items() if row[1] == KEY] == [20]
    said = person.page.evaluate("said")
    assert any(re.fullmatch(r"[\d.]+ frames/s, \d+ (s|min) left", words) for words in said), said
    # Joined to one, taken apart again, and one deleted.
    person.press("1")
    person.page.locator("#join").select_option(label="Ente 鸭")
    person.page.wait_for_function("document.querySelectorAll('#targets li').length === 1")
    person.page.locator("#undo").click()
    person.page.wait_for_function("document.querySelectorAll('#targets li').length === 2")
    assert person.page.locator("#targets input[type=color]").nth(1).input_value() == "#ff8800"
    person.press("1")
    person.page.locator("#delete-target").click()
    person.page.wait_for_function("document.querySelectorAll('#targets li').length === 1")
    assert person.page.locator("#targets input[type=text]").input_value() == "Ente 鸭"
    assert person.troubles == []


def test_frames_of_4k_are_asked_for_in_the_size_that_is_shown_and_ahead(person, studio):
    folder = studio.folder / "four_k"
    folder.mkdir()
    for frame in range(5):
        image = np.full((2160, 3840, 3), 40 * frame, np.uint8)
        image[:, : 700 * (frame + 1)] = (30, 60, 200)
        assert cv2.imwrite(str(folder / f"{frame}.jpg"), image)

    def asked(key):
        names = person.page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
        frames = [parse_qs(urlsplit(name).query) for name in names if "/api/frame" in name]
        return {int(frame[key][0]) for frame in frames}

    person.open(studio.address, folder)
    wait_until(lambda: asked("index"), {0, 1, 2, 3}.issubset)
    assert asked("width") <= {640, 960, 1280}
    # Zoomed by the wheel at a pointer, the frame's own pixels are asked for.
    person.page.mouse.move(*person.on_screen(SIZE_HW[1] / 2, SIZE_HW[0] / 2))
    person.page.mouse.wheel(0, -2000)
    wait_until(lambda: asked("width"), lambda widths: 0 in widths)


def test_the_wheel_zooms_and_alt_drags_the_picture(person, studio, video):
    person.open(studio.address, video)
    x, y, w, h = true_box(0)
    square = (x + w / 2, y + h / 2)

    def red(*place):
        return max(
            red for red, *_ in person.colours_at([(place[0], place[1] + d) for d in (-2, -1, 0, 1, 2)])
        )

    beside = (square[0] + 20, square[1])
    assert wait_until(lambda: red(*square), lambda value: value > 150) and red(*beside) < 100
    person.page.mouse.move(*person.on_screen(*square))
    person.page.mouse.wheel(0, -800)  # three times as large, about the pointer
    wait_until(lambda: red(*beside), lambda value: value > 150)
    person.page.keyboard.down("Alt")
    person.drag(square, (square[0] + 60, square[1]))
    person.page.keyboard.up("Alt")
    wait_until(lambda: red(square[0] + 60, square[1]), lambda value: value > 150)
    assert red(*square) < 100 and rows_on_disk(video.parent, video.name) == []
    person.press("0")
    wait_until(lambda: red(*square), lambda value: value > 150)


SLOW_ANSWERS = """(() => { const Real = window.WebSocket;
    window.WebSocket = class extends Real {
        set onmessage(take) { super.onmessage = (event) => setTimeout(() => take(event), %d); } }; })()"""


@pytest.mark.parametrize("delay_ms", [0, 400])
def test_what_is_done_faster_than_the_server_answers_is_done_in_order(person, studio, video, delay_ms):
    person.page.add_init_script(SLOW_ANSWERS % delay_ms)
    person.open(studio.address, video)
    # Keys in one event of the page: no answer can come between them. The first ones even before the rows are here.
    keys = "m End m Home ArrowRight i 1 Alt+ArrowRight Alt+ArrowRight Alt+Shift+ArrowDown n m Alt+ArrowDown ] [ a"
    person.page.evaluate(
        """(keys) => { for (const words of keys) { const parts = words.split("+");
             document.body.dispatchEvent(new KeyboardEvent("keydown", { key: parts.at(-1), bubbles: true,
               altKey: parts.includes("Alt"), shiftKey: parts.includes("Shift") })); } }""",
        keys.split(),
    )
    x, y, side = (SIZE_HW[1] - 24) / 2, (SIZE_HW[0] - 24) / 2, 24
    rows = wait_for_rows(video, lambda now: len(now) == NUM_FRAMES and now[1][7] == side + 1)
    assert rows[1][4:] == [x + 2, y, side, side + 1]
    assert [rows[frame][1] for frame in (0, 1, 2, NUM_FRAMES - 1)] == [KEY, KEY, INTERPOLATED, KEY]
    # The second target was moved, then a key box looked for, in vain; then it was marked as not visible.
    assert list(wait_for_rows(video, lambda now: now and now[1][1] == ABSENT, target=1)) == [1]
    # With the mouse: the first target is chosen, moved by keys, and dragged from where the keys have put it.
    person.press("1", "Alt+ArrowRight", "Alt+ArrowRight", "Alt+ArrowRight")
    person.drag((x + 10, y + 10), (x + 20, y + 15))
    person.press("Alt+ArrowUp")
    moved = wait_for_rows(video, lambda now: now[1][5] == y + 4)
    assert abs(moved[1][4] - (x + 2 + 3 + 10)) < 1.5 and moved[0] == rows[0]
    person.press("Control+z", "Control+z", "Control+z", "Control+z", "Control+z")
    assert wait_for_rows(video, lambda now: now[1][4] == x + 2) == rows
    assert person.troubles == []


def test_every_format_is_exported_and_read_back(person, studio, video, tmp_path):
    person.open(studio.address, video)
    person.draw(0)
    person.press("End", "m", "Home", "ArrowRight", "i")
    wait_for_rows(video, lambda now: len(now) == NUM_FRAMES)
    names = [
        name
        for name in person.page.locator("#export option").evaluate_all("all => all.map(e => e.value)")
        if name
    ]
    assert set(names) == {"video", "masks", *interchange.FORMATS}
    for name in names:
        with person.page.expect_download() as waiting:
            person.page.locator("#export").select_option(name)
        file = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(file)
        if name == "video":
            with RandomFrames(file) as frames:
                assert len(frames) == NUM_FRAMES
            continue
        place = file
        if file.suffix == ".zip":
            place = tmp_path / name
            zipfile.ZipFile(file).extractall(place)
            place = next(place.iterdir()) if len(list(place.iterdir())) == 1 else place
        if name == "masks":
            assert len(list(place.glob("*.png"))) == NUM_FRAMES and (place / "masks.json").is_file()
            continue
        read = interchange.read(place, name, size_hw=SIZE_HW)
        assert len(read.tracks[0]) == NUM_FRAMES, name
        assert np.abs(np.array(read.tracks[0].at(0).box_xywh) - true_box(0)).max() < 2, name
    # And in again, through the page.
    person.page.locator("#import-file").set_input_files(str(next(tmp_path.glob("*.xml"))))
    person.page.wait_for_function("document.querySelectorAll('#targets li').length === 2")
    assert len(wait_for_rows(video, lambda now: len(now) == NUM_FRAMES, target=1)) == NUM_FRAMES
    assert person.troubles == []


def test_bad_files_are_errors_where_they_happen(person, studio, video, square_clip, tmp_path):
    person.open(studio.address, video)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video" * 100)
    person.page.locator("#open-list").click()
    person.page.locator("#upload").set_input_files(str(bad))
    person.page.wait_for_function("document.getElementById('list-error').textContent.includes('whole video')")
    assert not (studio.folder / "bad.mp4").exists()
    good = tmp_path / "dropped in.mp4"
    good.write_bytes(square_clip.read_bytes())
    person.page.locator("#upload").set_input_files(str(good))
    person.page.wait_for_function("document.getElementById('video-name').textContent === 'dropped in.mp4'")
    assert (studio.folder / "dropped in.mp4").read_bytes() == square_clip.read_bytes()
    (tmp_path / "bad.xml").write_text("<annotations")
    person.page.locator("#import-file").set_input_files(str(tmp_path / "bad.xml"))
    assert "bad.xml" in person.message()
    person.press("t")
    assert "Draw one" in person.message()


def test_two_tabs_work_on_the_same_video(browser, studio, video):
    context = contexts(browser)
    one, two = Person(context.new_page()), Person(context.new_page())
    one.open(studio.address, video)
    two.open(studio.address, video)
    one.draw(0)
    two.page.wait_for_selector("#targets li")
    two.press("End", "m")
    one.press("a")  # in frame 0 of the first tab
    rows = wait_for_rows(video, lambda now: len(now) == 2 and now[0][1] == ABSENT)
    assert (rows[0][1], rows[NUM_FRAMES - 1][1]) == (ABSENT, KEY)
    one.press("n", "ArrowRight", "m")
    two.page.wait_for_function("document.querySelectorAll('#targets li').length === 2")
    assert len(wait_for_rows(video, lambda now: now, target=1)) == 1
    context.close()


def test_reloading_and_killing_the_server_in_the_middle_lose_nothing(
    person, long_clip, start_server, free_port, tmp_path
):
    video = shutil.copy(long_clip, tmp_path / "long.mp4")
    server = start_server(video, port=free_port)
    person.open(server.address)
    person.draw(0)
    person.press("t")
    wait_for_rows(video, lambda now: len(now) > 5)
    person.page.locator("#pause").click()
    person.page.wait_for_function("document.getElementById('pause').textContent === 'Go on'")
    time.sleep(1.5)  # the frame under way, and its save
    paused = rows_on_disk(video.parent, video.name)[0]
    time.sleep(1)
    assert rows_on_disk(video.parent, video.name)[0] == paused
    person.page.locator("#pause").click()
    before = wait_for_rows(video, lambda now: len(now) > len(paused))
    person.page.reload()
    person.page.wait_for_selector("#targets li")
    assert person.page.locator("#stop").is_enabled()
    server.kill()
    killed = wait_for_rows(video, len)
    assert NUM_LONG > len(killed) >= len(before)
    assert "server is not there" in person.message()
    start_server(video, port=free_port)
    person.page.wait_for_function("document.getElementById('message').hidden")
    person.page.wait_for_function("document.getElementById('stop').disabled")
    # On from where it was.
    person.go(max(killed))
    person.press("t")
    rows = wait_for_rows(video, lambda now: len(now) > len(killed) + 5)
    assert all(rows[frame] == killed[frame] for frame in killed if frame < max(killed))
    person.press("Escape")
    person.page.wait_for_function("document.getElementById('stop').disabled")


def test_the_keyboard_alone_is_enough(person, studio, video):
    person.page.goto(studio.address)
    person.page.wait_for_selector("#list[open] #entries button")
    person.page.get_by_role("button", name=video.name).focus()
    person.page.keyboard.press("Enter")
    person.page.wait_for_selector("#list:not([open])", state="attached")
    person.wait_for_picture()
    person.press("m")
    person.page.wait_for_selector("#targets li")
    side = round(min(SIZE_HW) / 5)
    x = (SIZE_HW[1] - side) / 2
    person.press("Alt+ArrowRight", "Alt+ArrowRight", "Alt+ArrowLeft", "Shift+Alt+ArrowLeft")
    rows = wait_for_rows(video, lambda now: now.get(0, [0] * 8)[6] == side - 1)
    assert rows[0][4:] == [x + 1, (SIZE_HW[0] - side) / 2, side - 1, side]
    person.press("End", "m")
    wait_for_rows(video, lambda now: NUM_FRAMES - 1 in now)
    person.press("Home", "ArrowRight", "i")
    rows = wait_for_rows(video, lambda now: len(now) == NUM_FRAMES)
    assert len(rows) == NUM_FRAMES and rows[5][1] == INTERPOLATED
    person.press("]")
    wait_until(person.frame, lambda frame: frame == NUM_FRAMES - 1)
    person.press("[", "Shift+ArrowRight", "c")
    person.page.wait_for_function("document.querySelectorAll('#targets li').length === 2")
    assert sorted(wait_for_rows(video, lambda now: len(now) == 10)) == list(range(10))
    person.press("1", "Enter")
    rows = wait_for_rows(video, lambda now: now[5][1] == KEY)
    assert {row[1] for row in rows.values()} == {KEY}
    person.press("Delete", "Home", "Delete")
    assert 0 not in wait_for_rows(video, lambda now: 0 not in now)
    person.press("?")
    assert person.page.locator("#help[open]").is_visible()
    assert person.page.locator("#keys dt").count() > 15


def test_fingers_draw_drag_zoom_and_pan(browser, studio, video):
    context = contexts(browser, viewport={"width": 820, "height": 1180}, has_touch=True, is_mobile=True)
    person = Person(context.new_page())
    person.open(studio.address, video)
    fingers = context.new_cdp_session(person.page)

    def touch(kind, *points):
        listed = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": listed})

    def swipe(start, end):
        start, end = person.on_screen(*start), person.on_screen(*end)
        touch("Start", start)
        touch("Move", ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
        touch("Move", end)
        touch("End")

    x, y, w, h = true_box(0)
    swipe((x, y), (x + w, y + h))
    person.page.wait_for_selector("#targets li")
    drawn = wait_for_rows(video, len)[0][4:]
    assert np.abs(np.array(drawn) - true_box(0)).max() < 1.5
    swipe((x + w / 2, y + h / 2), (x + w / 2 + 30, y + h / 2 + 10))
    moved = wait_for_rows(video, lambda now: now[0][4] > x + 10)[0][4:]
    assert np.abs(np.array(moved) - (x + 30, y + 10, w, h)).max() < 1.5

    def reds(left, top):
        return max(red for red, *_ in person.colours_at([(left, top + d) for d in range(-2, 3)]))

    # Two fingers that part on the square make it three times as large; moved together they move it.
    square = person.on_screen(x + w / 2, y + h / 2)
    assert reds(45, 10) < 100 and reds(55, 10) < 100
    touch("Start", (square[0] - 30, square[1]), (square[0] + 30, square[1]))
    touch("Move", (square[0] - 60, square[1]), (square[0] + 60, square[1]))
    touch("Move", (square[0] - 90, square[1]), (square[0] + 90, square[1]))
    wait_until(lambda: reds(45, 10), lambda red: red > 150)
    assert reds(55, 10) < 150
    aside = person.on_screen(x + w / 2 + 10, y + h / 2)[0] - square[0]
    touch("Move", (square[0] - 90 + aside, square[1]), (square[0] + 90 + aside, square[1]))
    touch("End")
    wait_until(lambda: reds(55, 10), lambda red: red > 150)
    assert wait_for_rows(video, len)[0][4:] == moved
    small = person.page.evaluate(
        """() => [...document.querySelectorAll('button, select, .button, #frame')]
             .filter((e) => e.offsetParent && !e.closest('dialog')).map((e) => [e.id, e.getBoundingClientRect()])
             .filter(([, b]) => b.height < 43.5 || b.width < 36).map(([id]) => id)"""
    )
    assert small == []
    context.close()


def test_the_page_keeps_its_own_policy(browser, studio, video):
    context = browser.new_context(viewport=DESK)
    page, said, foreign = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: foreign.append(request.url))
    page.goto(f"{studio.address}#{video.name}")
    page.get_by_text("of 40", exact=True).wait_for(timeout=120_000)
    page.locator("#picture").focus()
    page.keyboard.press("m")
    page.wait_for_selector("#targets li", timeout=120_000)
    context.close()
    assert said == []
    assert all(url.startswith((studio.address, "blob:", "data:")) for url in foreign)


CONTROLS = frozenset(
    [
        *("button", "checkbox", "ColorWell", "combobox", "dialog", "link", "option", "progressbar"),
        *("ProgressIndicator", "slider", "spinbutton", "textbox"),
    ]
)


def nameless(page):
    """Return the controls without a name in what the browser tells a screen reader, and how many it has seen."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    controls = []
    for node in tree:
        role = node.get("role", {}).get("value", "")
        can_focus = any(
            each["name"] == "focusable" and each["value"]["value"] for each in node.get("properties", ())
        )
        if not node.get("ignored") and (role in CONTROLS or (can_focus and role != "RootWebArea")):
            controls.append((role, node.get("name", {}).get("value", "").strip()))
    return [role for role, name in controls if not name], len(controls)


VISIBLE_CONTROLS = ":is(button, select, input, canvas):visible"

OUTSIDE = """() => [...document.querySelectorAll('header *, aside *, #transport *')]
    .map((e) => [e.id || e.tagName, e.getBoundingClientRect()])
    .filter(([, b]) => b.width > 1 && (b.right > innerWidth + 1 || b.left < -1)).map(([id]) => id)"""

CONTRASTS = """() => {
    const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
    const back = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
        if (c.length === 3 || c[3] > 0.5) return c; } return [255, 255, 255]; };
    return [...document.querySelectorAll('body *')].filter((e) => e.offsetParent && !e.disabled
        && !e.closest('fieldset:disabled')
        && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).map((e) => {
        const [a, b] = [light(parse(getComputedStyle(e).color)), light(back(e))].sort((x, y) => y - x);
        return [e.id || e.tagName + ' ' + e.textContent.trim().slice(0, 20), (a + 0.05) / (b + 0.05)]; })
      .filter(([, contrast]) => contrast < 4.5); }"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read_and_used_by_everybody(browser, studio, video, scheme):
    context = contexts(browser, color_scheme=scheme)
    person = Person(context.new_page())
    person.open(studio.address, video)
    person.draw(0)
    for width, height in ((1280, 720), (820, 1180), (1180, 820)):
        person.page.set_viewport_size({"width": width, "height": height})
        person.page.wait_for_timeout(300)
        without, seen = nameless(person.page)
        assert without == [] and seen >= person.page.locator(VISIBLE_CONTROLS).count() > 30
        wide = person.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.scrollHeight, innerWidth, innerHeight]"
        )
        assert wide[0] <= wide[2] and wide[1] <= wide[3], wide
        assert person.page.evaluate(OUTSIDE) == [], (width, height)
        assert person.page.locator("#picture").bounding_box()["height"] > 200
    assert person.page.evaluate(CONTRASTS) == []
    person.press("?")
    assert person.page.evaluate(CONTRASTS) == [] and nameless(person.page)[0] == []
    person.page.keyboard.press("Escape")
    person.page.locator("#open-list").click()
    person.page.wait_for_selector("#list[open] #entries button")
    person.page.evaluate("document.getElementById('upload-progress').hidden = false")
    without, seen = nameless(person.page)
    assert (
        without == [] and seen >= person.page.locator("#list button, #list input, #list progress").count() > 4
    )
    assert person.page.evaluate(CONTRASTS) == []
    assert person.page.evaluate("document.documentElement.lang") == "en"
    ids = person.page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    person.page.keyboard.press("Escape")
    person.press("ArrowRight")
    spoken = person.page.locator("#spoken")
    assert spoken.get_attribute("role") == "status" and "Frame 1, target 1: no box" in spoken.inner_text()
    for role, name in (
        ("slider", "Timeline"),
        ("button", "Track"),
        ("button", "Next doubtful"),
        ("combobox", "Export"),
    ):
        assert person.page.get_by_role(role, name=name).count() >= 1, name
    context.close()


def test_the_timeline_seeks_and_names_the_next_doubtful_frame(person, studio, video):
    project = {
        **{"format": "starktrack studio", "version": 1, "video": video.name, "size_hw": list(SIZE_HW)},
        **{"num_frames": NUM_FRAMES, "next_id": 1},
        "targets": [
            {
                **{"id": 0, "name": "square", "colour": "#0072b2"},
                "entries": [
                    [f, 2, 2 if f == 31 else 1, 0.4 if f == 31 else 0.9, *true_box(f)]
                    for f in range(NUM_FRAMES)
                ],
            }
        ],
    }
    (studio.folder / f"{video.name}.starktrack.json").write_text(json.dumps(project))
    person.open(studio.address, video)
    person.page.wait_for_selector("#targets li")
    area = person.page.locator("#timeline").bounding_box()
    person.page.mouse.click(area["x"] + 24 + (area["width"] - 24) * 10.5 / NUM_FRAMES, area["y"] + 24)
    wait_until(person.frame, lambda frame: frame == 10)
    person.press("d")
    person.page.wait_for_function("document.getElementById('frame').value === '31'")
    person.press("d")
    assert "No doubtful frame" in person.message()


def test_ctrl_c_saves_and_ends_with_the_usual_code(person, workplace, start_server):
    server = start_server(workplace / "square.mp4")
    person.open(server.address)
    person.draw(0)
    time.sleep(0.2)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=60) in (0, 130)
    assert [len(rows) for rows in rows_on_disk(workplace)] == [1]
    assert [path.name for path in workplace.glob("*.starktrack.*")] == ["square.mp4.starktrack.json"]
