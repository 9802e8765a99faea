"""The wheel in a fresh environment without PyTorch, as `pip install starktrack` makes it, and then with extras."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from starktrack.data.formats.result_files import read_boxes
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.data.video.image_files import read_image
from starktrack.data.video.writer import VideoWriter
from starktrack.geometry.boxes import overlap, xywh_to_xyxy

ROOT = Path(__file__).resolve().parents[2]
NO_INDEX = ("error sending request", "dns error", "failed to lookup", "Could not connect", "Failed to fetch")


def clean_environment():
    """Return the variables of a shell that knows nothing of this checkout."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**kept, "COLUMNS": "160"}  # narrow tables fold names


def run(*command, cwd, allowed=(0,)):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode and Path(command[0]).name == "uv" and any(text in done.stderr for text in NO_INDEX):
        pytest.skip(f"the package index cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode in allowed, f"{command} gave {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return the folder of executables of an environment that holds the wheel and what it depends on."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("building the wheel needs uv; scripts/setup installs it")
    place = tmp_path_factory.mktemp("plain")
    run(uv, "build", "--wheel", "--out-dir", place / "dist", ROOT, cwd=place)
    (wheel,) = (place / "dist").glob("*.whl")
    run(uv, "venv", "--python", sys.executable, place / "env", cwd=place)
    binaries = next(path for name in ("bin", "Scripts") if (path := place / "env" / name).is_dir())
    run(uv, "pip", "install", "--python", binaries / "python", wheel, cwd=place)
    return binaries


def write_otb(folder, frames):
    (folder / "img").mkdir(parents=True)
    for number, frame in enumerate(frames, start=1):
        cv2.imwrite(str(folder / "img" / f"{number:04d}.jpg"), frame.image[..., ::-1])
    np.savetxt(folder / "groundtruth_rect.txt", [frame.box_xywh for frame in frames], delimiter=",")


def test_the_plain_install_has_no_torch_and_tracks_a_clip(installed, exported, tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", (240, 320), 30.0) as writer:
        for frame in synthetic_clip(10, size_hw=(240, 320)):
            writer.write(frame.image)
    listed = run(installed / "python", "-c", "import torch", cwd=tmp_path, allowed=(1,))
    assert "No module named 'torch'" in listed.stderr
    arguments = ("--box", "150,120,80,70", "--weights", exported, "--save", "boxes.csv", "--video", "out.mp4")
    run(installed / "starktrack", "track", "clip.mp4", *arguments, cwd=tmp_path)
    with (tmp_path / "boxes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    boxes = np.array([[float(row[name]) for name in ("x", "y", "w", "h")] for row in rows])
    assert boxes.shape == (10, 4) and np.isfinite(boxes).all()
    assert boxes[0].tolist() == [150, 120, 80, 70]
    assert (tmp_path / "out.mp4").stat().st_size > 1000


def test_the_plain_install_tracks_and_shows_the_demo_with_the_weights_of_the_package(installed, tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", (240, 320), 30.0) as writer:
        for frame in (clip := list(synthetic_clip(30, size_hw=(240, 320)))):
            writer.write(frame.image)
    box = ",".join(map(str, clip[0].box_xywh))
    run(installed / "starktrack", "track", "clip.mp4", "--box", box, "--save", "boxes.txt", cwd=tmp_path)
    run(installed / "starktrack", "track", "clip.mp4", "--box", box, "--masks", "masks", cwd=tmp_path)
    outlines = [read_image(path) for path in sorted((tmp_path / "masks").glob("*.png"))]
    # Most of the box of a made object is the object.
    shown = [
        (outline.max(axis=2) > 0).sum() / frame.box_xywh[2:].prod()
        for outline, frame in zip(outlines, clip, strict=True)
    ]
    assert min(shown) > 0.3 and max(shown) < 1.2
    found = overlap(
        *(
            xywh_to_xyxy(boxes)
            for boxes in (read_boxes(tmp_path / "boxes.txt"), np.stack([frame.box_xywh for frame in clip]))
        )
    )
    assert found.mean() > 0.6
    write_otb(tmp_path / "data" / "Bird1", clip[:5])
    asked = ("--root", "data", "--allow-missing", "--tracker", "stark_mobile", "--refine", "refine_mobile")
    scored = run(installed / "starktrack", "evaluate", "otb", *asked, cwd=tmp_path)
    assert "stark_mobile+refine_mobile" in scored.stdout
    shown = run(installed / "starktrack", "demo", cwd=tmp_path)
    found = re.search(r"tracked 240 frames, mean overlap (\S+), worst frame (\S+) \(7 labelled", shown.stdout)
    assert float(found[1]) > 0.7 and float(found[2]) > 0.5
    assert (tmp_path / "demo" / "tracked.mp4").stat().st_size > 1000
    assert "package│" in run(installed / "starktrack", "models", cwd=tmp_path).stdout


def test_what_needs_torch_names_the_extra(installed, tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"")
    with VideoWriter(tmp_path / "clip.mp4", (240, 320), 30.0) as writer:
        for frame in synthetic_clip(2, size_hw=(240, 320)):
            writer.write(frame.image)
    arguments = ("track", "clip.mp4", "--box", "150,120,80,70", "--weights", "weights.safetensors")
    refused = run(installed / "starktrack", *arguments, cwd=tmp_path, allowed=(1,))
    assert refused.stderr.startswith("error: running weights.safetensors needs the package torch")
    assert 'pip install "starktrack[torch]"' in refused.stderr


def test_the_studio_extra_goes_from_a_video_to_an_exported_track(installed, tmp_path):
    clip = list(synthetic_clip(20, size_hw=(240, 320)))
    with VideoWriter(tmp_path / "clip.mp4", (240, 320), 30.0) as writer:
        for frame in clip:
            writer.write(frame.image)
    command = (installed / "starktrack", "studio", "clip.mp4", "--no-browser", "--port", "0")
    refused = run(*command, cwd=tmp_path, allowed=(1,))
    assert 'pip install "starktrack[studio]"' in refused.stderr
    (wheel,) = (installed.parents[1] / "dist").glob("*.whl")
    run(
        shutil.which("uv"),
        "pip",
        "install",
        "--python",
        installed / "python",
        f"{wheel}[studio]",
        cwd=tmp_path,
    )
    with (tmp_path / "errors.txt").open("w") as errors:
        server = subprocess.Popen(
            [str(part) for part in command],
            cwd=tmp_path,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        first = server.stdout.readline()
        assert first.startswith("studio: http://127.0.0.1:"), (tmp_path / "errors.txt").read_text()
        assert server.stdout.readline() == "stop it with Ctrl-C\n"
        address = first.removeprefix("studio: ").strip()
        with httpx.Client(base_url=address, timeout=120) as page:
            exported = track_in_the_studio(page, address, clip[0].box_xywh.tolist())
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) in (0, 130), (tmp_path / "errors.txt").read_text()
    finally:
        server.kill()
        server.wait()
    rows = list(csv.DictReader(exported.splitlines()))
    assert [int(row["frame"]) for row in rows] == list(range(len(clip)))
    found = np.array([[float(row[name]) for name in ("x", "y", "w", "h")] for row in rows])
    true = np.stack([frame.box_xywh for frame in clip])
    assert overlap(xywh_to_xyxy(found), xywh_to_xyxy(true)).mean() > 0.6
    assert (tmp_path / "clip.mp4.starktrack.json").is_file() and not (tmp_path / "errors.txt").read_text()


def track_in_the_studio(page, address, box_xywh):
    """Return a track of clip.mp4 as CSV, made by what the page itself sends."""
    for part in sorted((ROOT / "src" / "starktrack" / "studio" / "static").iterdir()):
        answer = page.get("/" if part.name == "index.html" else f"/static/{part.name}")
        assert answer.status_code == 200 and answer.content == part.read_bytes(), part.name
    assert page.get("/api/folder").json()["first_video"] == "clip.mp4"
    assert page.get("/api/frame?path=clip.mp4&index=7&width=0").content[:3] == b"\xff\xd8\xff"
    socket_address = f"ws{address.removeprefix('http')}api/socket?path=clip.mp4"
    with connect(socket_address, origin=address.rstrip("/"), open_timeout=60) as socket:

        def wait(is_wanted):
            while True:
                content = socket.recv(timeout=120)
                if isinstance(content, str) and is_wanted(message := json.loads(content)):
                    return message

        def ask(number, action, **values):
            socket.send(json.dumps({"action": action, "number": number, **values}))
            answer = wait(lambda message: message.get("number") == number)
            assert answer["type"] == "done", answer
            return answer["result"]

        target = ask(1, "add_target", frame=0, box_xywh=box_xywh, name="thing")
        ask(2, "track", targets=[target], frame=0)
        wait(lambda message: message["type"] == "targets" and not message["tracking"])
    made = page.post("/api/export", params={"path": "clip.mp4", "format": "csv"}).json()
    return page.get(f"/api/export/{made['ticket']}").text


def test_the_openvino_extra_tracks_as_the_plain_install_does(installed, tmp_path):
    """Last in this file: it changes what the others would track with."""
    clip = list(synthetic_clip(8, size_hw=(240, 320)))
    with VideoWriter(tmp_path / "clip.mp4", (240, 320), 30.0) as writer:
        for frame in clip:
            writer.write(frame.image)
    box = ",".join(map(str, clip[0].box_xywh))
    track = (installed / "starktrack", "track", "clip.mp4", "--box", box, "--save")
    refused = run(*track, "none.txt", "--engine", "openvino", cwd=tmp_path, allowed=(1,))
    assert refused.stderr.startswith(
        "error: engine openvino needs the package openvino, which is not installed"
    )
    plain = run(*track, "onnx.txt", cwd=tmp_path)
    assert "(onnx, float32, cpu)" in plain.stderr
    (wheel,) = (installed.parents[1] / "dist").glob("*.whl")
    uv = shutil.which("uv")
    run(uv, "pip", "install", "--python", installed / "python", f"{wheel}[openvino]", cwd=tmp_path)
    faster = run(*track, "openvino.txt", cwd=tmp_path)
    assert "(openvino, float32, cpu)" in faster.stderr
    boxes = [read_boxes(tmp_path / name) for name in ("onnx.txt", "openvino.txt")]
    assert len(boxes[0]) == 8 and np.abs(boxes[0] - boxes[1]).max() < 0.01
    run(installed / "python", "-c", "import torch", cwd=tmp_path, allowed=(1,))
