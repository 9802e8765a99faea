import os

import cv2
import numpy as np
import pytest

from starktrack.data.formats.result_files import read_boxes
from starktrack.data.frames import open_frames
from starktrack.data.video.image_files import find_images, read_array, read_image
from starktrack.errors import DatasetError, SourceWarning, VideoBrokenError, VideoError


def test_numbers_sort_as_people_count(make_folder):
    folder = make_folder(["frame10.png", "frame2.png", "frame1.png", "frame0003.png"])
    names = [path.name for path in find_images(folder)]
    assert names == ["frame1.png", "frame2.png", "frame0003.png", "frame10.png"]


def test_only_images_that_are_not_hidden_count(make_folder):
    folder = make_folder(["1.png", "2.JPG"])
    (folder / "notes.txt").write_text("x")
    (folder / "._1.png").write_bytes(b"x")
    assert [path.name for path in find_images(folder)] == ["1.png", "2.JPG"]


def test_a_glob_takes_only_what_it_names(make_folder):
    folder = make_folder(["a1.png", "a10.png", "a9.png", "b1.png"])
    assert [path.name for path in find_images(folder / "a*")] == ["a1.png", "a9.png", "a10.png"]


def test_a_folder_named_like_a_glob_is_a_folder(make_folder, tmp_path):
    folder = make_folder(["1.png"]).rename(tmp_path / "take[2]")
    with open_frames(folder) as frames:
        assert frames.num_frames == 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_every_format_comes_as_rgb(tmp_path, suffix):
    path = tmp_path / f"red{suffix}"
    blue_green_red = np.zeros((16, 24, 3), np.uint8)
    blue_green_red[..., 2] = 200
    assert cv2.imwrite(str(path), blue_green_red)
    image = read_image(path)
    assert image.shape == (16, 24, 3)
    np.testing.assert_allclose(image.mean(axis=(0, 1)), [200, 0, 0], atol=3)


@pytest.mark.parametrize("shape", [(16, 24), (16, 24, 4)])
def test_grey_and_transparent_images_become_rgb(tmp_path, shape):
    path = tmp_path / "image.png"
    assert cv2.imwrite(str(path), np.full(shape, 90, np.uint8))
    np.testing.assert_array_equal(read_image(path), np.full((16, 24, 3), 90, np.uint8))


def test_the_exif_orientation_is_applied(tmp_path):
    path = tmp_path / "turned.jpg"
    encoded = cv2.imencode(".jpg", np.zeros((16, 24, 3), np.uint8))[1].tobytes()
    turn_right = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    path.write_bytes(
        encoded[:2] + b"\xff\xe1" + (len(turn_right) + 2).to_bytes(2, "big") + turn_right + encoded[2:]
    )
    assert read_image(path).shape == (24, 16, 3)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n and then nothing"])
def test_an_image_that_cannot_be_decoded_is_named(tmp_path, content):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"bad\.png must be a whole image .* got {len(content)} bytes"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_half_an_image_is_no_image(tmp_path, suffix):
    path = tmp_path / f"half{suffix}"
    encoded = cv2.imencode(suffix, np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8))[1]
    path.write_bytes(encoded.tobytes()[: len(encoded) // 2])
    with pytest.raises(DatasetError, match=rf"half\{suffix} must be a whole image"):
        read_image(path)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"gone\.png must be an image that can be read, got: No such file"):
        read_image(tmp_path / "gone.png")


def test_a_folder_streams_without_a_clock(make_folder, index_of):
    folder = make_folder([f"{i}.png" for i in range(12)])
    with open_frames(folder, start_frame=9) as frames:
        assert (frames.name, frames.size_hw, frames.frame_rate, frames.num_frames) == (
            "frames",
            (48, 64),
            None,
            12,
        )
        shown = list(frames)
    assert [(frame.index, index_of(frame.image), frame.seconds) for frame in shown] == [
        (9, 9, None),
        (10, 10, None),
        (11, 11, None),
    ]


def test_a_damaged_image_in_the_middle_breaks_off_there(make_folder):
    folder = make_folder(["1.png", "2.png", "3.png", "4.png"])
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:40])
    shown = []
    with pytest.raises(VideoBrokenError, match=r"3\.png must be a whole image") as caught:
        shown.extend(frame.index for frame in open_frames(folder))
    assert caught.value.num_frames == 2


def test_a_damaged_first_image_is_no_video(make_folder):
    folder = make_folder(["1.png", "2.png"])
    (folder / "1.png").write_bytes(b"x")
    with pytest.raises(VideoError, match=r"frames cannot be read: .*1\.png must be a whole image"):
        open_frames(folder)


def test_an_image_of_another_size_breaks_off_there(make_folder):
    folder = make_folder(["1.png", "2.png", "3.png"])
    assert cv2.imwrite(str(folder / "3.png"), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(VideoBrokenError, match="frame 2 must be 64 x 48 pixels") as caught:
        list(open_frames(folder))
    assert caught.value.num_frames == 2


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(VideoError, match=r"must hold jpg, png, .* or ppm images, got none; give the folder"):
        open_frames(tmp_path)


def test_a_folder_of_folders_points_to_the_images_inside(make_folder, tmp_path):
    make_folder(["1.png"])
    with pytest.raises(VideoError, match=r"got none; did you mean .*frames\?"):
        open_frames(tmp_path)


@pytest.mark.parametrize("suffix", [".ppm", ".gif", ".avif", ".jp2"])
def test_a_folder_of_any_format_has_all_its_frames(make_folder, index_of, suffix):
    with open_frames(make_folder([f"{i}{suffix}" for i in range(4)])) as frames:
        assert [index_of(frame.image) for frame in frames] == [0, 1, 2, 3]


def test_a_numbered_pattern_takes_the_files_that_it_names(make_folder, index_of):
    folder = make_folder(["a0000.png", "a0001.png", "a2.png", "a0010.png", "b0001.png"])
    for pattern, expected in (("a%04d.png", [0, 1, 3]), ("a%d.png", [0, 1, 2, 3])):
        with open_frames(f"{folder}/{pattern}") as frames:
            assert [index_of(frame.image) for frame in frames] == expected
    with pytest.raises(VideoError, match=r"c%04d\.png must hold .* got none; check the path"):
        open_frames(f"{folder}/c%04d.png")


def test_brackets_of_names_that_exist_are_no_glob(make_folder, tmp_path, index_of):
    folder = make_folder(["one[1].png", "2.png"]).rename(tmp_path / "br[1]")
    for source, expected in (
        (folder / "one[1].png", [0]),
        (f"{folder}/*.png", [1, 0]),
        (folder / "[1-3].png", [1]),
    ):
        with open_frames(source) as frames:
            assert [index_of(frame.image) for frame in frames] == expected


LOSSLESS = (cv2.IMWRITE_WEBP_QUALITY, 101)
"""Otherwise WebP joins frames that hardly differ."""


def animation(count, milliseconds=120):
    made = cv2.Animation()
    made.frames = [np.full((48, 64, 3), 10 + 4 * i, np.uint8) for i in range(count)]
    made.durations = [milliseconds] * count
    return made


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif", ".avif"])
def test_an_animation_has_all_its_frames_and_their_times(tmp_path, index_of, suffix):
    path = tmp_path / f"moving{suffix}"
    assert cv2.imwriteanimation(str(path), animation(40), LOSSLESS)
    with open_frames(path) as frames:
        shown = list(frames)
    assert [index_of(frame.image) for frame in shown] == list(range(40))
    np.testing.assert_allclose([frame.seconds for frame in shown], 0.12 * np.arange(40), atol=1e-6)


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif", ".avif"])
def test_an_animation_among_several_files_is_refused(make_folder, suffix):
    folder = make_folder(["0.jpg", "2.jpg"])
    assert cv2.imwriteanimation(str(folder / f"1{suffix}"), animation(3), LOSSLESS)
    with pytest.raises(
        VideoBrokenError, match=rf"1\{suffix} must hold one picture .* got 3; give it by itself"
    ):
        list(open_frames(folder))


def test_a_tiff_of_several_pages_has_all_of_them(tmp_path):
    path = tmp_path / "stack.tif"
    assert cv2.imwritemulti(str(path), [np.full((48, 64), 7300 + 10 * i, np.uint16) for i in range(5)])
    with open_frames(path, intensity_range=(7300, 7340), start_frame=1) as frames:
        assert [(frame.index, int(frame.image.mean())) for frame in frames] == [
            (i, round(255 * i / 4)) for i in range(1, 5)
        ]


def test_a_preview_in_a_tiff_is_no_frame(tmp_path):
    path = tmp_path / "pyramid.tif"
    assert cv2.imwritemulti(str(path), [np.full((48 // k, 64 // k, 3), 90, np.uint8) for k in (1, 2, 4)])
    with open_frames(path) as frames:
        assert len(list(frames)) == 1
    assert read_image(path).shape == (48, 64, 3)


def test_a_tiff_page_of_another_size_is_left_out_with_a_word(tmp_path):
    path = tmp_path / "stack.tif"
    assert cv2.imwritemulti(str(path), [np.zeros((48, 64 - 8 * (i == 2), 3), np.uint8) for i in range(4)])
    with pytest.warns(SourceWarning, match=r"page 2 is left out"), open_frames(path) as frames:
        assert len(list(frames)) == 3


def thermal(index):
    """Return counts of a thermal camera: a warm square that moves over a cold, uneven ground."""
    counts = np.random.default_rng(0).integers(7300, 7400, (48, 64)).astype(np.uint16)
    counts[10:20, 10 + index : 20 + index] += 130
    return counts


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_pictures_of_many_levels_share_one_scale(tmp_path, kind):
    for index in range(3):
        assert cv2.imwrite(str(tmp_path / f"{index}.tiff"), thermal(index).astype(kind))
    with pytest.warns(SourceWarning, match=r"mapped to 8 bits from 7300 to 752\d") as caught:
        shown = [frame.image for frame in open_frames(tmp_path)]
    assert len([each for each in caught if each.category is SourceWarning]) == 1
    assert len(np.unique(shown[0])) > 100
    np.testing.assert_array_equal(shown[0][30:], shown[2][30:])
    with open_frames(tmp_path, intensity_range=(7000, 8020)) as frames:
        expected = np.round((thermal(0).astype(float) - 7000) / 4)
        np.testing.assert_array_equal(next(frames).image[..., 1], expected)


def test_deep_colours_keep_their_order(tmp_path):
    path = tmp_path / "deep.png"
    blue_green_red = np.zeros((4, 4, 3), np.uint16)
    blue_green_red[..., 2] = 60000
    assert cv2.imwrite(str(path), blue_green_red)
    with pytest.warns(SourceWarning):
        assert read_image(path)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.shared
def test_every_real_sequence_has_a_box_for_each_frame(shared):
    swept = 0
    for annotation in sorted((shared / "data/eval/otb").glob("*/groundtruth_rect.txt")):
        with open_frames(annotation.parent / "img") as frames:
            assert len(read_boxes(annotation)) <= frames.num_frames
            assert next(frames).image.shape[:2] == frames.size_hw
        swept += 1
    assert swept == 6


def headers_of_huge_pictures():
    """Return small files whose headers promise 100,000 pixels and more a side."""
    import struct

    small = {
        suffix: cv2.imencode(suffix, np.zeros((16, 32, 3), np.uint8))[1].tobytes()
        for suffix in (".bmp", ".gif", ".jpg", ".tiff", ".png")
    }
    jpeg = small[".jpg"].index(b"\xff\xc0") + 5
    tiff = bytearray(small[".tiff"])
    for tag in (256, 257):
        place = tiff.index(struct.pack("<HH", tag, 3)) + 8
        tiff[place : place + 4] = struct.pack("<I", 65_000)
    return {
        "a.pgm": b"P5 100000 100000 255 ",
        "a.bmp": small[".bmp"][:18] + struct.pack("<ii", 100_000, 100_000) + small[".bmp"][26:],
        "a.gif": small[".gif"][:6] + struct.pack("<HH", 0xFFFF, 0xFFFF) + small[".gif"][10:],
        "a.jpg": small[".jpg"][:jpeg] + struct.pack(">HH", 65_500, 65_500) + small[".jpg"][jpeg + 4 :],
        "a.tiff": bytes(tiff),
        "a.png": small[".png"][:16] + struct.pack(">II", 100_000, 100_000) + small[".png"][24:],
    }


def test_a_png_with_a_part_that_reaches_beyond_the_file_is_refused(tmp_path):
    path = tmp_path / "a.png"
    content = bytearray(cv2.imencode(".png", np.zeros((16, 32, 3), np.uint8))[1].tobytes())
    content[33:37] = b"\xff\xff\x00\x06"  # OpenCV would take 4 GB for it, and 10 s
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="parts that reach beyond"):
        read_array(path)


@pytest.mark.parametrize("name", ["a.pgm", "a.bmp", "a.gif", "a.jpg", "a.tiff", "a.png"])
def test_a_picture_that_asks_for_all_memory_is_refused_before_it_is_decoded(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(headers_of_huge_pictures()[name])
    with pytest.raises(DatasetError, match=r"must have at most 67,108,864 pixels, got a larger picture"):
        read_array(path)
    with pytest.raises(VideoError):
        open_frames(path)


def test_an_animation_that_is_damaged_is_named(tmp_path):
    path = tmp_path / "moving.avif"
    moving = cv2.Animation()
    moving.frames, moving.durations = [np.full((16, 32, 3), i, np.uint8) for i in (0, 100, 200)], [40] * 3
    assert cv2.imwriteanimation(str(path), moving)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"mdat") + 4
    content[place:] = b"\xff" * (len(content) - place)
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"moving.avif"):
        open_frames(path)


def test_a_pipe_among_pictures_is_named_and_not_waited_for(make_folder):
    folder = make_folder(["0.png"])
    os.mkfifo(folder / "1.png")
    with (
        open_frames(folder) as frames,
        pytest.raises(VideoBrokenError, match=r"1\.png must be an image file"),
    ):
        list(frames)
