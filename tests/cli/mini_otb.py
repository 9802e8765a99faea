"""Four OTB sequences whose target moves by two pixels a frame, trackers for them, and the command as people run it."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

TRACKERS = '''
import os, time
import numpy as np

class Still:
    def start(self, image, box_xywh):
        self.box = box_xywh
    def update(self, image):
        with open(os.environ["CALLS"], "a") as file:
            file.write("x")
        return self.box

class Right(Still):
    def update(self, image):
        self.box = self.box + [2, 0, 0, 0]
        return self.box

class Crashing(Still):
    """Crashes on the sequence whose frames are brightest."""
    def update(self, image):
        if image[-1, -1, 0] > 150:
            raise RuntimeError("lost my mind")
        return super().update(image)

class Slow(Still):
    def update(self, image):
        time.sleep(0.02)
        return super().update(image)

class Fails(Still):
    """Crashes on the brightest sequence where FAILS is set."""
    def update(self, image):
        if image[-1, -1, 0] > 150 and os.environ.get("FAILS"):
            raise RuntimeError("lost my mind")
        time.sleep(float(os.environ.get("SECONDS_A_FRAME", "0")))
        return super().update(image)

with open("pids", "a") as file:
    file.write(f"{os.getpid()}\\n")

# A process that starts late: it removes what earlier runs left after the others have done their share.
if os.environ.get("RANK") == "1":
    time.sleep(float(os.environ.get("LATE_SECONDS", "0")))

def deadly():
    os._exit(9)
'''

NAMES = ("Basketball", "Biker", "Bird1", "BlurBody")
LENGTHS = (6, 9, 4, 7)


def write(folder):
    """Write the sequences and the trackers below a folder, and return it."""
    for number, (name, length) in enumerate(zip(NAMES, LENGTHS, strict=True)):
        place = folder / "data" / name
        (place / "img").mkdir(parents=True)
        lines = []
        for index in range(length):
            image = np.full((48, 64, 3), 60 * number, np.uint8)
            image[10:22, 10 + 2 * index : 24 + 2 * index] = 255
            cv2.imwrite(str(place / "img" / f"{index + 1:04d}.jpg"), image)
            lines.append(f"{10 + 2 * index},10,14,12\n")
        (place / "groundtruth_rect.txt").write_text("".join(lines))
    (folder / "mine.py").write_text(TRACKERS)
    return folder


def command(*arguments):
    return [
        sys.executable,
        "-m",
        "starktrack",
        "evaluate",
        "otb",
        "--root",
        "data",
        "--allow-missing",
        *arguments,
    ]


def environment(work):
    source = Path(__file__).parents[2] / "src"
    return {**os.environ, "PYTHONPATH": str(source), "CALLS": str(work / "calls"), "COLUMNS": "200"}


def run(work, *arguments, **more):
    return subprocess.run(
        command(*arguments),
        cwd=work,
        env={**environment(work), **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def results(work, tracker):
    folder = work / "results" / "otb_test" / tracker
    return {name: (folder / f"{name}.txt").read_text() for name in NAMES if (folder / f"{name}.txt").exists()}
