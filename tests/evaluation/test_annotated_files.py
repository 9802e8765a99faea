"""Results and truth in every format of `starktrack.interchange` score as those in text files do."""

import json

import numpy as np
import pytest

from starktrack import interchange
from starktrack.errors import AnnotationError, DatasetError, ResultFileError
from starktrack.evaluation.result_files import read_results
from starktrack.evaluation.truth import open_truth
from starktrack.interchange import Observation, Rectangle, Track, VideoTracks
from starktrack.workflows.report import report

LENGTH, ABSENT = 30, (7, 8, 20)
FORMS = [
    (each.name, suffix)
    for each in interchange.FORMATS.values()
    for suffix in each.suffixes
    # Toolkits score OTB's boxes as they stand in their files, so that is what results and truth do.
    if each.name != "otb"
]


def boxes_of(seed, noise):
    """Boxes that wander, with a few frames without any; quarters of pixels, which sums of floats keep exactly."""
    truth = np.array([60.0, 70, 40, 30]) + np.random.default_rng(seed).normal(0, 1, (LENGTH, 4)).cumsum(0)
    boxes = np.round(4 * (truth + np.random.default_rng(seed + 9).normal(0, noise, truth.shape))) / 4
    boxes[list(ABSENT)] = np.nan
    return boxes


def write_boxes(folder, name, boxes):
    folder.mkdir(exist_ok=True)
    np.savetxt(folder / f"{name}.txt", boxes, fmt="%.3f", delimiter=",")


def write(place, format_name, *targets):
    """Write the boxes of targets, which are numbered in their order."""
    place.parent.mkdir(exist_ok=True)
    tracks = tuple(
        Track(
            number,
            "duck",
            tuple(
                Observation(frame, Rectangle(tuple(row)))
                for frame, row in enumerate(boxes.tolist())
                if row[2] > 0
            ),
        )
        for number, boxes in enumerate(targets)
    )
    interchange.write(place, VideoTracks(tracks, "", (240, 320), LENGTH, 25.0), format_name)


def scores(results, truth):
    found = json.loads(report({"ours": results}, truth, dataset="custom").json)["trackers"]["ours"]
    return np.array([*found["measures"].values(), *found["curves"]["success"], *found["curves"]["precision"]])


@pytest.fixture
def expected(tmp_path):
    """The scores of text files of two videos."""
    for seed in (1, 2):
        write_boxes(tmp_path / "truth", f"pond_{seed}", boxes_of(seed, 0))
        write_boxes(tmp_path / "text", f"pond_{seed}", np.nan_to_num(boxes_of(seed, 4)))
    found = scores(tmp_path / "text", tmp_path / "truth")
    assert 0.5 < found[0] < 0.7
    return found


def test_the_sweep_covers_every_format_but_otb():
    assert {name for name, _ in FORMS} == set(interchange.FORMATS) - {"otb"}
    assert len(FORMS) == 17


@pytest.mark.parametrize(("format_name", "suffix"), FORMS)
def test_results_in_every_format_give_the_numbers_of_text_files(expected, tmp_path, format_name, suffix):
    for seed in (1, 2):
        write(tmp_path / "ours" / f"pond_{seed}{suffix}", format_name, boxes_of(seed, 4))
        # The size of the frames, which YOLO and Label Studio need, is in this truth.
        write(tmp_path / "sized" / f"pond_{seed}.xml", "cvat", boxes_of(seed, 0))
    assert scores(tmp_path / "ours", tmp_path / "sized") == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("format_name", "suffix"), [form for form in FORMS if form[0] not in ("yolo", "label_studio")]
)
def test_truth_in_every_format_gives_the_numbers_of_text_files(expected, tmp_path, format_name, suffix):
    for seed in (1, 2):
        write(tmp_path / "annotated" / f"pond_{seed}{suffix}", format_name, boxes_of(seed, 0))
    assert scores(tmp_path / "text", tmp_path / "annotated") == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("format_name", "suffix"), [("csv", ".csv"), ("mot", ".txt"), ("coco", ".json")])
def test_targets_of_one_video_are_sequences_with_their_number(expected, tmp_path, format_name, suffix):
    write(tmp_path / "both" / f"pond{suffix}", format_name, *(boxes_of(seed, 4) for seed in (0, 1, 2)))
    assert scores(tmp_path / "both", tmp_path / "truth") == pytest.approx(expected, abs=1e-5)


def test_a_file_of_results_is_scored_against_a_file_of_truth(expected, tmp_path):
    write(tmp_path / "a" / "pond.csv", "csv", boxes_of(1, 4), boxes_of(2, 4))
    write(tmp_path / "b" / "pond.xml", "cvat", boxes_of(1, 0), boxes_of(2, 0))
    found = scores(tmp_path / "a" / "pond.csv", tmp_path / "b" / "pond.xml")
    assert found == pytest.approx(expected, abs=1e-5)
    assert list(open_truth("custom", tmp_path / "b" / "pond.xml").names) == ["pond_0", "pond_1"]


def test_truth_of_one_folder_may_mix_formats(tmp_path):
    write_boxes(tmp_path / "truth", "plain", boxes_of(1, 0))
    for number, form in enumerate(("mot", "voc", "got10k")):
        write(tmp_path / "truth" / form, form, boxes_of(number, 0))
    truth = open_truth("custom", tmp_path / "truth")
    assert list(truth.names) == ["got10k", "plain", "mot", "voc"]
    assert truth["mot"].boxes_xywh[0] == pytest.approx(boxes_of(0, 0)[0], abs=1e-6)
    assert np.flatnonzero(~truth["mot"].visible).tolist() == list(ABSENT)
    assert truth["voc"].benchmark.resolution_wh == (320, 240)


def test_what_is_no_annotation_of_a_sequence_is_left_alone(tmp_path):
    write_boxes(tmp_path / "ours", "a", boxes_of(1, 0))
    (tmp_path / "ours" / "run.json").write_text("{broken")
    (tmp_path / "ours" / "notes.xml").write_text("<notes/>")
    (tmp_path / "ours" / "stages").mkdir()
    (tmp_path / "ours" / "stages" / "a.json").write_text('{"frames": 30}')
    assert len(read_results(tmp_path / "ours", ["a"]).boxes_xywh["a"]) == LENGTH


@pytest.mark.parametrize(
    ("files", "names", "error", "message"),
    [
        (
            ("a.csv", "a.json"),
            ["a"],
            ResultFileError,
            r"one file per sequence, got .*a\.csv and .*a\.json for a",
        ),
        (
            ("a.csv", "a.txt"),
            ["a"],
            ResultFileError,
            r"one file per sequence, got .*a\.txt and .*a\.csv for a",
        ),
        (("a.csv",), ["a_4"], ResultFileError, r"a\.csv must hold the target 4, got the targets 0, 1"),
        (("a.csv",), ["a"], ResultFileError, r"a\.csv must hold one target, got the targets 0, 1; name"),
        (("a.csv",), ["b"], ResultFileError, "got none of its names"),
    ],
)
def test_results_that_fit_no_sequence_are_named(tmp_path, files, names, error, message):
    for file in files:
        if file.endswith(".txt"):
            write_boxes(tmp_path / "ours", "a", boxes_of(1, 0))
        else:
            write(tmp_path / "ours" / file, None, boxes_of(1, 0), boxes_of(2, 0))
    with pytest.raises(error, match=message):
        read_results(tmp_path / "ours", names)


def test_damage_and_a_missing_size_are_named(tmp_path):
    write(tmp_path / "ours" / "a.csv", "csv", boxes_of(1, 0))
    with (tmp_path / "ours" / "a.csv").open("a") as file:
        file.write("30,,0,x,1,1,1,,,\n")
    with pytest.raises(AnnotationError, match=r"a\.csv line 29"):
        read_results(tmp_path / "ours", ["a"])
    write(tmp_path / "truth" / "a", "yolo", boxes_of(1, 0))
    with pytest.raises(AnnotationError, match="the size of the video must be known"):
        open_truth("custom", tmp_path / "truth")
    write(tmp_path / "twice" / "a.csv", "csv", boxes_of(1, 0))
    write_boxes(tmp_path / "twice", "a", boxes_of(1, 0))
    with pytest.raises(DatasetError, match=r"each sequence once, got a again in .*a\.csv"):
        open_truth("custom", tmp_path / "twice")
