"""The timeline in a real browser: what a lane shows does not need its colour."""

import itertools
import json

import numpy as np
from tests.studio.conftest import NUM_FRAMES, SIZE_HW, true_box
from tests.studio.person import ABSENT, INTERPOLATED, KEY, TRACKED, wait_for_rows

SURE, UNCERTAIN, LOST = 1, 2, 3
LANE_TOP, LANE_HEIGHT, GUTTER = 16, 18, 24
"""As in timeline.js."""

FRAMES = {
    "tracked": (range(0, 6), TRACKED, SURE, 1.0),
    "tracked with a low score": (range(6, 12), TRACKED, SURE, 0.2),
    "uncertain": (range(12, 18), TRACKED, UNCERTAIN, 0.5),
    "lost": (range(18, 24), TRACKED, LOST, 0.1),
    "gap": (range(24, 30), None, None, None),
    "interpolated": (range(30, 35), INTERPOLATED, 0, None),
    "key": (range(35, 36), KEY, 0, None),
    "not visible": (range(37, 38), ABSENT, 0, None),
}
ENTRIES = [
    [frame, kind, state, score, *([None] * 4 if kind == ABSENT else true_box(frame))]
    for frames, kind, state, score in FRAMES.values()
    for frame in frames
    if kind is not None
]

LANE = """([lane, first, stop, count, top, high, gutter]) => {
    const canvas = document.getElementById('timeline'), ratio = window.devicePixelRatio;
    const wide = (canvas.width / ratio - gutter) / count;
    const left = Math.round((gutter + first * wide) * ratio) + 2;
    const right = Math.round((gutter + stop * wide) * ratio) - 2;
    const y = Math.round((top + lane * high + 3) * ratio), rows = Math.round((high - 6) * ratio);
    const { data } = canvas.getContext('2d').getImageData(left, y, right - left, rows);
    return { width: right - left, height: rows, alpha: [...data].filter((_, at) => at % 4 === 3) }; }"""


def lane_of(person, frames, lane=0):
    """Return where something is painted inside the lane in these frames; colours are left out."""
    found = person.page.evaluate(
        LANE, [lane, frames.start, frames.stop, NUM_FRAMES, LANE_TOP, LANE_HEIGHT, GUTTER]
    )
    return np.reshape(found["alpha"], (found["height"], found["width"])) > 100


def test_a_lane_shows_score_and_state_by_shape_as_well_as_by_colour(person, studio, video):
    project = {
        **{"format": "starktrack studio", "version": 1, "video": video.name, "size_hw": list(SIZE_HW)},
        **{"num_frames": NUM_FRAMES, "next_id": 2},
        "targets": [
            {"id": 0, "name": "square", "colour": "#0072b2", "entries": ENTRIES},
            {"id": 1, "name": "other", "colour": "#d55e00", "entries": ENTRIES[::-1]},
        ],
    }
    (studio.folder / f"{video.name}.starktrack.json").write_text(json.dumps(project))
    person.open(studio.address, video)
    person.page.wait_for_function("document.querySelectorAll('#targets li').length === 2")
    person.go(NUM_FRAMES - 1)  # the line of the frame that is shown stands elsewhere
    person.page.wait_for_timeout(300)
    shapes = {name: lane_of(person, frames) for name, (frames, *_) in FRAMES.items()}
    for name, shape in shapes.items():
        other = lane_of(person, FRAMES[name][0], lane=1)
        assert np.array_equal(other, shape), f"{name} must have the same shape in every colour"
    high = {name: shape.any(axis=1).sum() for name, shape in shapes.items()}
    filled = {name: shape.mean() for name, shape in shapes.items()}
    assert filled["gap"] == 0
    # A bar is as high as its score.
    assert shapes["tracked"].any(axis=0).all() and high["tracked"] > 9
    assert 3 <= high["tracked with a low score"] <= high["tracked"] - 5
    # Stripes, a dotted line, a line in the middle, a diamond, a cross.
    stripes = np.diff(shapes["uncertain"][-4].astype(int))
    assert (stripes == 1).sum() > 20 and 0.2 < filled["uncertain"] < 0.7
    dots = np.diff(shapes["lost"][-1].astype(int))
    assert (dots == 1).sum() > 10 and high["lost"] < high["tracked with a low score"]
    middle = shapes["interpolated"].shape[0] // 2
    assert shapes["interpolated"][middle].all() and not shapes["interpolated"][[0, 1, -2, -1]].any()
    # A key box cuts a gap into its bar around the diamond.
    cuts = np.flatnonzero(np.diff(shapes["key"][middle].astype(int)))
    assert len(cuts) == 4 and 5 < cuts[2] - cuts[1] < 12
    assert 2 < np.ptp(np.flatnonzero(shapes["not visible"][middle - 2])) < 8
    # Any two differ in a twentieth of their pixels, without their colour.
    width = min(shape.shape[1] for shape in shapes.values())
    for (one, a), (two, b) in itertools.combinations(shapes.items(), 2):
        assert (a[:, :width] != b[:, :width]).mean() > 0.05, (one, two)
    # And the states are said in words: over the frame, and to those who hear the page.
    person.press("1")
    for name, word in (
        ("tracked", "tracked"),
        ("uncertain", "uncertain"),
        ("lost", "lost"),
        ("gap", "no box"),
    ):
        person.go(FRAMES[name][0].start + 1)
        person.page.wait_for_function(
            "(word) => document.getElementById('timeline').getAttribute('aria-valuetext').includes(word)",
            arg=word,
        )


WATCH_THE_LAYOUT = """() => { window.heights = new Set(); window.picture = document.getElementById('picture');
    new MutationObserver(() => heights.add(picture.clientHeight))
      .observe(document.getElementById('speed'), { childList: true }); }"""


def test_tracking_ends_at_the_next_key_box_where_asked(person, studio, video):
    person.open(studio.address, video)
    for frame in (NUM_FRAMES - 1, 12, 0):
        person.go(frame)
        person.draw(frame)
        wait_for_rows(video, lambda now, frame=frame: frame in now)
    keys = {frame: row for frame, row in wait_for_rows(video, lambda now: len(now) == 3).items()}
    person.page.get_by_label("to the next key box").check()
    person.page.evaluate(WATCH_THE_LAYOUT)
    person.track()
    # What is said of the tracking moves nothing.
    assert person.page.evaluate("[...heights]") == [person.page.evaluate("picture.clientHeight")]
    rows = wait_for_rows(video, lambda now: len(now) >= 14)
    assert sorted(rows) == [*range(13), NUM_FRAMES - 1]
    assert [frame for frame, row in rows.items() if row[1] == TRACKED] == list(range(1, 12))
    person.go(NUM_FRAMES - 1)
    person.track("r")
    rows = wait_for_rows(video, lambda now: len(now) == NUM_FRAMES)
    assert {frame: rows[frame] for frame in keys} == keys
    # Without it the same target is tracked on, past a key box, which stays.
    person.go(13)
    person.page.locator("#clear-box").click()
    person.page.get_by_label("to the next key box").uncheck()
    wait_for_rows(video, lambda now: 13 not in now)
    person.go(0)
    person.track()
    rows = wait_for_rows(video, lambda now: len(now) == NUM_FRAMES)
    assert rows[13][1] == TRACKED and {frame: rows[frame] for frame in keys} == keys
    assert person.troubles == []
