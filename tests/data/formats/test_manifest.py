import json

import pytest

from starktrack.data.formats.manifest import ManifestRow, read_manifest
from starktrack.errors import InputError, MissingExtraError

ROWS = [
    {"video": "a/dog.mp4", "boxes": "231,38.5,59,47"},
    {
        "video": "s3://b/cat.mp4?v=1",
        "boxes": "1,2,3,4; 5,6,7,8",
        "start": 9,
        "direction": "backward",
        "id": "c",
    },
    {"video": "größe.mp4", "boxes": "größe.xml", "start": 3, "end": 9, "label": "Hund, groß", "id": "7"},
]


def write(path, rows):
    if path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        names = list(dict.fromkeys(name for row in rows for name in row))
        cells = [[str(row.get(name, "")) for name in names] for row in rows]
        text = "\n".join(",".join(f'"{cell}"' for cell in line) for line in [names, *cells])
        path.write_text("\ufeff" + text, encoding="utf-8")
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_form_of_a_manifest_gives_the_same_rows(tmp_path, suffix):
    names = dict.fromkeys(name for row in ROWS for name in row)
    rows = [{name: row.get(name) for name in names} for row in ROWS] if suffix == ".parquet" else ROWS
    found = read_manifest(write(tmp_path / f"m{suffix}", rows))
    assert found[0] == ManifestRow(found[0].id, "a/dog.mp4", "231,38.5,59,47")
    assert found[0].id.startswith("dog-") and len(found[0].id) == 14
    assert found[1] == ManifestRow("c", "s3://b/cat.mp4?v=1", "1,2,3,4; 5,6,7,8", 9, None, "backward")
    assert found[1].boxes_xywh == ((1, 2, 3, 4), (5, 6, 7, 8))
    assert found[2] == ManifestRow("7", "größe.mp4", "größe.xml", 3, 9, "forward", "Hund, groß")
    assert found[2].boxes_xywh is None


def test_an_id_of_the_content_does_not_depend_on_the_place_in_the_manifest(tmp_path):
    first = read_manifest(write(tmp_path / "a.jsonl", ROWS))
    second = read_manifest(write(tmp_path / "b.jsonl", ROWS[::-1]))
    assert first == second[::-1]
    other = read_manifest(write(tmp_path / "c.jsonl", [{**ROWS[0], "end": 5}]))
    assert other[0].id != first[0].id


GOOD = {"video": "v.mp4", "boxes": "1,2,3,4"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video": ""}, "video must be given, got nothing"),
        ({"boxes": None}, "boxes must be given, got nothing"),
        ({"video": 7}, "video must be text, got 7"),
        (
            {"boxes": "1,2,3"},
            r"each box must be four finite numbers x,y,w,h, got '1,2,3'; separate boxes by ;",
        ),
        ({"boxes": "1,2,3,4,5,6,7,8"}, "each box must be four"),
        ({"boxes": "1,2,nan,4"}, "four finite numbers"),
        ({"boxes": "1,2,inf,4"}, "four finite numbers"),
        ({"boxes": "1,2,,4"}, r"boxes must be x,y,w,h, several separated by ;, or a file, got '1,2,,4'"),
        (
            {"boxes": "0.1,0.2,0.3,0.4"},
            "at least 1 pixel wide and high, got 0.1,0.2,0.3,0.4; multiply shares",
        ),
        ({"boxes": "s3://b/boxes.xml"}, "numbers or a file on disk, got 's3://b/boxes.xml'; write x,y,w,h"),
        ({"start": -1}, "start must be a frame, a whole number from 0 on, got -1"),
        ({"start": 1.5}, "got 1.5"),
        ({"end": "soon"}, "end must be a frame, a whole number from 0 on, got 'soon'"),
        ({"start": True}, "got True"),
        ({"start": "9" * 400}, "start must be a frame"),
        ({"start": 5, "end": 5}, "end must lie after start 5 where direction is forward, got 5"),
        (
            {"start": 5, "end": 6, "direction": "backward"},
            "end must lie before start 5 where direction is back",
        ),
        ({"direction": "backward"}, "start must be given where direction is backward, got nothing"),
        ({"direction": "up"}, "direction must be forward or backward, got 'up'"),
        ({"id": "a/b"}, "id must be a file name without / and"),
        ({"id": ".."}, "id must be a file name"),
        ({"id": "x" * 201}, "id must have at most 200 bytes, got 201"),
        ({"id": "first"}, "id must differ from those of other rows, got 'first' of row 1 again"),
        ({"ende": 7}, "unknown key 'ende'; did you mean 'end'?"),
    ],
)
def test_a_bad_row_is_named_with_its_number_and_the_rule(tmp_path, change, message):
    path = write(tmp_path / "m.jsonl", [{**GOOD, "id": "first"}, {**GOOD, **change}])
    with pytest.raises(InputError, match=message) as caught:
        read_manifest(path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path} must hold good rows only, 1 row is not:"
    assert len(lines) == 2 and lines[1].startswith("  row 2: ")


def test_all_bad_rows_are_named_up_to_a_limit(tmp_path):
    path = write(tmp_path / "m.jsonl", [{**GOOD, "end": -index} for index in range(1, 31)])
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    lines = str(caught.value).splitlines()
    assert "30 rows are not" in lines[0] and len(lines) == 22 and lines[-1].strip() == "and 10 more"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.txt", b"", "a manifest must end in .csv, .jsonl, .ndjson or .parquet, got 'm.txt'"),
        ("m.csv", b"", "columns video and boxes, and each column once, got no column 'video'"),
        ("m.csv", b"video,boxes\n", "must hold at least one row, got none"),
        ("m.csv", b"video,boxes,video\n", "got one twice"),
        (
            "m.jsonl",
            b'{"video": "v.mp4", "boxes": "1,2,3,4", "id": "a\\ud800"}\n',
            "row 1: id must be text that UTF-8 can hold",
        ),
        (
            "m.jsonl",
            b'{"video": "v.mp4", "boxes": "1,2,3,4", "start": ' + b"9" * 5000 + b"}\n",
            "row 1: a line must be one JSON object",
        ),
        ("m.csv", b"video,boxen\n", "unknown column 'boxen'; did you mean 'boxes'?"),
        (
            "m.csv",
            b"video,boxes\nv.mp4,1,2,3,4\n",
            "row 1: a row must have 2 cells as the first line, got 5 in line 2",
        ),
        ("m.csv", b'video,boxes\nv.mp4,"1,2,3,4" x\n', "line 2 must be CSV, got"),
        ("m.csv", b"video,boxes\n\xff\xfe,1\n", "must be text in UTF-8, got other bytes after row 0"),
        ("m.jsonl", b"{}\n[1]\n{\n", "row 3: a line must be one JSON object"),
        ("m.jsonl", b"[" * 100000, "row 1: a line must be one JSON object"),
        ("m.parquet", b"PAR0", "must be a Parquet file, got"),
    ],
)
def test_a_file_that_is_no_manifest_is_an_error(tmp_path, name, content, message):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message.replace("'", ".").replace("?", ".")):
        read_manifest(tmp_path / name)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"must be a manifest that can be read, got: No such file"):
        read_manifest(tmp_path / "m.csv")


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"starktrack\[parquet\]"):
        read_manifest(tmp_path / "m.parquet")
