"""Which reader of the package gets which inputs."""

import contextlib
import json
import random
import socket
from functools import cache
from pathlib import Path
from urllib.parse import quote

from scripts.fuzz import seeds, text_seeds
from scripts.fuzz.mutation import VALUES, mutate_text
from scripts.fuzz.runner import Kind
from tests.training.tiny import tiny_config

MOST_FRAMES = 300


def read_checkpoint(folder: Path, name: str, dice: random.Random) -> None:
    """Convert, resume from, or load and run the weights."""
    import numpy as np

    from starktrack.api import load
    from starktrack.models.official import convert_keys, recognise
    from starktrack.models.pickled import read_pickled
    from starktrack.models.weights import save_weights
    from starktrack.training.checkpoint import load_snapshot

    path = folder / name
    if name.endswith(".pth.tar"):
        state = convert_keys(read_pickled(path).state_dict)
        save_weights(folder.parent / "out" / "converted.safetensors", state, tiny_config())
        recognise(state)
    elif name.startswith("step-"):
        load_snapshot(path)
    else:
        engine = dice.choice(("onnx", "openvino")) if name.endswith(".onnx") else "torch"
        tracker = load(weights=path, device="cpu", engine=engine)
        image = np.zeros((48, 64, 3), np.uint8)
        tracker.start(image, (10, 10, 20, 20))
        tracker.update(image)


def read_video(folder: Path, name: str, dice: random.Random) -> None:
    """Read the frames in order, or some by their number."""
    from starktrack.data.frames import open_frames
    from starktrack.data.video.random_access import RandomFrames

    path = folder / name
    with _canary_port() as was_called:
        try:
            if dice.random() < 0.5:
                with open_frames(path, start_frame=dice.choice((0, 0, 3))) as frames:
                    for number, _ in enumerate(frames):
                        if number > MOST_FRAMES:
                            break
            else:
                with RandomFrames(path) as frames:
                    count = len(frames)
                    for index in (0, count - 1, count // 2, max(0, count - 2)):
                        frames.read(index)
        finally:
            if was_called():
                raise ConnectionError("the video made the reader open a connection")


@contextlib.contextmanager
def _canary_port():  # noqa: ANN202 - a function that says whether somebody connected
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", seeds.CANARY_PORT))
        listener.listen()
        listener.setblocking(False)

        def was_called() -> bool:
            with contextlib.suppress(BlockingIOError):
                listener.accept()
                return True
            return False

        yield was_called


def read_image(folder: Path, name: str, dice: random.Random) -> None:
    """Read the picture as a video, beside another, in a data folder, or as labels."""
    from starktrack.data.frames import open_frames
    from starktrack.data.sources import frames_on_disk
    from starktrack.data.sources.folders import Folder
    from starktrack.data.video.random_access import RandomFrames

    match dice.randrange(5):
        case 0:
            with open_frames(folder / name) as frames:
                for number, _ in enumerate(frames):
                    if number > MOST_FRAMES:
                        break
        case 1:
            with open_frames(folder) as frames:
                list(frames)
        case 2:
            with RandomFrames(folder / name) as frames:
                frames.read(len(frames) - 1)
        case 3:
            frames_on_disk.read_image(Folder(folder), name)
        case _:
            frames_on_disk.read_labels(Folder(folder), name)


def read_archive(folder: Path, name: str, dice: random.Random) -> None:
    """Check the data in the archive, and read every frame."""
    from starktrack.data.check import check
    from starktrack.data.sources.folders import open_folder
    from starktrack.data.sources.got10k import VIDEOS

    if dice.random() < 0.25:  # it tries every layout, which takes a second
        check(folder / name)
    for sequence in VIDEOS.open(open_folder(folder / name), "all"):
        for index in range(min(5, len(sequence.frames))):
            sequence.frames.read(index)


def read_annotations(folder: Path, name: str, dice: random.Random) -> None:
    """Read the file by its content or as the format that it is, write it in another, and read that."""
    from starktrack import interchange
    from starktrack.interchange.registry import FORMATS

    format_name, _, place = name.partition(":")
    path = folder / place
    if not path.exists():  # targets of a format of one target have a file each
        path = next(iter(sorted(folder.iterdir())))
    video = interchange.read(
        path, dice.choice((None, format_name or None)), size_hw=dice.choice((None, (16, 32))), frame_rate=25.0
    )
    target = FORMATS[dice.choice(sorted(FORMATS))]
    out = folder.parent / "out" / f"written{target.suffixes[0]}"
    for written in interchange.write(out, video, target.name):
        interchange.read(written, target.name, size_hw=(16, 32))


def read_data_set(folder: Path, name: str, dice: random.Random) -> None:
    """Check the folder, and read boxes, masks and facts of every sequence."""
    from starktrack.data.check import check
    from starktrack.data.sources import open_dataset
    from starktrack.data.sources.folders import open_folder
    from starktrack.data.sources.registry import SOURCES
    from starktrack.errors import DatasetError

    source = {"mot": "tracks"}.get(name, name)
    if dice.random() < 0.25:
        found = [(finding.dataset, finding.split) for finding in check(folder, dice.choice((None, source)))]
    else:
        splits = [*SOURCES[source].splits, *SOURCES[source].own_splits(open_folder(folder))]
        found = [(source, split) for split in splits if split != "*"]
    for dataset_name, split in found:
        with contextlib.suppress(DatasetError):  # the other splits are read all the same
            data_set = open_dataset(dataset_name, folder, split, allow_missing=True)
            for number in range(min(3, len(data_set))):
                sequence = data_set[number]
                if sequence.masks is not None:
                    sequence.masks.read(0)
                if len(sequence.frames):
                    sequence.frames.read(0)


def read_result(folder: Path, name: str, dice: random.Random) -> None:
    """Read the result as `report` and `evaluate` do."""
    from starktrack.data.formats.format_error import named_errors
    from starktrack.data.formats.region_bytes import decode_regions
    from starktrack.data.formats.regions import parse_region
    from starktrack.data.formats.result_files import read_boxes
    from starktrack.data.formats.result_folder import read_run_file
    from starktrack.errors import ResultFileError
    from starktrack.interchange import read
    from starktrack.workflows.report import report

    path = folder / name
    match name:
        case "boxes.txt":
            read_boxes(path)
        case "regions.txt":
            for line in path.read_bytes().decode("utf-8", "replace").splitlines():
                with named_errors(name, ResultFileError):
                    parse_region(line)
        case "regions.bin":
            with named_errors(name, ResultFileError):
                decode_regions(path.read_bytes())
        case "folder":
            report({"mine": folder / "results"}, folder / "data", dataset="otb")
        case "run":
            read_run_file(folder / "results")
        case _:
            read(path)


def read_settings(folder: Path, name: str, dice: random.Random) -> None:
    """Read a recipe, or put settings over one."""
    from starktrack.config.loading import override
    from starktrack.config.presets import stark_s50
    from starktrack.config.recipes import read_recipe

    if name == "settings":
        lines = (folder / "settings.txt").read_bytes().decode("utf-8", "replace").split("\n")
        override(dice.choice((stark_s50, tiny_config))(), [dice.choice(lines) for _ in range(3)])
    else:
        recipe = read_recipe(str(next(folder.iterdir())))
        override(recipe, [mutate_text("run.batch_size=8", dice), mutate_text("optim.lr=1e-3", dice)])


def read_manifest_file(folder: Path, name: str, dice: random.Random) -> None:
    """Read the rows of a manifest of videos."""
    from starktrack.data.formats.manifest import read_manifest

    for row in read_manifest(folder / name):
        _ = row.boxes_xywh


class StandingTracker:
    """Says that every target stays where it was."""

    def __init__(self) -> None:
        self.boxes: dict[int, list[float]] = {}

    def start(self, image: object, *, boxes_xywh: list) -> list[int]:
        """Begin with these boxes."""
        self.boxes = dict(enumerate(boxes_xywh))
        return list(self.boxes)

    def add(self, image: object, box_xywh: list) -> int:
        """Begin one more."""
        number = max(self.boxes, default=-1) + 1
        self.boxes[number] = box_xywh
        return number

    def remove(self, target_id: int) -> None:
        """End one."""
        del self.boxes[target_id]

    def update_all(self, image: object) -> dict[int, "Standing"]:
        """Return the boxes."""
        return {number: Standing(box) for number, box in self.boxes.items()}


class Standing:
    """What such a tracker answers."""

    score, state = 0.9, "tracked"

    def __init__(self, box_xywh: list) -> None:
        import numpy as np

        self.box_xywh = np.array(box_xywh, float)


def use_studio(folder: Path, name: str, dice: random.Random) -> None:
    """Open the folder in a studio and send what the file says."""
    from starlette.testclient import TestClient
    from starlette.websockets import WebSocketDisconnect

    from starktrack.studio.guard import Guard
    from starktrack.studio.library import Library
    from starktrack.studio.server import Studio, make_app

    host = "127.0.0.1:8765"
    work = folder.parent / "out"
    for path in folder.iterdir():
        path.rename(work / path.name)
    studio = Studio(Library(work, most_upload_bytes=100_000), store=None, make_tracker=StandingTracker)
    app = Guard(make_app(studio), hosts=[host], token="")
    headers = {"host": host, "origin": f"http://{host}"}
    with TestClient(app, base_url=f"http://{host}", headers=headers) as client:
        if name == "upload":
            content = (work / "clip.mp4").read_bytes()
            answer = client.post("/api/upload", params={"name": "new.mp4"}, content=content)
            if answer.status_code == 400:
                _must((work / "new.mp4").exists() is False, "a refused upload stays")
        elif name == "requests":
            for request in _objects(work / "requests.json"):
                query = request.get("query")
                query = query if isinstance(query, dict) else {}
                with contextlib.suppress(ValueError):  # no address at all: the client refuses it
                    path = quote(str(request.get("path", "/")), safe="/%:")  # as a browser would
                    if "post" in request:
                        client.post(
                            path, params=query, content=str(request["post"]).encode("utf-8", "replace")
                        )
                    else:
                        client.get(path, params=query)
        else:
            messages = _objects(work / "messages.json") if name == "messages" else [{"action": "undo"}]
            with (
                contextlib.suppress(WebSocketDisconnect),
                client.websocket_connect("/api/socket?path=clip.mp4") as page,
            ):
                for number, message in enumerate(messages):
                    if dice.random() < 0.3:
                        message = {**message, dice.choice(sorted(message) or ["x"]): dice.choice(VALUES)}
                    page.send_text(json.dumps({**message, "number": number}))
                    while (answer := page.receive())["type"] != "websocket.close":
                        text = answer.get("text")  # rows come as bytes
                        if text and (json.loads(text).get("number") == number or '"error"' in text):
                            break
                    if answer["type"] == "websocket.close":  # the project or the video was refused
                        break


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)


def _objects(path: Path) -> list[dict]:
    """Return the objects of a damaged list; nothing where it is no JSON any more."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return []
    return [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []


def _prepare_networks() -> None:
    import onnx  # noqa: F401
    import torch

    from starktrack.errors import CheckpointError
    from starktrack.models.official import recognise

    torch.set_num_threads(1)
    with contextlib.suppress(CheckpointError):
        recognise({})  # the published networks' shapes are remembered


def _prepare_readers() -> None:
    import cv2

    import starktrack.data.check
    import starktrack.data.video.random_access
    import starktrack.interchange
    import starktrack.workflows.report  # noqa: F401

    cv2.setNumThreads(1)


def _prepare_studio() -> None:
    _prepare_readers()

    import starktrack.studio.server  # noqa: F401


KINDS: dict[str, Kind] = {
    "checkpoints": Kind(cache(seeds.checkpoints), read_checkpoint, _prepare_networks),
    "videos": Kind(cache(seeds.videos), read_video, _prepare_readers),
    "images": Kind(cache(seeds.images), read_image, _prepare_readers),
    "archives": Kind(cache(seeds.archives), read_archive, _prepare_readers),
    "annotations": Kind(cache(text_seeds.annotations), read_annotations, _prepare_readers),
    "data": Kind(cache(text_seeds.data_sets), read_data_set, _prepare_readers),
    "results": Kind(cache(text_seeds.results), read_result, _prepare_readers),
    "manifests": Kind(cache(text_seeds.manifests), read_manifest_file),
    "recipes": Kind(cache(text_seeds.recipes), read_settings),
    "studio": Kind(cache(text_seeds.studio), use_studio, _prepare_studio),
}
"""The classes of inputs; another one is a line here, with its seeds and its reader."""
