import numpy as np
import pytest

from starktrack.data.sources.folders import Folder
from starktrack.data.sources.tables import has_area, parse_table, read_boxes, read_flags
from starktrack.errors import DatasetError


@pytest.mark.parametrize(
    "text",
    ["1,2,3,4\n5,6,7,8", "1\t2\t3\t4\r\n5\t6\t7\t8\n", "1 2 3  4\n5 6 7 8\n\n", "1;2, 3 4,9\n5;6,7 8,9"],
)
def test_every_delimiter_gives_the_same_table(text):
    np.testing.assert_array_equal(parse_table(text, 4, "f"), [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_nan_is_a_number_without_area():
    table = parse_table("NaN,NaN,NaN,NaN\n1,2,0,4\n1,2,3,4", 4, "f")
    assert has_area(table).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3,4\n1,2,3\n1,2,3,4", r"f line 2 must hold 4 numbers, got '1 2 3'"),
        ("1,2,3,4\n1,2,x,4", r"f line 2 must hold 4 numbers, got '1 2 x 4'"),
        ("1,2,3,4\n\n1,2,3,4", r"f line 2 must hold 4 numbers, got ''"),
        ("1,2,3,4\n1,2,3,4,5", r"f must hold equally many numbers"),
        ("1,2,3\n1,2,3", r"f line 1 must hold 4 numbers"),
        (" \n", r"f must hold 4 numbers in every line, it is empty"),
    ],
)
def test_a_broken_line_is_named(text, message):
    with pytest.raises(DatasetError, match=message):
        parse_table(text, 4, "f")


def test_the_file_is_named(build):
    build.lines("g.txt", ["1,2,3"])
    with pytest.raises(DatasetError, match=r"data/g\.txt line 1 must hold 4"):
        read_boxes(Folder(build.root), "g.txt")


def test_flags_come_in_one_line_or_many(build):
    build.lines("one.txt", ["0,1,0"])
    build.lines("many.txt", ["0", "1", "0"])
    build.lines("bad.txt", ["0", "x"])
    folder = Folder(build.root)
    assert (
        read_flags(folder, "one.txt", 3).tolist() == read_flags(folder, "many.txt", 3).tolist() == [0, 1, 0]
    )
    with pytest.raises(DatasetError, match=r"bad\.txt must hold numbers only"):
        read_flags(folder, "bad.txt", 2)
