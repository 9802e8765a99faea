"""The wheel in a fresh environment without PyTorch, as `pip install starktrack` makes it."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from starktrack.data.formats.result_files import read_boxes
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.data.video.image_files import read_image
from starktrack.data.video.writer import VideoWriter
from starktrack.geometry.boxes import overlap, xywh_to_xyxy

ROOT = Path(__file__).resolve().parents[2]
NO_INDEX = ("error sending request", "dns error", "failed to lookup", "Could not connect", "Failed to fetch")


def run(*command, cwd, allowed=(0,)):
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    environment["COLUMNS"] = "160"  # narrow tables fold names
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
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


def test_the_openvino_extra_tracks_as_the_plain_install_does(installed, tmp_path):
    """Last in this file: it adds to the environment of the others."""
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
