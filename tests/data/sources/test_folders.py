import concurrent.futures
import multiprocessing
import pickle
import re
import tracemalloc
import zipfile

import cv2
import numpy as np
import pytest

from starktrack.data.sources import zip_table
from starktrack.data.sources.folders import Folder, find_folders, open_folder
from starktrack.data.sources.frames_on_disk import (
    NamedFrames,
    NumberedFrames,
    all_frames,
    find_frames,
    read_image,
)
from starktrack.errors import DatasetError, SourceWarning

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def first_pixels(frames) -> list[int]:
    return [int(frames.read(index)[0, 0, 0]) for index in range(len(frames))]


@pytest.mark.parametrize("method", METHODS)
def test_a_folder_in_a_zip_reads_like_one_on_disk(build, method):
    build.pictures("a/b/{:04d}.png", range(1, 4))
    build.lines("a/note.txt", ["x"])
    on_disk = open_folder(build.root / "a")
    seen = (on_disk.files(), list(on_disk.folders()), on_disk.folder("b").files())
    text = on_disk.read_text("note.txt")
    build.pack("a", "a.zip", method=method)
    packed = open_folder(build.root / "a.zip")
    assert (packed.files(), list(packed.folders()), packed.folder("b").files()) == seen
    assert packed.read_text("note.txt") == text == "x\n"
    assert packed.has("b/0001.png") and not packed.has("b/0009.png") and not packed.has("b")
    assert first_pixels(find_frames(packed.folder("b"), 1, 3, (4,))) == [1, 2, 3]


def test_a_zip_that_holds_a_folder_of_its_name_counts_as_that_folder(build):
    build.pictures("tmp/{}.png", range(2))
    build.pack("tmp", "train.zip", "train/")
    assert open_folder(build.root).folder("train").files() == ["0.png", "1.png"]


def test_frames_survive_pickling_and_processes_and_threads(build):
    build.pictures("tmp/{:08d}.png", range(1, 31))
    build.pack("tmp", "v.zip")
    frames = find_frames(open_folder(build.root / "v.zip"), 1, 30, (8,))
    frames = pickle.loads(pickle.dumps(frames))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert [p[0, 0, 0] for p in pool.map(frames.read, list(range(30)) * 5)] == list(range(1, 31)) * 5
    for start in ("fork", "spawn"):
        context = multiprocessing.get_context(start)
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            assert [p[0, 0, 0] for p in pool.map(frames.read, range(4))] == [1, 2, 3, 4]


def test_a_large_directory_is_parsed_once_and_then_mapped(build, cache, monkeypatch):
    monkeypatch.setattr(zip_table, "KEEP_FROM", 3)
    build.pictures("tmp/{:08d}.png", range(1, 4))
    build.pack("tmp", "v.zip")
    assert zip_table.open_zip(build.root / "v.zip").has("00000003.png")
    assert len(list((cache / "zips").iterdir())) == 1
    zip_table._open_zip.cache_clear()
    monkeypatch.setattr(zip_table, "_parse", lambda path: pytest.fail("parsed again"))
    assert zip_table.open_zip(build.root / "v.zip").names("00000002") == ["00000002.png"]


def test_a_cache_that_cannot_be_written_is_no_failure(build, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(zip_table, "KEEP_FROM", 1)
    build.pictures("tmp/{:08d}.png", range(1, 3))
    build.pack("tmp", "v.zip")
    assert len(zip_table.open_zip(build.root / "v.zip")) == 2


def test_a_damaged_member_is_named(build):
    build.pictures("tmp/{:08d}.png", range(1, 3))
    build.pack("tmp", "v.zip")
    content = bytearray((build.root / "v.zip").read_bytes())
    content[60] ^= 255
    (build.root / "v.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=r"v\.zip: 00000001\.png is damaged"):
        open_folder(build.root / "v.zip").read("00000001.png")


def test_failures_name_the_file(build):
    build.lines("broken.zip", ["no zip"])
    build.lines("broken.jpg", ["no picture"])
    build.lines("empty.jpg", [])
    root = open_folder(build.root)
    with pytest.raises(DatasetError, match=r"broken\.zip is not a readable zip file"):
        open_folder(build.root / "broken.zip").files()
    with pytest.raises(DatasetError, match=r"broken\.jpg must be a whole image .* got 11 bytes"):
        read_image(root, "broken.jpg")
    with pytest.raises(DatasetError, match=r"empty\.jpg must be a whole image .* got 0 bytes"):
        read_image(root, "empty.jpg")
    with pytest.raises(DatasetError, match=r"gone\.jpg is missing"):
        read_image(root, "gone.jpg")
    with pytest.raises(DatasetError, match=r"must be a folder or a zip file, .*gone is neither"):
        open_folder(build.root / "gone")


def test_colours_come_as_red_green_blue(build):
    build.array("a.png", np.full((2, 2, 3), (1, 2, 3), np.uint8))  # OpenCV writes blue, green, red
    assert read_image(Folder(build.root), "a.png")[0, 0].tolist() == [3, 2, 1]


def test_find_frames_finds_padding_and_ending_and_says_what_is_missing(build):
    build.pictures("v/{:05d}.webp", range(1, 3))
    folder = Folder(build.root / "v")
    assert find_frames(folder, 1, 2, (4, 5)) == NumberedFrames(folder, "{:05d}.webp", 1, 2)
    missing = find_frames(folder, 7, 2, (4, 5))
    assert len(missing) == 2
    with pytest.raises(DatasetError, match=r"v/0007\.jpg is missing; it must be the first frame"):
        missing.read(0)


def test_all_frames_order_by_number_and_keep_odd_names(build):
    build.pictures("n/{}.png", range(9, 12))
    assert all_frames(Folder(build.root / "n")) == NumberedFrames(
        Folder(build.root / "n"), "{:01d}.png", 9, 3
    )
    build.pictures("gap/{:04d}.png", range(1, 6, 2))
    gap = all_frames(Folder(build.root / "gap"))
    assert isinstance(gap, NamedFrames)
    assert first_pixels(gap) == [1, 3, 5]
    with pytest.raises(DatasetError, match=r"must hold pictures .* found none"):
        all_frames(Folder(build.root / "none"))
    with pytest.raises(IndexError, match="from 0 to 2, got 3"):
        gap.read(3)
    with pytest.raises(IndexError, match="from 0 to 2, got -1"):
        gap.read(-1)


def test_find_folders_looks_through_folders_and_zips_but_not_into_matches(build):
    build.lines("a/x-1/f.txt", ["1"])
    build.lines("a/x-1/x-9/f.txt", ["1"])
    build.lines("tmp/x-2/f.txt", ["1"])
    build.pack("tmp", "b.zip", "b/")
    build.lines("x-3/f.txt", ["1"])
    build.lines("one/two/three/four/x-4/f.txt", ["1"])
    found = find_folders(open_folder(build.root), re.compile(r"x-\d"))
    assert sorted(found) == ["x-1", "x-2", "x-3"]
    assert all(folder.has("f.txt") for folder in found.values())


def test_a_picture_that_the_decoder_refuses_is_an_error_that_names_it(build):
    # More pixels than OpenCV takes: it raises an error of its own then, instead of returning nothing.
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1 << 16, 1 << 16, 8, 2, 0, 0, 0))
    (build.root / "huge.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    with pytest.raises(DatasetError, match=r"huge\.png must have at most"):
        read_image(Folder(build.root), "huge.png")
    with pytest.raises(cv2.error):
        cv2.imdecode(np.frombuffer((build.root / "huge.png").read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def test_a_zip_whose_members_begin_before_it_is_refused(build):
    build.lines("pack/boxes.txt", ["1,2,3,4"])
    build.pack("pack", "pack.zip")
    path = build.root / "pack.zip"
    data = bytearray(path.read_bytes())
    place = data.rfind(b"PK\5\6") + 16  # where the directory is said to begin
    data[place : place + 4] = (int.from_bytes(data[place : place + 4], "little") + 196).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"pack\.zip is not a readable zip file"):
        open_folder(path).files()


def pack_bomb(path, num_mebibytes, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("groundtruth.txt", bytes(num_mebibytes << 20))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, method):
    pack_bomb(tmp_path / "a.zip", 17, method)
    with pytest.raises(DatasetError, match=r"groundtruth.txt cannot be read: .* would unpack to 17,825,792"):
        open_folder(tmp_path / "a.zip").read("groundtruth.txt")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_unpacks_to_more_than_it_declares_is_stopped_there(tmp_path, method):
    path = tmp_path / "a.zip"
    pack_bomb(path, 96, method)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match="unpacks to more than the 1,000 bytes"):
            open_folder(path).read("groundtruth.txt")
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_member_without_a_name_or_larger_than_its_zip_is_no_harm(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), b"x")
        archive.writestr("b.txt", b"12345")
    assert open_folder(path).files() == ["b.txt"]
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02") + 20
    content[place : place + 8] = (2**31).to_bytes(4, "little") * 2
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"more than the zip|would unpack to"):
        open_folder(path).read("b.txt")


def test_pictures_of_more_than_8_bits_share_the_scale_of_the_first(build):
    for number, level in enumerate((7300, 7400, 7400), 1):
        counts = np.full((12, 16), level, np.uint16)
        counts[2:6, 2:6] = 7530
        build.array(f"clip/{number:04d}.png", counts)
    frames = all_frames(open_folder(build.root / "clip"))
    with pytest.warns(SourceWarning, match="uint16 are mapped to 8 bits from 7300 to 7530"):
        last = frames.read(2)
    assert last.shape == (12, 16, 3)
    # 7400 is 100 of the 230 counts of the first frame, however it is reached.
    assert last[0, 0].tolist() == [111] * 3 and last[3, 3].tolist() == [255] * 3
    assert frames.read(0)[0, 0, 0] == 0
    assert (pickle.loads(pickle.dumps(frames)).read(1) == last).all()


def test_a_picture_that_asks_for_all_memory_is_refused(build):
    (build.root / "a.pgm").write_bytes(b"P5 100000 100000 255 ")
    with pytest.raises(DatasetError, match=r"a.pgm must have at most 67,108,864 pixels"):
        read_image(open_folder(build.root), "a.pgm")


def test_a_link_that_leads_to_itself_is_no_folder(build):
    build.lines("cat/groundtruth.txt", ["1,2,3,4"])
    (build.root / "loop").symlink_to(build.root / "loop")
    root = open_folder(build.root)
    assert list(root.folders()) == ["cat"]
    assert list(find_folders(root, re.compile("cat"))) == ["cat"]
    assert root.files() == ["loop"]
