"""OTB100, UAV123, NFS, TC128, TLP and their union NOTU."""

import pytest

from starktrack.data.sources import open_dataset
from starktrack.data.sources.lists import read_rows, read_words
from starktrack.errors import DatasetError


def otb(
    build, folder: str, count: int, first: int = 1, digits: int = 4, text: str = "groundtruth_rect.txt"
) -> None:
    build.pictures(f"{folder}/img/{{:0{digits}d}}.jpg", range(first, first + count))
    build.boxes(f"{folder}/{text}", count)


def part(name, build, split="test"):
    return open_dataset(name, build.root, split, allow_missing=True)


def test_the_lists_have_the_published_numbers_of_sequences():
    assert len({row[0] for row in read_rows("otb100")}) == len(read_rows("otb100")) == 100
    assert len({row[1] for row in read_rows("otb100")}) == 98
    rows = read_rows("uav123")
    assert len({row[0] for row in rows}) == len(rows) == 123
    assert len({row[1] for row in rows}) == 91
    assert sum(int(last) - int(first) + 1 for _, _, first, last in rows) == 112_578
    assert len(set(read_words("nfs"))) == len(read_words("nfs")) == 100
    assert sum("_ce" in name for name in set(read_words("tc128"))) == 78


@pytest.mark.parametrize(
    ("name", "first"), [("David", 300), ("BlurCar1", 247), ("BlurCar3", 3), ("BlurCar4", 18)]
)
def test_otb_sequences_start_at_their_published_frame(build, name, first):
    otb(build, name, count=3, first=first)
    assert part("otb", build)[0].frames.name(0) == f"{first:04d}.jpg"


def test_otb_annotation_shorter_than_the_folder_decides(build):
    otb(build, "Diving", count=5)
    build.boxes("Diving/groundtruth_rect.txt", 3)
    assert len(part("otb", build)["Diving"].frames) == 3


def test_otb_two_targets_of_one_folder_are_two_sequences(build):
    for number in (1, 2):
        otb(build, "Jogging", count=3, text=f"groundtruth_rect.{number}.txt")
        otb(build, "Human4", count=3, text=f"groundtruth_rect.{number}.txt")
    assert part("otb", build).names == ("Human4_2", "Jogging_1", "Jogging_2")


def test_otb_tiger1_starts_at_its_sixth_frame(build):
    otb(build, "Tiger1", count=8)
    sequence = part("otb", build)["Tiger1"]
    assert len(sequence) == len(sequence.frames) == 3
    assert sequence.frames.name(0) == "0006.jpg"
    assert sequence.boxes_xywh[0].tolist() == [6, 2, 3, 4]


def test_otb_board_has_five_digits_and_files_differ_in_delimiters(build):
    otb(build, "Board", count=3, digits=5)
    build.boxes("Board/groundtruth_rect.txt", 3, delimiter="\t")
    sequence = part("otb", build)["Board"]
    assert sequence.frames.name(2) == "00003.jpg"
    assert sequence.boxes_xywh[2].tolist() == [3, 2, 3, 4]


def test_otb_is_read_from_one_zip_per_sequence(build):
    otb(build, "tmp", count=3)
    build.pack("tmp", "Basketball.zip", "Basketball/")
    assert part("otb", build)["Basketball"].frames.read(0).shape == (12, 16, 3)


@pytest.mark.parametrize("base", ["", "UAV123/"])
def test_uav123_parts_of_a_video_start_where_published(build, base):
    build.pictures(f"{base}data_seq/UAV123/bird1/{{:06d}}.jpg", range(770, 780))
    build.boxes(f"{base}anno/UAV123/bird1_2.txt", 3)
    build.lines(f"{base}anno/UAV123/bird1_2.txt", ["1,2,3,4", "NaN,NaN,NaN,NaN", "1,2,3,4"])
    dataset = part("uav123", build)
    assert dataset.names == ("bird1_2",)
    assert dataset[0].frames.name(0) == "000775.jpg"
    assert dataset[0].visible.tolist() == [True, False, True]


def vatic(count: int) -> list[str]:
    return [f'0 {row} 2 {row + 3} 6 {int(row == 8)} 0 0 "car"' for row in range(count)]


def test_nfs_takes_every_eighth_row_of_240_fps_annotation(build):
    build.pictures("car/30/car/{:05d}.jpg", range(1, 4))
    build.lines("car/30/car.txt", vatic(24))
    sequence = part("nfs", build, "30fps")["car"]
    assert sequence.boxes_xywh.tolist() == [[0, 2, 3, 4], [8, 2, 3, 4], [16, 2, 3, 4]]
    assert sequence.visible.tolist() == [True, False, True]


@pytest.mark.parametrize("rows", [2, 3, 4])
def test_nfs_tolerates_one_row_more_or_less(build, rows):
    build.pictures("car/240/car/{:05d}.jpg", range(1, 4))
    build.lines("car/240/car.txt", vatic(rows))
    sequence = part("nfs", build, "240fps")["car"]
    assert len(sequence) == len(sequence.frames) == min(rows, 3)


def test_nfs_refuses_two_rows_more(build):
    build.pictures("car/30/car/{:05d}.jpg", range(1, 4))
    build.lines("car/30/car.txt", vatic(5))
    with pytest.raises(DatasetError, match=r"car\.txt must have a row per frame, got 5 rows for 3 frames"):
        part("nfs", build, "30fps")["car"]


def test_nfs_re_packed_is_recognised(build):
    build.pictures("sequences/car/{:05d}.jpg", range(1, 4))
    build.boxes("anno/nfs_car.txt", 3, delimiter="\t")
    sequence = part("nfs", build, "30fps")["car"]
    assert sequence.frames.name(0) == "00001.jpg"
    assert sequence.boxes_xywh[1].tolist() == [2, 2, 3, 4]


def test_tc128_starts_at_the_frame_its_file_names(build):
    for name in ("Bee_ce", "Bolt"):
        build.pictures(f"{name}/img/{{:04d}}.jpg", range(5, 8))
        build.boxes(f"{name}/{name}_gt.txt", 3)
        build.lines(f"{name}/{name}_frames.txt", ["5,7"])
    assert part("tc128", build, "all").names == ("Bee_ce", "Bolt")
    dataset = part("tc128", build, "ce")
    assert dataset.names == ("Bee_ce",)
    assert dataset[0].frames.name(0) == "0005.jpg"


def test_tlp_reads_frame_numbers_and_lost_flags(build):
    build.pictures("Drone1/img/{:05d}.jpg", range(1, 3))
    build.lines("Drone1/groundtruth_rect.txt", ["1,9,2,3,4,0", "2,8,2,3,4,1"])
    otb(build, "Dog", count=3)
    dataset = part("tlp", build)
    assert dataset.names == ("Drone1",)
    assert dataset[0].boxes_xywh[0].tolist() == [9, 2, 3, 4]
    assert dataset[0].visible.tolist() == [True, False]


def test_notu_joins_four_sets_and_knows_all_401(build):
    otb(build, "OTB100/David", count=2, first=300)
    build.pictures("uav/data_seq/UAV123/car7/{:06d}.jpg", range(1, 3))
    build.boxes("uav/anno/UAV123/car7.txt", 2)
    dataset = part("notu", build)
    assert dataset.names == ("otb_David", "uav123_car7")
    assert len(dataset) + len(dataset.missing) == 401
    assert dataset["uav123_car7"].name == "uav123_car7"
    assert dataset[0].frames.name(0) == "0300.jpg"
    assert dataset["otb_David"].benchmark.anchors == {}


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "folder", "split", "sequences", "frames"),
    [
        ("otb", "otb", "test", 6, 900),  # 905 pictures, without the first five of Tiger1
        ("uav123", "uav123", "test", 1, 67),
        ("tlp", "tlp", "test", 1, 200),
        ("vot", "vot", "all", 1, 105),
        ("got10k", "got10k", "test", 1, 100),
    ],
)
def test_the_reference_sequences_open_whole(shared_data, name, folder, split, sequences, frames):
    dataset = open_dataset(name, shared_data / "eval" / folder, split, allow_missing=True)
    assert len(dataset) == sequences
    assert sum(len(dataset[index].frames) for index in range(sequences)) == frames
    for index in range(sequences):
        sequence = dataset[index]
        assert sequence.frames.read(len(sequence.frames) - 1).ndim == 3
        height, width = sequence.frames.read(0).shape[:2]
        x, y, w, h = sequence.boxes_xywh[0]
        assert 0 <= x < x + w <= width + 1 and 0 <= y < y + h <= height + 1
