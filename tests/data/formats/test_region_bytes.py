import numpy as np
import pytest

from starktrack.data.formats.format_error import FormatError
from starktrack.data.formats.region_bytes import decode_regions
from starktrack.data.formats.regions import format_region, parse_region

# What the toolkit 0.9.0 wrote for these regions.
WRITTEN = {
    "010000000000": [],
    "01000200000000010000000 10000c03f000000400000404000008040".replace(" ", ""): [
        "1",
        "1.5000,2.0000,3.0000,4.0000",
    ],
    "010001000000020300" + "0000803f00000040000040400000804" + "00000a0400000e040": [
        "1.0000,2.0000,3.0000,4.0000,5.0000,7.0000"
    ],
    "010001000000 03 0500 0600 0200 0200 0400 0000 0200 0100 0100": ["m5,6,2,2,0,2,1,1"],
    "010001000000 03 0000 0000 0300 0300 0100 0900": ["m0,0,3,3,9"],
    "010001000000 03 4600 0900 2c01 0400 0500 2e01 2001 3b01 0100 2601": ["m70,9,300,4,302,288,315,1,294"],
}


@pytest.mark.parametrize("text", WRITTEN)
def test_what_the_toolkit_wrote_is_read(text):
    found = decode_regions(bytes.fromhex(text))
    assert [format_region(region) for region in found] == WRITTEN[text]


def test_a_run_too_long_for_two_bytes_is_put_together():
    text = "010001000000 03 fdff feff 2c01 9001 0400 0000 01fe 0000 bfd6"
    (mask,) = decode_regions(bytes.fromhex(text))
    assert mask.pixels.shape == (400, 300)
    assert mask.pixels.all()
    assert mask.corner_xy == (-3, -2)


@pytest.mark.parametrize(
    "text", ["01", "010001000000", "01000100000000010000", "01000100000009", "0100010000000300"]
)
def test_a_file_that_is_cut_off_is_named(text):
    with pytest.raises(FormatError, match=r"^must be a whole binary result of the VOT toolkit"):
        decode_regions(bytes.fromhex(text))


def test_numbers_are_floats():
    (_, box) = decode_regions(
        bytes.fromhex("01000200000000010000000 10000c03f000000400000404000008040".replace(" ", "")),
    )
    assert box.box_xywh.dtype == np.float64


@pytest.mark.parametrize(
    "line",
    ["m0,0,2,2,99999999999999999999", "m0,0,1,1,4294967295", "m0,0,2147483647,2147483647,1", "m0,0,2,2,-1,1"],
)
def test_a_mask_that_asks_for_all_memory_is_refused(line):
    with pytest.raises(FormatError, match="must be a mask, a polygon, a box or a code"):
        parse_region(line)
