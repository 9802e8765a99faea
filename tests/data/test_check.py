import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from starktrack.data.check import check
from starktrack.errors import DatasetError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_video(folder: Path, count: int = 3, text: str = "groundtruth.txt") -> None:
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        cv2.imwrite(str(folder / f"{number:08d}.png"), np.zeros((12, 16, 3), np.uint8))
    (folder / text).write_text("1,2,3,4\n" * count)


def write_coco(root: Path) -> None:
    (root / "annotations").mkdir(parents=True)
    (root / "train2017").mkdir()
    cv2.imwrite(str(root / "train2017" / "a.png"), np.zeros((12, 16, 3), np.uint8))
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 16, "height": 12}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 1, "name": "cup"}],
    }
    (root / "annotations" / "instances_train2017.json").write_text(json.dumps(content))


def test_a_complete_folder_is_recognised_and_counted(tmp_path):
    write_video(tmp_path / "data" / "cat", 3)
    write_video(tmp_path / "data" / "dog", 4)
    seen = []
    (finding,) = check(tmp_path / "data", progress=lambda *step: seen.append(step))
    assert (finding.dataset, finding.split) == ("videos", "all")
    assert (finding.num_found, finding.num_frames, finding.missing) == (2, 7, ())
    assert finding.meaning == "complete" and not finding.is_broken
    assert seen[-1] == ("videos all", 2, 2)


def test_a_published_layout_wins_over_the_plain_one_and_tells_what_is_missing(tmp_path):
    write_video(tmp_path / "GOT-10k_Val_000001")
    (finding,) = check(tmp_path)
    assert (finding.dataset, finding.split, finding.num_found) == ("got10k", "val", 1)
    assert len(finding.missing) == 179
    assert finding.meaning.startswith("incomplete") and not finding.is_broken


def test_a_folder_of_several_data_sets_is_checked_one_by_one(tmp_path):
    write_video(tmp_path / "own" / "cat")
    write_coco(tmp_path / "coco")
    findings = check(tmp_path)
    assert [(finding.dataset, finding.split, finding.num_found) for finding in findings] == [
        ("coco", "train2017", 1),
        ("videos", "all", 1),
    ]


def test_a_broken_line_and_a_broken_picture_are_named(tmp_path):
    for name in ("ant", "bee", "cow", "dog"):
        write_video(tmp_path / name)
    (tmp_path / "ant" / "groundtruth.txt").write_text("1,2,3,4\n1,2,3\n1,2,3,4\n")
    (tmp_path / "bee" / "00000002.png").write_bytes(b"no picture")
    (tmp_path / "cow" / "groundtruth.txt").write_text("0,0,0,0\n" * 3)
    (finding,) = check(tmp_path)
    assert finding.is_broken and finding.meaning.startswith("broken: 3 sequences")
    first, second, third = finding.problems
    assert "ant/groundtruth.txt line 2 must hold 4 numbers x,y,w,h (NaN for no target), got '1,2,3'" in first
    assert "bee/00000002.png must be a whole image" in second
    assert third == "cow shows its target in no frame"


@pytest.mark.parametrize(
    ("boxes", "problem"),
    [
        ("0.1,0.2,0.3,0.4", "cat has boxes between 0 and 1, which look like shares of its 16 x 12 pixels"),
        ("8,4,14,10", "cat has boxes that leave its 16 x 12 pixels as x,y,w,h, and look like two corners"),
        ("-1000,4,14,10", "cat has 3 of 3 boxes outside its 16 x 12 pixels, the first in frame 0"),
        (
            "1,2,3,4\n1,2,3,4\n16,4,14,10",
            "cat has 1 of 3 boxes outside its 16 x 12 pixels, the first in frame 2",
        ),
    ],
)
def test_boxes_that_do_not_fit_their_pictures_are_reported(tmp_path, boxes, problem):
    write_video(tmp_path / "cat")
    rows = boxes.split("\n")
    (tmp_path / "cat" / "groundtruth.txt").write_text("\n".join(rows if len(rows) == 3 else rows * 3) + "\n")
    (finding,) = check(tmp_path)
    assert finding.is_broken and len(finding.problems) == 1 and finding.problems[0].startswith(problem)


def test_a_lost_last_frame_is_named(tmp_path):
    write_video(tmp_path / "GOT-10k_Val_000001")
    (tmp_path / "GOT-10k_Val_000001" / "00000003.png").unlink()
    (finding,) = check(tmp_path)
    assert "00000003.png is missing; GOT-10k_Val_000001 has 3 annotated frames" in finding.problems[0]


def test_annotations_alone_are_no_fault_but_a_few_lost_videos_are(tmp_path):
    for number in (1, 2):
        write_video(tmp_path / f"GOT-10k_Val_{number:06d}")
    for picture in (tmp_path / "GOT-10k_Val_000001").glob("*.png"):
        picture.unlink()
    (finding,) = check(tmp_path)
    assert finding.is_broken and finding.num_bare == 1
    assert "00000001.jpg is missing; GOT-10k_Val_000001 has only its annotation" in finding.problems[0]
    shutil.rmtree(tmp_path / "GOT-10k_Val_000002")
    (finding,) = check(tmp_path)
    assert not finding.is_broken and finding.meaning.startswith("annotations only")


def test_a_coco_file_that_cannot_be_read_is_broken_not_unknown(tmp_path):
    write_coco(tmp_path)
    (tmp_path / "annotations" / "instances_train2017.json").write_text("{")
    (finding,) = check(tmp_path)
    assert finding.is_broken
    assert "instances_train2017.json is not valid JSON" in finding.problems[0]


def test_a_named_data_set_says_what_it_misses(tmp_path):
    with pytest.raises(DatasetError, match=r"must hold Annotations/480p to be DAVIS"):
        check(tmp_path, "davis")
    with pytest.raises(DatasetError, match="holds no sequence of LaSOT"):
        check(tmp_path, "lasot")
    with pytest.raises(DatasetError, match=r"unknown data set 'lasott'; did you mean 'lasot'\?"):
        check(tmp_path, "lasott")


def test_an_unknown_folder_says_which_layouts_are_known(tmp_path):
    with pytest.raises(DatasetError, match=r"layout of no known data set \(coco, lasot, .*name one"):
        check(tmp_path)


@pytest.mark.shared
def test_the_reference_folder_is_recognised_and_whole(shared):
    findings = check(shared / "data" / "eval")
    assert {finding.dataset for finding in findings} >= {"davis", "got10k", "otb", "tlp", "uav123", "vot"}
    assert not any(finding.is_broken for finding in findings)
