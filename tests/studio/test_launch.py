"""What the command does before and around the server."""

import asyncio
import socket
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from starktrack.cli.main import app
from starktrack.errors import InputError
from starktrack.studio.launch import serve


@pytest.mark.parametrize(("name", "message"), [("a.csv", "the file 'a.csv'"), ("no.mp4", "is not there")])
def test_what_is_no_video_is_refused_before_the_server_starts(tmp_path, name, message):
    (tmp_path / "a.csv").write_text("frame,x\n")
    with pytest.raises(InputError, match=rf"the studio opens a video or a folder, got .*{message}"):
        serve(tmp_path / name, open_browser=False)


@pytest.mark.parametrize("opens", [True, False])
def test_the_page_is_served_on_this_machine_alone_and_opened_where_asked(tmp_path, monkeypatch, opens):
    import uvicorn

    served, opened, printed = [], [], []

    async def serve_shortly(_, sockets):
        served.extend(socket.getsockname() for socket in sockets)
        await asyncio.sleep(0.8)

    monkeypatch.setattr(uvicorn.Server, "serve", serve_shortly)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    # In a thread of its own: tests with a browser leave a running event loop in theirs.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(serve, tmp_path, port=0, open_browser=opens, notify=printed.append).result()
    ((host, port),) = served
    assert host == "127.0.0.1" and printed == [f"http://127.0.0.1:{port}/"]
    assert opened == (printed if opens else [])


def test_the_help_says_what_it_does_where_it_stores_and_how_to_stop_it():
    text = " ".join(CliRunner().invoke(app, ["studio", "--help"], env={"COLUMNS": "200"}).output.split())
    for words in (
        "draw boxes",
        "VIDEO.starktrack.json beside the video or in --store",
        "Stop it with Ctrl-C",
    ):
        assert words in text


def test_a_browser_may_connect_as_soon_as_the_address_is_printed(tmp_path, monkeypatch):
    import uvicorn

    async def not_yet(server, sockets):
        return None

    monkeypatch.setattr(uvicorn.Server, "serve", not_yet)
    connected = []

    def connect(address):
        with socket.create_connection(("127.0.0.1", urlsplit(address).port), timeout=5):
            connected.append(address)

    with ThreadPoolExecutor(1) as pool:  # the browser of other tests has a loop in this thread
        pool.submit(serve, tmp_path, port=0, open_browser=False, notify=connect).result()
    assert len(connected) == 1
