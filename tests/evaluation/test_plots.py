import cv2
import numpy as np
import pytest
import typer
from tests.evaluation.made import sequence
from typer.testing import CliRunner

from starktrack.cli.plot import plot
from starktrack.errors import DatasetError
from starktrack.evaluation.dialects import dialect
from starktrack.evaluation.plots import (
    LABEL_SIZE,
    SpeedPoint,
    failure_window,
    label_corners,
    plot_curves,
    plot_sequence,
    plot_speed,
    worst_failures,
)
from starktrack.evaluation.scoring import evaluate

pytest.importorskip("matplotlib")
TRUTH = np.array([[40.0, 30, 30, 20]] * 50) + np.arange(50)[:, None] * [1, 0, 0, 0]


def picture(path):
    image = cv2.imread(str(path))
    assert image is not None
    return image


def has_colour(image, rgb):
    return bool((np.abs(image[..., ::-1].astype(int) - rgb).max(axis=-1) < 12).any())


def test_curves_are_drawn_in_a_colour_per_tracker(tmp_path):
    annotations = [sequence("a", TRUTH)]
    evaluations = [
        evaluate(name, "otb", {"a": TRUTH + shift}, annotations, dialect("stark"))
        for name, shift in (("near", 1.0), ("far", 6.0))
    ]
    for curve in ("success", "precision", "normalised"):
        plot_curves(evaluations, curve, tmp_path / f"{curve}.png")
        image = picture(tmp_path / f"{curve}.png")
        assert has_colour(image, (0, 114, 178))
        assert has_colour(image, (213, 94, 0))


def test_speed_is_drawn_even_for_a_single_tracker(tmp_path):
    plot_speed([SpeedPoint("STARK", 40.0, 66.4, ours=True)], tmp_path / "speed.svg")
    assert "<svg" in (tmp_path / "speed.svg").read_text()


def test_labels_of_many_trackers_in_one_place_do_not_cover_each_other():
    centres = np.array([[200.0 + 9 * (index % 3), 150.0 + 9 * (index // 3)] for index in range(6)])
    corners = label_corners(centres, [8.0] * 6, ["STARK-ST50"] * 6)
    apart = np.abs(corners[:, None] - corners[None]) >= np.array([10 * LABEL_SIZE[0], LABEL_SIZE[1]]) - 1e-9
    assert (apart.any(axis=-1) | np.eye(6, dtype=bool)).all()


def test_the_longest_failures_are_shown_in_order_of_time():
    overlap = np.ones(100)
    overlap[10:12] = overlap[40:60] = overlap[80:90] = 0.05
    assert worst_failures(overlap, 2) == [49, 84]
    assert worst_failures(overlap) == [10, 49, 84]


def test_without_failures_the_lowest_frames_apart_are_shown():
    overlap = np.linspace(1, 0.5, 100)
    assert worst_failures(overlap, 2) == [89, 99]


@pytest.mark.parametrize(
    ("boxes", "window"),
    [
        # 60 x 20 around (130, 60): twice 60 of 400 pixels is 0.3 of the width.
        ([[100, 50, 20, 20], [140, 50, 20, 20]], (70, 30, 190, 90)),
        # A small one: a quarter of each side.
        ([[198, 98, 4, 4]], (150, 75, 250, 125)),
        # At the border, and beyond: the window stays inside.
        ([[0, 0, 4, 4]], (0, 0, 100, 50)),
        ([[390, 190, 50, 50], [np.nan] * 4], (300, 150, 400, 200)),
        # Far apart, or nothing at all: everything.
        ([[0, 0, 9, 9], [390, 190, 9, 9]], (0, 0, 400, 200)),
        ([[np.nan] * 4], (0, 0, 400, 200)),
    ],
)
def test_the_part_of_a_picture_around_the_boxes_is_shown(boxes, window):
    found = failure_window([np.array(box, float) for box in boxes], (200, 400))
    np.testing.assert_allclose(found, window, atol=1e-9)


def test_failed_frames_are_shown_with_boxes(tmp_path):
    overlap = np.where(np.arange(50) // 10 == 2, 0.0, 0.9)
    plain = np.full((60, 120, 3), 90, np.uint8)
    boxes = {"truth": lambda index: TRUTH[index], "ours": lambda index: TRUTH[index] + 20}
    plot_sequence("Plain", {"ours": overlap}, tmp_path / "with.png", lambda index: plain, boxes)
    plot_sequence("Plain", {"ours": overlap}, tmp_path / "without.png")
    with_strip, without = picture(tmp_path / "with.png"), picture(tmp_path / "without.png")
    assert has_colour(with_strip, (90, 90, 90))
    assert with_strip.shape[0] > 1.3 * without.shape[0]


def test_one_sequence_of_more_trackers_than_colours_is_drawn(tmp_path):
    overlaps = {f"tracker {index}": np.full(4, index / 10) for index in range(10)}
    boxes = {name: lambda frame: np.array([1.0, 1, 5, 5]) for name in overlaps}
    path = tmp_path / "many.png"
    plot_sequence("a", overlaps, path, lambda frame: np.zeros((20, 20, 3), np.uint8), boxes)
    assert picture(path).std() > 10


def test_vot_curves_are_drawn(oracle_program, tmp_path):
    oracle_program("oracle_vot").write_workspace(tmp_path / "ws")
    app = typer.Typer()
    app.command()(plot)
    arguments = [str(tmp_path / "ws" / "results" / "Ours"), "--annotations", str(tmp_path / "ws")]
    arguments += ["--out", str(tmp_path / "out")]
    for dataset in ("vot2020", "vot2020lt"):
        done = CliRunner().invoke(app, [*arguments, "--dataset", dataset])
        assert done.exit_code == 0, done.exception
    drawn = {path.name: picture(path) for path in (tmp_path / "out").iterdir()}
    assert set(drawn) == {"vot2020_baseline.png", "vot2020lt_longterm.png"}
    assert all(image.std() > 10 for image in drawn.values())


def test_the_command_draws_curves_and_one_sequence(tmp_path):
    for folder, shift in (("truth", 0), ("ours", 2)):
        (tmp_path / folder).mkdir()
        np.savetxt(tmp_path / folder / "airplane-1.txt", TRUTH + shift, delimiter=",")
    np.savetxt(tmp_path / "ours" / "airplane-1_time.txt", np.full(50, 0.02))
    (tmp_path / "img").mkdir()
    for index in range(50):
        cv2.imwrite(str(tmp_path / "img" / f"{index:04d}.jpg"), np.full((60, 120, 3), 90, np.uint8))
    app = typer.Typer()
    app.command()(plot)
    arguments = [str(tmp_path / "ours"), "--dataset", "lasot", "--annotations", str(tmp_path / "truth")]
    arguments += ["--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    drawn = ["lasot_normalised.png", "lasot_precision.png", "lasot_speed.png", "lasot_success.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == drawn
    assert CliRunner().invoke(app, [*arguments, "--dataset", "trackingnet"]).exit_code == 0
    assert (tmp_path / "out" / "trackingnet_success.png").exists()
    assert CliRunner().invoke(app, [*arguments, "--dataset", "trackingnet", "--form", "svg"]).exit_code == 0
    # The axis names what stands for success in the data set's own toolkit: there it is not called AUC.
    assert "<!-- Success on trackingnet, % -->" in (tmp_path / "out" / "trackingnet_speed.svg").read_text()
    done = CliRunner().invoke(
        app, [*arguments, "--sequence", "airplane-1", "--frames", str(tmp_path / "img")]
    )
    assert done.exit_code == 0, done.exception
    assert picture(tmp_path / "out" / "airplane-1.png").shape[0] > 400
    done = CliRunner().invoke(app, [*arguments, "--sequence", "b"])
    assert isinstance(done.exception, DatasetError)
    done = CliRunner().invoke(app, [*arguments, "--form", "gif"])
    assert done.exit_code == 2


def test_a_result_shorter_than_the_truth_is_drawn_with_pictures(tmp_path):
    for folder, rows in (("truth", 50), ("short", 30)):
        (tmp_path / folder).mkdir()
        np.savetxt(tmp_path / folder / "a.txt", TRUTH[:rows], delimiter=",")
    (tmp_path / "img").mkdir()
    for index in range(50):
        cv2.imwrite(str(tmp_path / "img" / f"{index:04d}.jpg"), np.full((60, 120, 3), 90, np.uint8))
    app = typer.Typer()
    app.command()(plot)
    arguments = [str(tmp_path / "short"), "--dataset", "custom", "--annotations", str(tmp_path / "truth")]
    arguments += ["--out", str(tmp_path), "--sequence", "a", "--frames", str(tmp_path / "img")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.exception
    assert picture(tmp_path / "a.png").shape[0] > 400
