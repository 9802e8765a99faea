"""`evaluate` on a data set with its pictures and `report` on its annotations alone give the same numbers."""

import json
import shutil

import cv2
import numpy as np
import pytest

SIZE_HW = (60, 80)
DRIFTING = """
import numpy as np

class Drift:
    def start(self, image, box_xywh):
        self.box = np.array(box_xywh, float)
    def update(self, image):
        self.box = self.box + [1.5, 0.5, 0.25, 0]
        return self.box
"""


class Builder:
    """Writes pictures and text below a folder."""

    def __init__(self, root):
        self.root = root

    def pictures(self, pattern, numbers):
        for number in numbers:
            path = self.root / pattern.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((*SIZE_HW, 3), number % 256, np.uint8))

    def text(self, path, rows):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text("".join(f"{row}\n" for row in rows))


def moving(count, skip=()):
    """Rows of a box that moves; `skip` maps a frame to its own row."""
    rows = [f"{10 + index},{12 + index // 2},20,15" for index in range(count)]
    for index, row in dict(skip).items():
        rows[index] = row
    return rows


def lasot(build):
    build.pictures("cat/cat-1/img/{:08d}.jpg", range(1, 13))
    degenerate = {3: "0,0,0,0", 5: "20,14,0,15", 7: "0,15,20,15", 9: "-2,16,20,15"}
    build.text("cat/cat-1/groundtruth.txt", moving(12, degenerate))
    build.text("cat/cat-1/full_occlusion.txt", [",".join("000100000000")])
    build.text("cat/cat-1/out_of_view.txt", [",".join("000000000010")])


def got10k(build):
    build.pictures("val/GOT-10k_Val_000001/{:08d}.jpg", range(1, 9))
    build.text("val/GOT-10k_Val_000001/groundtruth.txt", moving(8, {4: "70,50,20,15"}))
    build.text("val/GOT-10k_Val_000001/cover.label", "88808888")
    build.text("val/GOT-10k_Val_000001/absence.label", "00010100")
    build.text("val/GOT-10k_Val_000001/meta_info.ini", ["[METAINFO]", "resolution: (80, 60)"])


def uav123(build):
    build.pictures("data_seq/UAV123/bird1/{:06d}.jpg", range(775, 783))
    build.text("anno/UAV123/bird1_2.txt", moving(8, {2: "NaN,NaN,NaN,NaN", 6: "NaN,NaN,NaN,NaN"}))


def otb(build):
    build.pictures("Tiger1/img/{:04d}.jpg", range(1, 15))
    build.text("Tiger1/groundtruth_rect.txt", moving(14))
    build.pictures("Jogging/img/{:04d}.jpg", range(1, 9))
    for number in (1, 2):
        build.text(f"Jogging/groundtruth_rect.{number}.txt", moving(8, {3: f"{number},9,9,9"}))


def nfs(build):
    build.pictures("car/30/car/{:05d}.jpg", range(1, 8))
    rows = [f'0 {10 + row / 8} 12 {30 + row / 8} 30 {row} {int(row == 16)} 0 0 "car"' for row in range(60)]
    build.text("car/30/car.txt", rows)


def nfs_packed(build):
    build.pictures("sequences/car/{:05d}.jpg", range(1, 8))
    build.text("anno/nfs_car.txt", [row.replace(",", "\t") for row in moving(7)])


def tc128(build):
    build.pictures("Bee_ce/img/{:04d}.jpg", range(5, 13))
    build.text("Bee_ce/Bee_ce_gt.txt", moving(8))
    build.text("Bee_ce/Bee_ce_frames.txt", ["5,12"])


def tlp(build):
    build.pictures("Drone1/img/{:05d}.jpg", range(1, 9))
    rows = [f"{index + 1},{row},{int(index == 4)}" for index, row in enumerate(moving(8))]
    build.text("Drone1/groundtruth_rect.txt", rows)


def davis(build):
    build.pictures("JPEGImages/480p/bear/{:05d}.jpg", range(8))
    (build.root / "Annotations/480p/bear").mkdir(parents=True)
    for number in range(8):
        mask = np.zeros(SIZE_HW, np.uint8)
        mask[10:30, 10 + number : 35 + number] = 0 if number == 5 else 255
        cv2.imwrite(str(build.root / f"Annotations/480p/bear/{number:05d}.png"), mask)


def trackingnet(build):
    build.pictures("TRAIN_0/frames/abc_0/{}.jpg", range(12))
    build.text("TRAIN_0/anno/abc_0.txt", moving(12))


def videos(build):
    build.pictures("fox/{:08d}.jpg", range(1, 9))
    build.text("fox/groundtruth.txt", moving(8, {5: "0,0,0,0"}))
    build.text("fox/absence.label", "00000100")


def notu(build):
    for name, make in {"otb": otb, "uav123": uav123, "nfs": nfs, "tc128": tc128}.items():
        make(Builder(build.root / name))


SETS = {
    "lasot": (lasot, None),
    "got10k": (got10k, "val"),
    "uav123": (uav123, None),
    "otb": (otb, None),
    "nfs": (nfs, None),
    "nfs packed": (nfs_packed, None),
    "tc128": (tc128, None),
    "tlp": (tlp, None),
    "davis": (davis, None),
    "trackingnet": (trackingnet, "train0"),
    "videos": (videos, None),
    "notu": (notu, None),
    "all": (notu, None),
}


@pytest.mark.parametrize("name", SETS)
def test_pictures_make_no_difference_to_the_scores(name, tmp_path, monkeypatch, starktrack):
    make, split = SETS[name]
    make(Builder(tmp_path / "data"))
    (tmp_path / "drifting.py").write_text(DRIFTING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    name = name.partition(" ")[0]
    options = ["--split", split] if split else []
    done = starktrack(
        "evaluate", name, "--root", "data", "--allow-missing", "--tracker", "drifting:Drift",
        "--json", "evaluated.json", *options,
    )  # fmt: skip
    assert done.code == 0, done.err
    (folder,) = (tmp_path / "results").iterdir()
    shutil.copytree("data", "bare", ignore=shutil.ignore_patterns("*.jpg"))
    reported = starktrack(
        "report", folder / "drifting.Drift", "--annotations", "bare", "--json", "reported.json"
    )  # the data set and its split are what the results say
    assert reported.code == 0, reported.err
    first, second = (
        json.loads((tmp_path / f"{kind}.json").read_text()) for kind in ("evaluated", "reported")
    )
    ours, theirs = first["trackers"]["drifting.Drift"], second["trackers"]["drifting.Drift"]
    assert ours["measures"] == theirs["measures"]
    assert ours["sequences"] == theirs["sequences"]
    assert (first["dialect"], first["dataset"]) == (second["dialect"], second["dataset"])
    main = next(iter(ours["measures"].values()))
    assert 0.1 < main < 0.98
