"""Formats there and back with everything that they can hold, and any text at all, drawn at random."""

import csv
import io
import json
import struct

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from starktrack.data.formats.format_error import FormatError
from starktrack.data.formats.manifest import read_manifest
from starktrack.data.formats.mask_files import label_png
from starktrack.data.formats.number_text import parse_boxes, parse_numbers, parse_table
from starktrack.data.formats.region_bytes import decode_regions
from starktrack.data.formats.regions import Mask, Polygon, Rectangle, Special, format_region, parse_region
from starktrack.data.formats.result_files import csv_line, json_line, read_boxes, write_boxes
from starktrack.data.track_output import TargetState, TrackOutput
from starktrack.errors import InputError, ResultFileError

FEW = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

NUMBERS = st.integers(-(10**7), 10**7).map(lambda number: number / 10_000)
BOXES = st.lists(st.one_of(st.just([np.nan] * 4), st.lists(NUMBERS, min_size=4, max_size=4)), min_size=1)
TEXTS = st.one_of(st.text(max_size=40), st.text(alphabet="0123456789.,;-+e nNaifm\t\n\r\ufeff٣", max_size=60))


@st.composite
def masks(draw):
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    pixels = draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    return Mask(
        np.array(pixels).reshape(height, width), (draw(st.integers(-9, 900)), draw(st.integers(0, 900)))
    )


REGIONS = st.one_of(
    st.integers(0, 2).map(Special),
    st.lists(NUMBERS, min_size=4, max_size=4).map(lambda box: Rectangle(np.array(box))),
    st.integers(3, 8)
    .flatmap(lambda count: st.lists(NUMBERS, min_size=2 * count, max_size=2 * count))
    .map(lambda values: Polygon(np.array(values).reshape(-1, 2))),
    masks(),
)


def same(a, b, tolerance=1e-9):
    assert type(a) is type(b)
    if isinstance(a, Mask):
        assert a.corner_xy == b.corner_xy
        np.testing.assert_array_equal(a.pixels, b.pixels)
    elif isinstance(a, Special):
        assert a.code == b.code
    else:
        values = [each.box_xywh if isinstance(each, Rectangle) else each.points_xy for each in (a, b)]
        np.testing.assert_allclose(*values, rtol=1e-6, atol=tolerance)


@FEW
@given(BOXES)
def test_boxes_come_back_from_their_file(tmp_path, boxes):
    write_boxes(tmp_path / "boxes.txt", np.array(boxes))
    np.testing.assert_allclose(read_boxes(tmp_path / "boxes.txt"), np.array(boxes), atol=1e-9)


@FEW
@given(BOXES, st.sampled_from([",", "\t", " ", ", ", ";"]), st.sampled_from(["\n", "\r\n"]))
def test_separators_and_line_ends_do_not_matter(boxes, separator, end):
    text = end.join(separator.join(map(str, box)) for box in boxes) + end
    np.testing.assert_array_equal(parse_boxes(text), np.array(boxes))
    np.testing.assert_array_equal(parse_table(text, 3), np.array(boxes)[:, :3])
    np.testing.assert_array_equal(parse_numbers(text), np.array(boxes).ravel())


@FEW
@given(TEXTS)
def test_any_text_is_read_or_refused_with_an_error_of_ours(tmp_path, text):
    for read in (parse_numbers, parse_boxes, lambda text: parse_table(text, 2), parse_region):
        try:
            read(text)
        except FormatError as error:
            assert str(error)
    (tmp_path / "any.txt").write_text(text, encoding="utf-8", newline="")
    try:
        assert read_boxes(tmp_path / "any.txt").shape[1] == 4
    except ResultFileError as error:
        assert "any.txt" in str(error)


@FEW
@given(REGIONS)
def test_a_region_comes_back_from_its_line(region):
    same(parse_region(format_region(region)), region, tolerance=1e-4)


@FEW
@given(st.lists(REGIONS, max_size=4), st.integers(0, 200))
def test_regions_come_back_from_bytes_and_half_of_them_is_refused(regions, cut):
    content = struct.pack("<HI", 1, len(regions)) + b"".join(map(bytes_of, regions))
    for found, region in zip(decode_regions(content), regions, strict=True):
        same(found, region, tolerance=1e-3)
    if cut < len(content):
        with pytest.raises(FormatError, match="whole binary result"):
            decode_regions(content[:cut])


def bytes_of(region):
    """Return a region as the toolkit writes it."""
    match region:
        case Special():
            return struct.pack("<BI", 0, region.code)
        case Rectangle():
            return struct.pack("<B4f", 1, *region.box_xywh)
        case Polygon():
            values = region.points_xy.ravel()
            return struct.pack(f"<BH{len(values)}f", 2, len(region.points_xy), *values)
    height, width = region.pixels.shape
    runs, is_on = [0], False
    for pixel in region.pixels.ravel():
        if pixel != is_on:
            runs, is_on = [*runs, 0], not is_on
        runs[-1] += 1
    return struct.pack(f"<B2h3H{len(runs)}H", 3, *region.corner_xy, width, height, len(runs), *runs)


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "video": st.sampled_from(
                ["a.mp4", "s3://b/c d.mp4", "höhle/é.mkv", 'with "quotes", and comma.avi']
            ),
            "boxes": st.sampled_from(["1,2,3,4", "1,2,3,4; 5,6,7,8", "boxes.json"]),
            "start": st.integers(0, 9),
            "end": st.one_of(st.none(), st.integers(10, 99)),
            "label": st.sampled_from(["", "duck", "赤い車"]),
        }
    ),
    min_size=1,
    max_size=5,
)


@FEW
@given(ROWS)
def test_a_manifest_says_the_same_as_table_and_as_lines(tmp_path, rows):
    rows = [{**row, "id": f"r{number}"} for number, row in enumerate(rows)]
    text = io.StringIO()
    table = csv.DictWriter(text, rows[0].keys())
    table.writeheader()
    table.writerows(rows)
    (tmp_path / "m.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = read_manifest(tmp_path / "m.csv")
    assert found == read_manifest(tmp_path / "m.jsonl")
    assert [(row.video, row.start, row.end, row.label) for row in found] == [
        (row["video"], row["start"], row["end"], row["label"]) for row in rows
    ]


@FEW
@given(st.text(max_size=80), st.sampled_from(["m.csv", "m.jsonl"]))
def test_any_manifest_is_read_or_refused_with_an_error_of_ours(tmp_path, text, name):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    try:
        read_manifest(tmp_path / name)
    except InputError as error:
        assert name in str(error)


@FEW
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_labels_come_back_from_their_picture(height, width, seed):
    import PIL.Image

    labels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    content = label_png(labels)
    np.testing.assert_array_equal(np.array(PIL.Image.open(io.BytesIO(content))), labels)
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape == (height, width, 3)


@FEW
@given(
    st.lists(NUMBERS, min_size=4, max_size=4),
    st.one_of(st.none(), st.floats(0, 1)),
    st.one_of(st.none(), st.sampled_from(TargetState)),
)
def test_an_output_is_the_same_as_csv_and_as_json(box, score, state):
    output = TrackOutput(
        frame_index=3, target_id=1, seconds=0.12, box_xywh=np.array(box), score=score, state=state
    )
    entry = json.loads(json_line(output))
    cells = next(csv.reader([csv_line(output)]))
    shown = ["" if value is None else json.dumps(value).strip('"') for value in entry.values()]
    assert cells == shown
    np.testing.assert_allclose([entry[side] for side in "xywh"], box, atol=1e-4)
