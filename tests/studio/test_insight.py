"""Outlines, masks and maps of the network; the annotated video in the names and colours that were chosen."""

import io
import json
import zipfile

import numpy as np
import pytest
from tests.studio.conftest import NUM_FRAMES, SIZE_HW, BrightTracker, true_box
from tests.studio.test_server import Page, client_of, exported

from starktrack.data.video.random_access import RandomFrames
from starktrack.studio import insight as insight_module
from starktrack.studio.insight import Insight
from starktrack.studio.outline import Outliner, outline_of
from starktrack.studio.project import Kind, Target

ADDRESS = "/api/socket?path=square.mp4"


@pytest.fixture
def client(workplace):
    with client_of(workplace) as made:
        yield made


@pytest.fixture
def page(client):
    with client.websocket_connect(ADDRESS) as socket:
        page = Page(socket)
        page.ask("add_target", frame=0, box_xywh=true_box(0), name="Süßes Ding", colour="#ff0000")
        yield page


def insight(client, **asked):
    return client.get("/api/insight", params={"path": "square.mp4", "target": 0, "index": 0, **asked})


def test_the_lines_around_a_mask_enclose_its_pixels():
    mask = np.zeros((40, 60), bool)
    mask[10:20, 5:25] = True
    (line,) = outline_of(mask)
    assert sorted(map(tuple, line)) == [(5, 10), (5, 19), (24, 10), (24, 19)]


def test_a_target_is_outlined_where_it_has_a_box(page, client):
    lines = insight(client, kind="outline").json()["outline"]
    points = np.concatenate(lines)
    x, y, w, h = true_box(0)
    assert np.abs(points.min(axis=0) - (x, y)).max() < 6
    assert np.abs(points.max(axis=0) - (x + w, y + h)).max() < 6
    refused = insight(client, kind="outline", index=3)
    assert refused.status_code == 400 and "must have a box in frame 3" in refused.json()["error"]


def test_masks_are_exported_for_every_frame_with_a_box(page, client):
    page.ask("set_box", target=0, frame=7, box_xywh=true_box(7))
    content = exported(client, "masks").content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = sorted(name.rsplit("/", 1)[-1] for name in archive.namelist())
    assert names == ["000000.png", "000007.png", "masks.json"]


def test_maps_of_the_network_lie_over_the_searched_window(square_clip, small_checkpoint):
    pytest.importorskip("torch")
    target = Target.empty(0, "square", "#000000", NUM_FRAMES)
    for frame in (0, 1):
        target.put(frame, Kind.KEY, true_box(frame))
    with RandomFrames(square_clip) as frames:
        found = Insight(small_checkpoint).maps(frames, target, 1)
    x, y, side = found["window"]
    bx, by, bw, bh = true_box(0)
    assert x < bx and y < by and x + side > bx + bw and y + side > by + bh
    assert {"attention", "top-left corner", "bottom-right corner"} <= set(found["maps"])
    for values in found["maps"].values():
        assert np.max(values) == 1 and np.min(values) >= 0 and len(values) == len(values[0])
    json.dumps(found)


def test_without_pytorch_the_maps_say_what_to_install(page, client, monkeypatch):
    monkeypatch.setattr(insight_module, "can_explain", lambda: False)
    refused = insight(client, kind="maps")
    assert refused.status_code == 400 and "starktrack[torch]" in refused.json()["error"]


@pytest.mark.parametrize(
    "asked", [{"kind": "weights"}, {"target": 9, "kind": "maps"}, {"index": 99, "kind": "outline"}]
)
def test_bad_questions_are_refused(page, client, asked):
    assert insight(client, **{"kind": "outline", **asked}).status_code == 400


def test_outlines_come_with_the_frames_where_a_refiner_is_chosen(workplace):
    class Outlining(BrightTracker):
        def update_all(self, image):
            found = super().update_all(image)
            for output in found.values():
                output.mask = image[..., 0] > 150
            return found

    with client_of(workplace, tracker=Outlining) as client, client.websocket_connect(ADDRESS) as socket:
        page = Page(socket)
        page.ask("add_target", frame=0, box_xywh=true_box(0))
        page.ask("track", targets=[0], frame=0)
        found = page.wait(lambda message: message["type"] == "progress" and message["outlines"])["outlines"]
        points = np.concatenate(found["lines"]["0"])
        x, y, w, h = true_box(found["frame"])
        assert (
            np.abs(points.min(axis=0) - (x, y)).max() < 4
            and np.abs(points.max(axis=0) - (x + w, y + h)).max() < 4
        )


def test_the_annotated_video_has_the_chosen_names_and_colours(page, client, tmp_path):
    page.ask("add_target", frame=0, box_xywh=[100, 60, 30, 30], name="other", colour="#00ff00")
    (tmp_path / "out.mp4").write_bytes(exported(client, "video").content)
    with RandomFrames(tmp_path / "out.mp4") as frames:
        assert len(frames) == NUM_FRAMES
        image = frames.read(0).astype(int)
    assert image.shape[:2] == SIZE_HW
    red, green = image[60:90, 98:103].mean(axis=(0, 1))[:2]
    assert green > red + 60
    x, y, _, h = true_box(0)
    red, green = image[y : y + h, x - 1 : x + 1].mean(axis=(0, 1))[:2]
    assert red > green + 60


def test_outlines_begin_from_a_recent_box():
    target = Target.empty(0, "square", "#000000", 100)
    for frame in range(90):
        target.put(frame, Kind.TRACKED, true_box(0))
    target.put(3, Kind.KEY, true_box(0))
    target.put(47, Kind.KEY, true_box(0))
    target.clear(slice(60, 65))
    frames = {frame: Outliner._template_frame(target, frame) for frame in (2, 3, 19, 20, 39, 46, 47, 55, 66)}
    assert frames == {2: 0, 3: 3, 19: 3, 20: 20, 39: 20, 46: 40, 47: 47, 55: 47, 66: 66}
