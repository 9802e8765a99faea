"""What users of the package met in the field, and the tests of each; docs/inputs.md says what is right."""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

ROWS = {
    "A, pictures of more than 8 bits": (
        "data/video/test_image_files.py::test_pictures_of_many_levels_share_one_scale",
        "data/video/test_file.py::test_videos_of_counts_share_one_scale",
        "data/sources/test_folders.py::test_pictures_of_more_than_8_bits_share_the_scale_of_the_first",
        "cli/test_track.py::test_counts_of_a_thermal_camera_are_tracked_on_one_scale_that_is_said",
    ),
    "B, clocks": (
        "data/video/test_writer.py::test_a_clock_that_stands_still_or_jumps_back_loses_no_frame",
        "data/video/test_file.py::test_broadcasts_that_are_joined_have_one_clock",
        "data/video/test_file.py::test_an_avi_with_bidirectional_frames_is_in_order",
        "cli/test_track.py::test_an_annotated_video_of_joined_broadcasts_lasts_as_long_as_both",
    ),
    "C, slow Matroska": (
        "data/video/test_file.py::test_a_video_slower_than_one_frame_a_second_is_whole",
        "data/video/test_file.py::test_a_matroska_file_whose_last_frame_stays_is_whole",
        "data/video/test_file.py::test_a_slow_matroska_file_that_is_cut_breaks_off",
    ),
    "D, stacks, animations, patterns, brackets": (
        "data/video/test_image_files.py::test_a_folder_of_any_format_has_all_its_frames",
        "data/video/test_image_files.py::test_a_numbered_pattern_takes_the_files_that_it_names",
        "data/video/test_image_files.py::test_brackets_of_names_that_exist_are_no_glob",
        "data/video/test_image_files.py::test_an_animation_has_all_its_frames_and_their_times",
    ),
    "E, standard input and pipes": (
        "data/video/test_file.py::test_standard_input_is_a_source",
        "data/video/test_file.py::test_a_pipe_is_read_as_it_comes",
    ),
    "F, small targets": (
        "tracking/test_tracker.py::test_a_target_of_four_pixels_stays_so_but_for_the_published_networks",
    ),
    "G, boxes in another form": (
        "geometry/test_boxes.py::test_two_corners_in_place_of_a_size_are_said",
        "geometry/test_boxes.py::test_a_box_that_cannot_be_tracked_is_refused_with_the_rule",
        "data/test_check.py::test_boxes_that_do_not_fit_their_pictures_are_told",
    ),
    "H, a frame of another size": (
        "tracking/test_tracker.py::test_a_frame_of_another_size_is_refused_until_the_tracker_starts_again",
    ),
    "I, outputs, signals, names, alphabets": (
        "cli/test_track.py::test_an_output_never_replaces_the_file_that_an_address_names",
        "cli/test_track.py::test_a_closed_terminal_keeps_what_was_tracked",
        "cli/test_track.py::test_a_second_ctrl_c_leaves_whole_files",
        "cli/test_track.py::test_long_names_of_outputs_work_or_are_refused_before_the_work",
        "cli/test_track.py::test_a_terminal_without_our_letters_shows_what_it_can",
    ),
    "J, pixels that are not square": (
        "data/video/test_writer.py::test_pixels_that_are_not_square_stay_so",
        "cli/test_track.py::test_a_video_whose_pixels_are_not_square_is_written_as_it_is_shown",
    ),
    "K, rows as they come": (
        "cli/test_track.py::test_rows_come_one_by_one_through_a_pipe_and_in_blocks_to_a_file",
    ),
    "L, checkpoints as tools wrap them": (
        "models/test_pickled.py::test_what_tools_wrap_around_a_network_is_taken_off",
        "models/test_official.py::test_batch_counters_that_a_tool_dropped_are_filled_in",
    ),
    "M, one bad annotation": (
        "data/sources/test_coco.py::test_an_annotation_that_cannot_be_used_is_left_out_counted_and_named",
        "data/sources/test_coco.py::test_objects_of_a_picture_without_a_size_are_left_out",
    ),
    "N, short result files": (
        "evaluation/test_scoring.py::test_short_predictions_are_refused_padded_or_failed",
    ),
    "O, forks and pickles": (
        "engines/test_torch_engine.py::test_an_engine_in_a_forked_process_is_one_clear_error_at_once",
        "tracking/test_tracker.py::test_a_tracker_that_is_pickled_or_copied_says_what_to_do",
    ),
    "P, narrow windows": (
        "cli/test_data.py::test_nothing_that_decides_is_cut_in_a_narrow_window",
        "cli/test_track.py::test_tables_are_folded_and_never_cut_in_a_window_of_80_columns",
    ),
}


@cache
def names_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", ROWS)
def test_what_the_field_brought_is_held_by_a_test(row):
    for place in ROWS[row]:
        file, _, name = place.partition("::")
        assert name in names_of(TESTS / file), place
