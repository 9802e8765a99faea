import json

import numpy as np
import pytest

from starktrack.data.formats.regions import Mask, Polygon, Rectangle, Special, format_region, run_lengths
from starktrack.errors import DatasetError, ResultFileError
from starktrack.evaluation.vot_anchors import RunScore, eao_curve, failure_index, score_anchors
from starktrack.evaluation.vot_longterm import confidence_thresholds, f_scores, score_longterm
from starktrack.evaluation.vot_regions import (
    is_empty,
    mask_region,
    parse_region,
    rasterise,
    rectangle_overlaps,
    region_overlap,
)
from starktrack.evaluation.vot_results import anchor_frames, read_run, read_sequences, run_path, write_run
from starktrack.evaluation.vot_scoring import score_unsupervised_results


@pytest.fixture(scope="module")
def numbers(golden_folder):
    return json.loads((golden_folder / "oracle_vot.json").read_text())


@pytest.fixture(scope="module")
def workspace(oracle_program, tmp_path_factory):
    root = tmp_path_factory.mktemp("vot") / "workspace"
    oracle_program("oracle_vot").write_workspace(root)
    return root


def read_anchor_run(workspace):
    results = workspace / "results" / "Ours"

    def read(sequence, anchor):
        path = run_path(results, "baseline", sequence.name, f"{anchor:08d}")
        return read_run(path, len(anchor_frames(sequence, anchor)))

    return read


def test_overlaps_of_regions_equal_the_toolkit(numbers, oracle_program):
    program = oracle_program("oracle_vot")
    pairs = program.region_pairs()
    ours = [
        region_overlap(parse_region(a, "a"), parse_region(b, "b"), program.REGION_SIZE_WH) for a, b in pairs
    ]
    np.testing.assert_allclose(ours, numbers["overlaps"], atol=1e-12)
    assert len(ours) == 600
    num_partial = sum(0 < overlap < 1 for overlap in ours)
    assert num_partial > 80


def test_accuracy_robustness_and_eao_equal_the_toolkit(numbers, workspace):
    score = score_anchors(read_sequences(workspace), read_anchor_run(workspace), (15, 60))
    assert score.eao == pytest.approx(numbers["eao"], abs=1e-9)
    assert score.accuracy == pytest.approx(numbers["accuracy"], abs=1e-9)
    assert score.robustness == pytest.approx(numbers["robustness"], abs=1e-9)
    np.testing.assert_allclose(score.eao_curve, numbers["eao_curve"], atol=1e-9)
    assert 0 < score.robustness < 1


def test_longterm_scores_equal_the_toolkit(numbers, workspace):
    sequences = read_sequences(workspace)
    results = workspace / "results" / "Ours"
    runs = {s.name: read_run(run_path(results, "longterm", s.name, "001"), len(s)) for s in sequences}
    score = score_longterm(sequences, runs)
    best = [score.precision, score.recall, score.f_score]
    np.testing.assert_allclose(best, numbers["precision_recall_f"], atol=1e-9)
    curve = np.stack([score.recall_curve, score.precision_curve], axis=1)
    np.testing.assert_allclose(curve, numbers["recall_precision_curve"], atol=1e-9)
    np.testing.assert_allclose(score.f_curve, numbers["f_curve"], atol=1e-9)


def test_unsupervised_accuracy_equals_the_toolkit(numbers, workspace):
    sequences = read_sequences(workspace)
    score = score_unsupervised_results(sequences, workspace / "results" / "Ours")
    assert score.accuracy == pytest.approx(numbers["unsupervised_accuracy"], abs=1e-9)
    assert set(score.sequence_accuracy) == {"boxes", "polygons", "masks", "absent"}


def test_a_binary_run_is_read_as_the_text_one(workspace, tmp_path):
    path = run_path(tmp_path, "baseline", "boxes", "00000000")
    path.parent.mkdir(parents=True)
    header = bytes.fromhex("010002000000" + "0001000000")
    path.with_suffix(".bin").write_bytes(header + bytes.fromhex("010000c03f000000400000404000008040"))
    run = read_run(path, 2)
    assert [format_region(region) for region in run.regions] == ["1", "1.5000,2.0000,3.0000,4.0000"]


def box(*values):
    return Rectangle(np.array(values, float))


def test_a_rectangle_moves_by_whole_pixels():
    assert region_overlap(box(0, 0, 10, 10), box(0.4, 0, 10, 10), (40, 30)) == 1
    assert region_overlap(box(0, 0, 10, 10), box(0.6, 0, 10, 10), (40, 30)) == pytest.approx(90 / 110)


def test_only_pixels_inside_the_image_count():
    assert region_overlap(box(-5, 0, 10, 10), box(0, 0, 10, 10), (40, 30)) == pytest.approx(0.5)


def test_many_rectangles_at_once_equal_one_by_one():
    rng = np.random.default_rng(2)
    a, b = rng.uniform([-8, -8, 0, 0], [40, 30, 14, 14], (2, 400, 4))
    one_by_one = [region_overlap(box(*x), box(*y), (36, 26)) for x, y in zip(a, b, strict=True)]
    np.testing.assert_array_equal(rectangle_overlaps(a, b, (36, 26)), one_by_one)


def test_a_polygon_includes_its_outline():
    square = Polygon(np.array([[1.0, 1], [4, 1], [4, 3], [1, 3]]))
    assert rasterise(square, (0, 0, 5, 4)).sum() == 4 * 3


def painted(points, width, height):
    pixels = rasterise(Polygon(np.array(points, float)), (0, 0, width - 1, height - 1))
    return ["".join(".#"[pixel] for pixel in row) for row in pixels.astype(int)]


def test_a_slanted_edge_falls_on_the_column_before_it():
    # Row 1 meets the edges at 0 and 1.5.
    assert painted([(0, 0), (3, 0), (0, 2)], 4, 3) == ["####", "##..", "#..."]


def test_an_edge_less_than_a_pixel_left_of_the_window_falls_on_its_first_column():
    # Row 1 meets the first line at -0.5 and the second at -1.5.
    assert painted([(-1, 0), (0, 2), (-1, 0)], 2, 3) == ["..", "#.", "#."]
    assert painted([(-3, 0), (0, 2), (-3, 0)], 2, 3) == ["..", "..", "#."]


def test_a_column_that_rounding_leaves_below_the_whole_is_the_one_before():
    # 15 / 22 * 22 is 14.999999999999998, measured from the upper end; from the lower end row 15 meets 15.
    rows = painted([(22, 22), (0, 0), (22, 22)], 23, 23)
    assert rows[14] == "." * 14 + "#" + "." * 8
    assert rows[15] == "." * 14 + "##" + "." * 7


def test_two_crossings_in_one_column_start_a_span_there():
    # Row 0 meets 1, 1, 3, 3; row 1 meets 0.5, 1.5, 2.5, 3.5; row 2 meets 0, 0, 2, 2, 4.
    assert painted([(0, 2), (1, 0), (2, 2), (3, 0), (4, 2)], 5, 3) == [".###.", "####.", "#####"]


def test_a_level_edge_counts_in_its_second_point():
    points = [(0, 0), (1, 0), (1, 2), (3, 2), (3, 0), (5, 0), (5, 3), (0, 3)]
    # Rows 0 and 2 meet 0, 1, 1, 3, 5, 5 and 0, 1, 3, 3, 5; the other way round 0, 0, 1, 3, 3, 5 and 0, 1, 1, 3, 5.
    assert painted(points, 6, 4) == ["####.#", "##.###", "##.###", "######"]
    assert painted(points[::-1], 6, 4) == ["##.###", "##.###", "####..", "######"]


def test_a_polygon_without_area_is_its_points_on_each_row():
    assert painted([(1, 1)] * 3, 3, 3) == ["...", ".#.", "..."]
    assert painted([(0, 0), (4, 2), (0, 0)], 5, 3) == ["#....", "..#..", "....#"]
    # All three edges are level and meet 0, 2, 4: the last crossing has no partner.
    assert painted([(0, 0), (4, 0), (2, 0)], 5, 1) == ["###.."]


def test_points_move_to_the_nearest_pixel_and_halves_to_the_even_one():
    assert painted([(0.5, 0.4), (2.5, 0.4), (2.5, 1.6), (0.5, 1.6)], 4, 3) == ["###."] * 3


def test_codes_are_empty_and_equal_each_other_only():
    assert region_overlap(Special(1), box(3, 3, 9, 9), (40, 30)) == 0
    assert region_overlap(Special(1), Special(0), (40, 30)) == 1
    assert [is_empty(region) for region in (Special(0), box(0, 0, 0, 4), box(0, 0, 1, 4))] == [
        True,
        True,
        False,
    ]


def test_run_lengths_start_with_the_number_of_pixels_outside():
    assert run_lengths(np.array([[True, True], [False, True]])) == [0, 2, 1, 1]
    assert run_lengths(np.zeros((2, 2), bool)) == [4]


@pytest.mark.parametrize(
    "line",
    ["1", "1.0000,2.5000,3.0000,4.0000", "1.0000,2.0000,3.0000,4.0000,5.0000,0.0000", "m3,1,2,2,0,1,1,2"],
)
def test_a_region_survives_writing_and_reading(line):
    assert format_region(parse_region(line, "x")) == line


def test_a_mask_keeps_its_place_when_its_margin_is_cut():
    pixels = np.zeros((6, 8), bool)
    pixels[2:4, 3:7] = True
    mask = mask_region(pixels)
    assert isinstance(mask, Mask)
    assert (mask.corner_xy, mask.pixels.shape) == ((3, 2), (2, 4))
    np.testing.assert_array_equal(rasterise(mask, (0, 0, 7, 5)), pixels)


def test_an_absent_truth_is_a_code():
    assert parse_region("nan,nan,nan,nan", "x") == Special(0)


def test_malformed_regions_name_the_file():
    with pytest.raises(ResultFileError, match=r"here must be a mask, a polygon, a box or a code, got '1;2'"):
        parse_region("1;2", "here")
    with pytest.raises(ResultFileError, match="here must be a mask"):
        parse_region("1,2,3", "here")


def test_ten_bad_frames_on_end_are_a_failure_and_nine_are_not():
    overlap = np.ones(40)
    overlap[5:14] = 0.1
    present = np.zeros(40, bool)
    assert failure_index(overlap, present) == 40
    overlap[14] = 0
    assert failure_index(overlap, present) == 5
    absent = present.copy()
    absent[9] = True
    assert failure_index(overlap, absent) == 40


def test_the_curve_follows_a_run_and_sinks_after_its_failure():
    good = RunScore(np.array([0, 0.5, 1.0]), 3)
    failed = RunScore(np.array([0, 1.0, 0.0]), 2)
    np.testing.assert_allclose(eao_curve([good], 5), [0, 0.5, 0.75, 0, 0])
    np.testing.assert_allclose(eao_curve([failed], 6), [0, 1, 0.5, 0.5, 1 / 3, 0.25])
    np.testing.assert_allclose(eao_curve([good, failed], 4), [0, 0.75, 0.625, 0.5])


def test_a_tracker_that_fails_at_once_everywhere_scores_zero(workspace, oracle_program):
    sequences = read_sequences(workspace)

    def read(sequence, anchor):
        run = read_anchor_run(workspace)(sequence, anchor)
        return type(run)((Special(1),) * len(run.regions), run.confidence)

    score = score_anchors(sequences[:1], read, (15, 60))
    assert (score.accuracy, score.robustness, score.eao) == (0.0, 0.0, 0.0)


def test_confidences_become_a_hundred_thresholds():
    thresholds = confidence_thresholds(np.arange(1000.0))
    assert thresholds[[0, 1, 2, -2, -1]].tolist() == [np.inf, 989, 979, 9, -np.inf]
    assert len(thresholds) == 100
    assert confidence_thresholds(np.array([0.2, 0.7])).tolist() == [np.inf, 0.7, 0.2, -np.inf]


def test_the_f_score_of_nothing_is_zero():
    assert f_scores(np.array([0.0, 0.5]), np.array([0.0, 1.0])) == pytest.approx([0, 2 / 3])


def test_a_written_run_reads_back(tmp_path):
    path = run_path(tmp_path, "longterm", "cat", "001")
    write_run(path, [box(1, 2, 3, 4), box(2, 2, 3, 4), Special(0)], [0.1] * 3, [0.0, 0.75, 0.25])
    run = read_run(path, 3)
    assert [format_region(region) for region in run.regions] == ["1", "2.0000,2.0000,3.0000,4.0000", "0"]
    assert run.confidence.tolist() == [0, 0.75, 0.25]
    assert (path.parent / "cat_001_time.value").read_text().splitlines() == ["0.100000"] * 3


def test_a_missing_or_short_run_is_named(tmp_path):
    with pytest.raises(ResultFileError, match=r"cat_00000000.txt or .bin, got no such file"):
        read_run(run_path(tmp_path, "baseline", "cat", "00000000"), 3)
    path = run_path(tmp_path, "baseline", "cat", "00000005")
    write_run(path, [box(1, 2, 3, 4)], [0.1])
    with pytest.raises(ResultFileError, match="must hold 3 regions, got 1"):
        read_run(path, 3)


def test_a_workspace_without_sequences_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"list\.txt is missing"):
        read_sequences(tmp_path)
