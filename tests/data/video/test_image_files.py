import cv2
import numpy as np
import pytest

from starktrack.data.formats.result_files import read_boxes
from starktrack.data.frames import open_frames
from starktrack.data.video.image_files import ImageFiles, find_images, read_image
from starktrack.errors import DatasetError, VideoBrokenError, VideoError


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


def test_any_frame_can_be_read_in_any_order(make_folder, index_of):
    files = ImageFiles(find_images(make_folder([f"{i}.png" for i in range(12)])))
    assert len(files) == 12
    assert [index_of(files.read(index)) for index in (11, 0, 2)] == [11, 0, 2]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n and then nothing"])
def test_an_image_that_cannot_be_decoded_is_named(tmp_path, content):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"bad\.png must be a whole image .* got {len(content)} bytes"):
        ImageFiles((path,)).read(0)


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
    with pytest.raises(
        VideoError, match="must hold jpg, png, webp, bmp or tiff images, got none; give the folder"
    ):
        open_frames(tmp_path)


def test_a_folder_of_folders_points_to_the_images_inside(make_folder, tmp_path):
    make_folder(["1.png"])
    with pytest.raises(VideoError, match=r"got none; did you mean .*frames\?"):
        open_frames(tmp_path)


@pytest.mark.shared
def test_every_real_sequence_has_a_box_for_each_frame(shared):
    swept = 0
    for annotation in sorted((shared / "data/eval/otb").glob("*/groundtruth_rect.txt")):
        with open_frames(annotation.parent / "img") as frames:
            assert len(read_boxes(annotation)) <= frames.num_frames
            assert next(frames).image.shape[:2] == frames.size_hw
        swept += 1
    assert swept == 6
