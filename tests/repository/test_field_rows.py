"""What users of the package met in the field, case by case, and the test of each; docs/inputs.md says what is right."""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

FILE, IMAGES, WRITER = (
    "data/video/test_file.py",
    "data/video/test_image_files.py",
    "data/video/test_writer.py",
)
TRACK, BOXES, COCO = "cli/test_track.py", "geometry/test_boxes.py", "data/sources/test_coco.py"
CLOCK, TRACKER, SCORING = "data/video/test_clock.py", "tracking/test_tracker.py", "evaluation/test_scoring.py"
PICKLED, OFFICIAL = "models/test_pickled.py", "models/test_official.py"

ROWS = {
    "A, pictures of more than 8 bits": {
        "pictures of 16 bits, float TIFF": (IMAGES, "test_pictures_of_many_levels_share_one_scale"),
        "every other type": ("data/video/test_intensity.py", "test_every_real_type_is_mapped"),
        "videos of 12 and 16 bits": (FILE, "test_videos_of_counts_share_one_scale"),
        "data folders": (
            "data/sources/test_folders.py",
            "test_pictures_of_more_than_8_bits_share_the_scale_of_the_first",
        ),
        "--range, the API, the warning": (
            TRACK,
            "test_counts_of_a_thermal_camera_are_tracked_on_one_scale_that_is_said",
        ),
    },
    "B, clocks": {
        "restart, stand still, run backwards": (
            CLOCK,
            "test_times_never_fall_and_go_on_one_frame_later",
        ),
        "two TS joined": (FILE, "test_broadcasts_that_are_joined_have_one_clock"),
        "B-frames in AVI": (FILE, "test_an_avi_with_bidirectional_frames_is_in_order"),
        "negative first times": (FILE, "test_a_clock_that_starts_before_or_after_zero_is_moved_there"),
        "frames without a time": (FILE, "test_frames_at_the_start_without_a_time_are_said"),
        "the written video of them": (WRITER, "test_a_clock_that_stands_still_or_jumps_back_loses_no_frame"),
        "the annotated video and the column": (
            TRACK,
            "test_an_annotated_video_of_joined_broadcasts_lasts_as_long_as_both",
        ),
    },
    "C, slow Matroska": {
        "MKV, WebM slower than 1 frame/s": (FILE, "test_a_video_slower_than_one_frame_a_second_is_whole"),
        "long last frame": (FILE, "test_a_matroska_file_whose_last_frame_stays_is_whole"),
        "really cut": (FILE, "test_a_slow_matroska_file_that_is_cut_breaks_off"),
        "an FLV that begins later": (FILE, "test_a_clock_that_starts_before_or_after_zero_is_moved_there"),
        "a cut FLV": (FILE, "test_an_flv_that_is_cut_breaks_off"),
    },
    "D, stacks, animations, patterns, brackets": {
        "multi-page TIFF": (IMAGES, "test_a_tiff_of_several_pages_has_all_of_them"),
        "WebP, APNG named .png": (IMAGES, "test_an_animation_has_all_its_frames_and_their_times"),
        "a stack among files": (IMAGES, "test_an_animation_among_several_files_is_refused"),
        "folders of ppm, gif, avif": (IMAGES, "test_a_folder_of_any_format_has_all_its_frames"),
        "imgs/%04d.png": (IMAGES, "test_a_numbered_pattern_takes_the_files_that_it_names"),
        "names with brackets": (IMAGES, "test_brackets_of_names_that_exist_are_no_glob"),
    },
    "E, standard input and pipes": {
        "-, pipe:0, /dev/stdin": (FILE, "test_standard_input_is_a_source"),
        "process substitution": (FILE, "test_process_substitution_is_a_source"),
        "named pipes": (FILE, "test_a_pipe_is_read_as_it_comes"),
    },
    "F, small targets": {
        "4, 6, 8 px, and the published networks": (
            TRACKER,
            "test_a_small_target_stays_so_but_for_the_published_networks",
        ),
    },
    "G, boxes in another form": {
        "shares and boxes far outside": (BOXES, "test_a_box_that_cannot_be_tracked_is_refused_with_the_rule"),
        "corners": (BOXES, "test_two_corners_in_place_of_a_size_are_said"),
        "--box": (TRACK, "test_bad_input_is_one_clear_line_a_failed_exit_and_no_file"),
        "API": ("test_api.py", "test_bad_videos_and_boxes_are_refused_when_the_first_output_is_asked_for"),
        "data check": ("data/test_check.py", "test_boxes_that_do_not_fit_their_pictures_are_reported"),
    },
    "H, a frame of another size": {
        "update, add, track": (
            TRACKER,
            "test_a_frame_of_another_size_is_refused_until_the_tracker_starts_again",
        ),
    },
    "I, outputs, signals, names, alphabets": {
        "file:// and --video": (TRACK, "test_an_output_never_replaces_the_file_that_an_address_names"),
        "SIGHUP": (TRACK, "test_a_closed_terminal_keeps_what_was_tracked"),
        "second Ctrl-C": (TRACK, "test_a_second_ctrl_c_leaves_whole_files"),
        "long names": (TRACK, "test_long_names_of_outputs_work_or_are_refused_before_the_work"),
        "latin-1, ascii": (TRACK, "test_a_terminal_without_our_letters_shows_what_it_can"),
    },
    "J, pixels that are not square": {
        "what is written": (WRITER, "test_pixels_that_are_not_square_stay_so"),
        "WebM, which cannot say it": (WRITER, "test_a_webm_is_made_as_wide_as_it_is_shown"),
        "8:3 stays": (TRACK, "test_a_video_whose_pixels_are_not_square_is_written_as_it_is_shown"),
    },
    "K, rows as they come": {
        "flushed when not a file": (
            TRACK,
            "test_rows_come_one_by_one_through_a_pipe_and_in_blocks_to_a_file",
        ),
        "lag": (
            "data/video/test_live.py",
            "test_a_slow_reader_gets_the_latest_frames_and_how_many_were_dropped",
        ),
        "silent source": (
            "data/video/test_live.py",
            "test_a_source_that_falls_silent_is_found_and_opened_again",
        ),
        "killed source": (
            "data/video/test_live.py",
            "test_a_source_that_comes_back_goes_on_and_its_times_too",
        ),
    },
    "L, checkpoints as tools wrap them": {
        "prefixes and keys": (PICKLED, "test_what_tools_wrap_around_a_network_is_taken_off"),
        "no num_batches_tracked": (OFFICIAL, "test_batch_counters_that_a_tool_dropped_are_filled_in"),
        "numpy scalars": (PICKLED, "test_numbers_of_numpy_beside_the_network_are_passed_over"),
        "a real mismatch": (OFFICIAL, "test_of_many_differences_the_first_are_named_and_the_rest_is_counted"),
    },
    "M, one bad annotation": {
        "RLE, picture id, category, bbox, text ids": (
            COCO,
            "test_an_annotation_that_cannot_be_used_is_left_out_counted_and_named",
        ),
        "a picture without height": (COCO, "test_objects_of_a_picture_without_a_size_are_left_out"),
    },
    "N, short result files": {
        "filled or refused": (SCORING, "test_short_predictions_are_refused_padded_or_failed"),
        "four dialects that fill": (
            SCORING,
            "test_toolkits_that_fill_short_predictions_count_failures_and_it_is_said",
        ),
        "three that refuse": (SCORING, "test_toolkits_that_refuse_short_predictions_are_followed"),
    },
    "O, forks and pickles": {
        "fork": (
            "engines/test_torch_engine.py",
            "test_an_engine_in_a_forked_process_is_one_clear_error_at_once",
        ),
        "pickle": (TRACKER, "test_a_tracker_that_is_pickled_or_copied_says_what_to_do"),
    },
    "P, narrow windows": {
        "data check": ("cli/test_data.py", "test_nothing_that_decides_is_cut_in_a_narrow_window"),
        "doctor, models": (TRACK, "test_tables_are_folded_and_never_cut_in_a_window_of_80_columns"),
        "models --weights": (TRACK, "test_the_files_of_weights_are_never_cut"),
        "annotations": ("cli/test_annotations.py", "test_long_labels_are_folded_and_never_cut"),
        "batch": ("cli/test_batch_table.py", "test_long_names_of_videos_are_folded"),
    },
}

CASES = [(row, case) for row, cases in ROWS.items() for case in cases]


@cache
def names_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("row", "case"), CASES)
def test_what_the_field_brought_is_held_by_a_test(row, case):
    file, name = ROWS[row][case]
    assert name in names_of(TESTS / file), f"{file}::{name}"
