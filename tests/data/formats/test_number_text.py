import numpy as np
import pytest

from starktrack.data.formats.format_error import FormatError, named_errors
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
    np.testing.assert_array_equal(parse_table(text, 4), [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_nan_is_a_number():
    assert np.isnan(parse_boxes("NaN,NaN,nan,NaN")).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3,4\n1,2,3\n1,2,3,4", r"^line 2 must hold 4 numbers .*, got '1,2,3'"),
        ("1,2,3,4\n1,2,x,4", r"^line 2 must hold 4 numbers .*, got '1,2,x,4'"),
        ("1,2,3,4\n\n1,2,3,4", r"^line 2 must hold 4 numbers .*, got ''"),
        ("1,2,3\n4,5,6,7,8", r"^line 1 must hold 4 numbers .*, got '1,2,3'"),
        ("1,2,3,4\n1,2,3,4,5", r"^line 2 must hold 4 numbers .*, got '1,2,3,4,5'"),
        ("1,2,3\n1,2,3", r"^line 1 must hold 4 numbers"),
        ("1,2,3,4\n1,2,inf,4", r"^line 2 must hold 4 numbers .*, got '1,2,inf,4'"),
        (" \n", r"^must hold 4 numbers .* in every line, got an empty file"),
    ],
)
def test_a_broken_line_is_named(text, message):
    with pytest.raises(FormatError, match=message):
        parse_boxes(text)


def test_a_table_may_have_more_columns_but_the_same_in_every_line():
    with pytest.raises(FormatError, match=r"^line 2 must hold 7 numbers, got '1,2,3,4,5,6'"):
        parse_table("1,2,3,4,5,6,7\n1,2,3,4,5,6", 6)
    assert parse_table("1,2,3,4,5,6,7", 6).tolist() == [[1, 2, 3, 4, 5, 6]]


def test_numbers_may_stand_in_one_line_or_many_and_a_word_is_named():
    assert parse_numbers("0,1 0\n1\n").tolist() == [0, 1, 0, 1]
    assert parse_numbers("").tolist() == []
    with pytest.raises(FormatError, match=r"^must hold numbers only, got 'cat'; is it another file?"):
        parse_numbers("1,2\ncat,4")


@pytest.mark.parametrize("error_class", [DatasetError, ResultFileError])
def test_the_caller_names_the_file(error_class):
    with (
        pytest.raises(error_class, match=r"^a/f\.txt line 2 must hold 4 numbers .*, got '1,2'$"),
        named_errors("a/f.txt", error_class),
    ):
        parse_boxes("1,2,3,4\n1,2")


@pytest.mark.parametrize("word", ["1_000", "٣", "0x10", "\ufeff1", "1\x00", "1e", "true"])
def test_what_only_python_takes_for_a_number_is_named_with_its_line(word):
    with pytest.raises(FormatError, match=r"^line 2 must hold 4 numbers"):
        parse_boxes(f"1,2,3,4\n1,2,{word},4\n")
