import pytest

from starktrack.data.sources.folders import Folder
from starktrack.data.sources.tables import read_boxes, read_flags
from starktrack.errors import DatasetError


def test_the_file_is_named(build):
    build.lines("g.txt", ["1,2,3"])
    with pytest.raises(DatasetError, match=r"data/g\.txt line 1 must hold 4 numbers"):
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
