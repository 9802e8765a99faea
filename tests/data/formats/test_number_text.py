import numpy as np
import pytest

from starktrack.data.formats.number_text import parse_boxes, parse_numbers, parse_table
from starktrack.errors import DatasetError, ResultFileError


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3,4\n5,6,7,8",
        "1\t2\t3\t4\r\n5\t6\t7\t8\n",
        "1 2 3  4\n5 6 7 8\n\n",
        "1;2, 3 4,9\n5;6,7 8,9",
    ],
)
def test_every_delimiter_gives_the_same_table(text):
    np.testing.assert_array_equal(parse_table(text, 4, "f", DatasetError), [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_nan_is_a_number():
    assert np.isnan(parse_boxes("NaN,NaN,nan,NaN", "f", DatasetError)).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3,4\n1,2,3\n1,2,3,4", r"f line 2 must hold 4 numbers .*, got '1,2,3'"),
        ("1,2,3,4\n1,2,x,4", r"f line 2 must hold 4 numbers .*, got '1,2,x,4'"),
        ("1,2,3,4\n\n1,2,3,4", r"f line 2 must hold 4 numbers .*, got ''"),
        ("1,2,3\n4,5,6,7,8", r"f line 1 must hold 4 numbers .*, got '1,2,3'"),
        ("1,2,3,4\n1,2,3,4,5", r"f line 2 must hold 4 numbers .*, got '1,2,3,4,5'"),
        ("1,2,3\n1,2,3", r"f line 1 must hold 4 numbers"),
        ("1,2,3,4\n1,2,inf,4", r"f line 2 must hold 4 numbers .*, got '1,2,inf,4'"),
        (" \n", r"f must hold 4 numbers .* in every line, got an empty file"),
    ],
)
def test_a_broken_line_is_named(text, message):
    with pytest.raises(DatasetError, match=message):
        parse_boxes(text, "f", DatasetError)


def test_a_table_may_have_more_columns_but_the_same_in_every_line():
    with pytest.raises(DatasetError, match=r"f line 2 must hold 7 numbers, got '1,2,3,4,5,6'"):
        parse_table("1,2,3,4,5,6,7\n1,2,3,4,5,6", 6, "f", DatasetError)
    assert parse_table("1,2,3,4,5,6,7", 6, "f", DatasetError).tolist() == [[1, 2, 3, 4, 5, 6]]


def test_numbers_may_stand_in_one_line_or_many_and_a_word_is_named():
    assert parse_numbers("0,1 0\n1\n", "f", DatasetError).tolist() == [0, 1, 0, 1]
    assert parse_numbers("", "f", DatasetError).tolist() == []
    with pytest.raises(ResultFileError, match=r"f must hold numbers only, got 'cat'; is it another file?"):
        parse_numbers("1,2\ncat,4", "f", ResultFileError)
