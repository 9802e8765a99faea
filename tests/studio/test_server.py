"""The server by its requests: what the page asks, and what nobody may ask."""

import io
import json
import time
import zipfile

import pytest
from starlette.testclient import TestClient
from tests.studio.conftest import NUM_FRAMES, BrightTracker, decoded, rows_on_disk, true_box

from starktrack import interchange
from starktrack.data.video.random_access import RandomFrames
from starktrack.studio import pages as pages_module
from starktrack.studio.guard import Guard
from starktrack.studio.library import Library
from starktrack.studio.server import Studio, make_app

HOST = "127.0.0.1:8765"
HEADERS = {"host": HOST, "origin": f"http://{HOST}"}


def client_of(folder, *, token="", most_upload_bytes=10_000_000, tracker=BrightTracker):
    studio = Studio(Library(folder, most_upload_bytes=most_upload_bytes), store=None, make_tracker=tracker)
    app = Guard(make_app(studio), hosts=[HOST], token=token)
    return TestClient(app, base_url=f"http://{HOST}", headers=HEADERS)


class Page:
    """A socket that is read like a page reads it."""

    def __init__(self, socket):
        self.socket = socket
        self.seen = []

    def wait(self, is_wanted):
        while True:
            received = self.socket.receive()
            assert received["type"] == "websocket.send", received
            content = received.get("bytes")
            message = json.loads(received["text"]) if content is None else decoded(content)
            self.seen.append(message)
            if is_wanted(message):
                return message

    def ask(self, action, **values):
        self.socket.send_text(json.dumps({"action": action, "number": 7, **values}))
        return self.wait(lambda message: message.get("number") == 7)

    def boxes(self, target=0):
        rows = {}
        for message in self.seen:
            for block in message["blocks"] if message["type"] == "rows" else ():
                if block["target"] == target:
                    rows = {k: v for k, v in rows.items() if not block["first"] <= k <= block["last"]}
                    rows |= block["rows"]
        return rows

    def wait_for_rows(self, target=0):
        return self.wait(
            lambda message: (
                message["type"] == "rows"
                and any(each["target"] == target and each["rows"] for each in message["blocks"])
            )
        )


@pytest.fixture
def client(workplace):
    with client_of(workplace) as made:
        yield made


@pytest.fixture
def page(client):
    with client.websocket_connect("/api/socket?path=square.mp4") as socket:
        yield Page(socket)


def test_the_page_and_all_its_parts_come_from_here(client):
    text = client.get("/").text
    parts = [part.split('"')[0] for part in text.replace('href="', 'src="').split('src="')[1:]]
    assert len(parts) >= 3 and all(part.startswith("/static/") for part in parts)
    for part in [*parts, "/static/model.js", "/static/link.js", "/static/stage.js", "/static/timeline.js"]:
        answer = client.get(part)
        assert answer.status_code == 200, part
        assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_folders_list_videos_and_lead_nowhere_else(client, workplace, tmp_path):
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (workplace / "inside").mkdir()
    (workplace / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (workplace / "notes.txt").write_text("x")
    entries = client.get("/api/folder").json()["entries"]
    assert [(e["path"], e["kind"]) for e in entries] == [("inside", "folder"), ("square.mp4", "video")]
    for path in ("../secret.mp4", "link.mp4", "/etc/passwd", "..", "inside/../../secret.mp4", "a\0b"):
        for address in ("/api/folder", "/api/video"):
            answer = client.get(address, params={"path": path})
            assert answer.status_code == 400, (address, path)
            assert "secret" not in answer.text.replace(path, "")


def test_any_frame_comes_as_a_picture_of_the_size_that_is_shown(client, workplace):
    import cv2
    import numpy as np

    with RandomFrames(workplace / "square.mp4") as frames:
        for index in (0, 39, 7):
            answer = client.get(f"/api/frame?path=square.mp4&index={index}&width=0")
            assert answer.headers["content-type"] == "image/jpeg"
            image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            assert np.abs(image.astype(int) - frames.read(index)).mean() < 12
    small = client.get("/api/frame?path=square.mp4&index=3&width=80").content
    assert cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR).shape == (60, 80, 3)
    for index in ("40", "-1", "x", "1e3", "9" * 30, "٣"):
        answer = client.get("/api/frame", params={"path": "square.mp4", "index": index})
        assert answer.status_code == 400 and "index must be a whole number" in answer.json()["error"]


def test_pointing_tracking_correcting_and_undoing(page, workplace):
    page.wait(lambda message: message["type"] == "project")
    assert page.ask("add_target", frame=0, box_xywh=true_box(0), name="square")["result"] == 0
    page.ask("track", targets=[0], frame=0)
    page.wait(lambda message: message["type"] == "targets" and not message["tracking"])
    rows = page.boxes()
    assert sorted(rows) == list(range(NUM_FRAMES))
    assert all(abs(rows[f][4] - true_box(f)[0]) <= 2 for f in rows)
    assert page.ask("next_doubtful", after=0)["result"] == {"target": 0, "frame": 20}
    # A correction stays when it is tracked again, and what was before it stays too.
    page.ask("set_box", target=0, frame=30, box_xywh=[1, 1, 10, 10])
    page.ask("clear", target=0, first=31, last=39)
    page.ask("track", targets=[0], frame=20)
    page.wait(lambda message: message["type"] == "targets" and not message["tracking"])
    rows = page.boxes()
    assert rows[30][4:] == [1, 1, 10, 10] and rows[35][1] == 2 and len(rows) == NUM_FRAMES
    for _ in range(3):
        page.ask("undo")
    page.ask("undo")
    assert sorted(page.boxes()) == [0]
    page.wait(lambda message: message["type"] == "saved")
    assert [sorted(rows) for rows in rows_on_disk(workplace)] == [[0]]


def test_tracking_backward_ends_at_the_next_key_box_where_asked(page):
    page.ask("add_target", frame=30, box_xywh=true_box(30))
    page.ask("set_box", target=0, frame=25, box_xywh=true_box(25))
    page.ask("track", targets=[0], frame=30, direction="backward", to_next_key=True)
    page.wait(lambda message: message["type"] == "targets" and not message["tracking"])
    assert sorted(page.boxes()) == list(range(25, 31))


def test_a_tracker_can_be_paused_and_stopped_and_nothing_else_changes_meanwhile(workplace):
    class Slow(BrightTracker):
        delay = 0.03

    with (
        client_of(workplace, tracker=Slow) as client,
        client.websocket_connect("/api/socket?path=square.mp4") as socket,
    ):
        page = Page(socket)
        page.ask("add_target", frame=0, box_xywh=true_box(0))
        page.ask("track", targets=[0], frame=0)
        assert (
            "stop it before changing"
            in page.ask("set_box", target=0, frame=3, box_xywh=[1, 1, 5, 5])["message"]
        )
        page.ask("pause")
        time.sleep(0.2)
        at = page.wait(lambda message: message["type"] == "progress")["frame"]
        page.ask("stop")
        page.wait(lambda message: message["type"] == "targets" and not message["tracking"])
        assert at < NUM_FRAMES - 1 and len(page.boxes()) < NUM_FRAMES


def test_a_page_gets_the_frames_that_changed_before_the_answer(page):
    page.ask("add_target", frame=0, box_xywh=[1, 1, 5, 5])
    for action, values, changed in (
        ("set_box", {"frame": 9, "box_xywh": [2, 2, 5, 5]}, (9, 9)),
        ("interpolate", {"first": 0, "last": 9}, (1, 8)),
        ("undo", None, (1, 8)),
        ("rename", {"name": "square"}, None),
        ("set_box", {"frame": 9, "box_xywh": [2, 2, 5, 5]}, None),
    ):
        page.seen.clear()
        page.ask(action, **({} if values is None else {"target": 0, **values}))
        assert page.seen[-1]["type"] == "done"
        blocks = [block for message in page.seen if message["type"] == "rows" for block in message["blocks"]]
        assert [(block["first"], block["last"]) for block in blocks] == ([changed] if changed else [])


def test_two_pages_see_each_others_work(client):
    address = "/api/socket?path=square.mp4"
    with client.websocket_connect(address) as one, client.websocket_connect(address) as two:
        first, second = Page(one), Page(two)
        first.ask("add_target", frame=0, box_xywh=[1, 1, 5, 5])
        second.wait_for_rows()
        second.ask("set_box", target=0, frame=4, box_xywh=[2, 2, 5, 5])
        first.wait(lambda message: message["type"] == "rows" and message["blocks"][0]["first"] == 4)
        assert sorted(first.boxes()) == sorted(second.boxes()) == [0, 4]


def test_work_is_there_again_after_the_server_ended(workplace):
    with client_of(workplace) as client, client.websocket_connect("/api/socket?path=square.mp4") as socket:
        Page(socket).ask("add_target", frame=2, box_xywh=[1, 1, 5, 5], name="first")
    with client_of(workplace) as client, client.websocket_connect("/api/socket?path=square.mp4") as socket:
        page = Page(socket)
        page.wait_for_rows()
        assert page.seen[0]["targets"][0]["name"] == "first" and sorted(page.boxes()) == [2]


def exported(client, name):
    made = client.post("/api/export", params={"path": "square.mp4", "format": name})
    assert made.status_code == 200, made.text
    answer = client.get(f"/api/export/{made.json()['ticket']}")
    assert answer.status_code == 200 and made.json()["name"] in answer.headers["content-disposition"]
    return answer


@pytest.mark.parametrize("name", [name for name in interchange.FORMATS if name not in ("got10k", "otb")])
def test_every_format_that_is_exported_can_be_read_back(page, client, tmp_path, name):
    page.ask("add_target", frame=0, box_xywh=true_box(0), name="square")
    page.ask("track", targets=[0], frame=0)
    page.wait(lambda message: message["type"] == "targets" and not message["tracking"])
    answer = exported(client, name)
    file = tmp_path / answer.headers["content-disposition"].split('"')[1]
    file.write_bytes(answer.content)
    place = file
    if file.suffix == ".zip":
        place = tmp_path / "unzipped"
        zipfile.ZipFile(io.BytesIO(answer.content)).extractall(place)
        place = next(place.iterdir()) if len(list(place.iterdir())) == 1 else place
    video = interchange.read(place, name, size_hw=(120, 160))
    found = {each.frame: each.box_xywh for each in video.tracks[0].observations}
    assert len(found) == NUM_FRAMES and abs(found[39][0] - true_box(39)[0]) <= 3


def test_the_annotated_video_has_every_frame(page, client, tmp_path):
    page.ask("add_target", frame=0, box_xywh=true_box(0))
    answer = exported(client, "video")
    (tmp_path / "out.mp4").write_bytes(answer.content)
    with RandomFrames(tmp_path / "out.mp4") as frames:
        assert len(frames) == NUM_FRAMES


def test_annotations_are_read_as_new_targets(page, client):
    page.ask("add_target", frame=0, box_xywh=[1, 1, 5, 5])
    text = "1,1,11,21,20,20,1,-1,-1,-1\n2,1,13,22,20,20,1,-1,-1,-1\n"
    answer = client.post("/api/import?path=square.mp4&name=gt.txt", content=text)
    assert answer.json() == {"targets": 1}, answer.text
    page.wait_for_rows(1)
    assert sorted(page.boxes(1)) == [0, 1]
    bad = client.post("/api/import?path=square.mp4&name=gt.xml", content="<x>")
    assert bad.status_code == 400 and "gt.xml" in bad.json()["error"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"host": "evil.example:8765"}, "not the studio's"),
        ({"host": "127.0.0.1"}, "not the studio's"),
        ({"origin": "http://evil.example"}, "other pages"),
        ({"origin": "null"}, "other pages"),
        ({"origin": f"http://{HOST}.evil.example"}, "other pages"),
        ({"sec-fetch-site": "cross-site"}, "other pages"),
    ],
)
def test_foreign_hosts_and_pages_are_refused(client, changed, reason):
    answer = client.get("/api/folder", headers={**HEADERS, **changed})
    assert answer.status_code == 403 and reason in answer.text
    with (
        pytest.raises(Exception, match=r"1008|") as refused,
        client.websocket_connect("/api/socket?path=square.mp4", headers=changed),
    ):
        pass
    assert type(refused.value).__name__ in ("WebSocketDisconnect", "WebSocketDenialResponse")


def test_with_a_token_nothing_is_given_without_it(workplace):
    with client_of(workplace, token="sesame") as client:
        assert client.get("/").status_code == 403
        assert client.get("/?token=wrong").status_code == 403
        assert client.get("/?token=sesame").status_code == 200  # sets the cookie
        assert client.get("/api/folder").status_code == 200


def test_uploads_are_videos_whole_and_small_enough(client, workplace, square_clip):
    content = square_clip.read_bytes()
    answer = client.post("/api/upload", params={"name": "../../../my clip.mp4"}, content=content)
    assert answer.status_code == 200 and answer.json()["path"] == "my clip.mp4"
    assert client.post("/api/upload?name=my%20clip.mp4", content=content).json()["path"] == "my clip 2.mp4"
    before = sorted(path.name for path in workplace.iterdir())
    for name, body, message in (
        ("a.exe", content, "must be a video"),
        ("a.mp4", b"not a video", "must be a whole video"),
        ("a.mp4", b"", "empty file"),
        ("", content, "must be a video"),
        (f"{300 * 'n'}.mp4", content, "may have 200 bytes, got 304"),
        ("big.mp4", b"x" * 10_000_001, "may have 10000000 bytes"),
    ):
        refused = client.post("/api/upload", params={"name": name}, content=body)
        assert refused.status_code == 400 and message in refused.json()["error"], refused.text
    endless = client.post("/api/upload?name=endless.mp4", content=(b"x" * 1_000_000 for _ in range(100)))
    assert endless.status_code == 400 and "may have" in endless.json()["error"]
    assert sorted(path.name for path in workplace.iterdir()) == before


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        "{}",
        '{"action": "rm"}',
        '{"action": "__init__"}',
        '{"action": "add_target"}',
        '{"action": "add_target", "frame": 0, "box_xywh": "all"}',
        '{"action": "add_target", "frame": 0, "box_xywh": [1, 2, 3, NaN]}',
        '{"action": "set_box", "target": [], "frame": 0, "box_xywh": [1, 1, 2, 2]}',
        '{"action": "track", "targets": [0], "frame": 0}',
        '{"action": "track", "targets": {}, "frame": 0}',
        '{"action": "track", "targets": [], "frame": null}',
        '{"action": "next_doubtful", "after": []}',
        '{"action": "next_doubtful", "after": Infinity}',
        '{"action": "next_doubtful", "after": -1e9}',
        '{"action": "undo", "more": 1}',
        "[" * 100_000,
    ],
)
def test_malformed_messages_are_answered_with_an_error_and_nothing_else_happens(page, text):
    page.wait(lambda message: message["type"] == "whole")
    page.socket.send_text(text)
    assert page.wait(lambda message: True)["type"] == "error"
    assert page.ask("undo")["type"] == "done"


def test_bytes_in_place_of_text_close_that_socket_alone(client):
    with client.websocket_connect("/api/socket?path=square.mp4") as socket:
        socket.send_bytes(b"\0\1\2")
    assert client.get("/api/folder").status_code == 200


def test_hundreds_of_sockets_leave_the_server_up(client, monkeypatch):
    monkeypatch.setattr(pages_module, "MOST_SOCKETS", 3)
    sockets = [client.websocket_connect("/api/socket?path=square.mp4") for _ in range(5)]
    opened = [socket.__enter__() for socket in sockets]
    for socket in opened[:3]:
        assert socket.receive_json()["type"] == "project"
    for socket in opened[3:]:
        assert socket.receive()["code"] == 1013
    for socket in sockets:
        socket.__exit__(None, None, None)
    assert client.get("/api/folder").status_code == 200


def test_a_project_of_another_video_is_refused_with_what_to_do(client, workplace):
    (workplace / "square.mp4.starktrack.json").write_text("{}")
    answer = client.get("/api/video?path=square.mp4")
    assert answer.status_code == 400 and "move it away" in answer.json()["error"]
    assert (workplace / "square.mp4.starktrack.json").read_text() == "{}"
