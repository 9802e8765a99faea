"""Damage a file: bytes at random, or its structure, with checksums kept right so that readers get further."""

import contextlib
import io
import json
import random
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 100_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Numbers at the edges of integer types, and a size that no picture has."""

WORDS = (
    *("", "nan", "inf", "-inf", "-1", "0", "1e308", "-1e-308", "1e999", "99999999999999999999", "100000"),
    *("2147483647", "4294967296", "0x10", "1_000", "٣", "true", "null", "\x00", "\ufeff", "é" * 300, "a\nb"),
    *(
        "../../canary",
        "/var/starktrack-canary",
        "{}",
        "[]",
        '"',
        "%n%s",
        "<!DOCTYPE a>",
        "&b;",
        "=",
        "[" * 3000,
    ),
)
"""Words that stand in place of words of a text."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 1e308, float("nan"), float("inf"), 0.5, "", "x"),
    *("1", "../../canary", "\x00", "é" * 300, [], {}, [[]], [1, 2], {"a": 1}, [None], [1e9, 1e9, 1e9, 1e9]),
)
"""Values that stand in place of values of JSON."""


def mutate(content: bytes, name: str, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Return the damaged content of a file; one in twenty stays as it is.

    Args:
        others: Contents of other files, whose heads and parts are mixed in.
    """
    if dice.random() < 0.05:
        return content
    by_structure = _structure(name, content)
    if by_structure is not None and dice.random() < 0.6:
        with contextlib.suppress(
            ValueError, KeyError, IndexError, struct.error, zipfile.BadZipFile, RecursionError
        ):
            content = by_structure(content, dice, others)
            if dice.random() < 0.8:
                return content
    return mutate_bytes(content, dice, others)


def mutate_bytes(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Return the content cut, with flipped bits, other numbers, moved blocks, or another file's beginning."""
    data = bytearray(content)
    for _ in range(dice.choice((1, 1, 1, 2, 4, 16))):
        if not data:
            break
        place = dice.randrange(len(data) if dice.random() < 0.5 else min(len(data), 512))
        match dice.randrange(7):
            case 0:
                data[place] ^= 1 << dice.randrange(8)
            case 1:
                del data[place:]
            case 2:
                size = dice.choice((1, 2, 4, 4, 8))
                value = dice.choice(INTERESTING) & ((1 << 8 * size) - 1)
                data[place : place + size] = value.to_bytes(size, dice.choice(("little", "big")))
            case 3:
                length = dice.randrange(1, 2000)
                data[place:place] = data[place : place + length] * dice.choice((1, 1, 50))
            case 4:
                del data[place : place + dice.randrange(1, 200)]
            case 5:
                data[place : place + 64] = dice.randbytes(64)
            case _:
                other = dice.choice(others)
                head = dice.choice((dice.randrange(1, 256), 4096))
                data[:head] = other[:head]
    return bytes(data)


def mutate_value(value: Any, dice: random.Random) -> Any:
    """Return a value of JSON in which one to four places are something else, are missing, or come twice."""
    value = json.loads(json.dumps(value))
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        places = [((), None, value), *_places(value)]
        _, holder, _ = dice.choice(places)
        if holder is None:
            if len(places) == 1 or dice.random() < 0.2:
                return dice.choice(VALUES)
            continue
        if isinstance(holder, dict):
            key = dice.choice(sorted(holder))
            match dice.randrange(4):
                case 0:
                    del holder[key]
                case 1:
                    holder[dice.choice(("", "x", "id", "é", key + "s"))] = holder[key]
                case _:
                    holder[key] = dice.choice(VALUES)
        else:
            index = dice.randrange(len(holder))
            match dice.randrange(4):
                case 0:
                    del holder[index]
                case 1:
                    holder[index:index] = [holder[index]] * dice.choice((1, 3, 100))
                case _:
                    holder[index] = dice.choice(VALUES)
    return value


def mutate_text(text: str, dice: random.Random) -> str:
    """Return a text in which words are others, lines are missing, come twice or are moved."""
    for _ in range(dice.choice((1, 1, 2, 4))):
        words = re.split(r"([\s,;=<>\"'\[\]{}():/|]+)", text)
        lines = text.split("\n")
        index = dice.randrange(len(lines))
        match dice.randrange(6):
            case 0:
                del lines[index]
                text = "\n".join(lines)
            case 1:
                lines[index:index] = [lines[index]] * dice.choice((1, 2, 500))
                text = "\n".join(lines)
            case 2:
                dice.shuffle(lines)
                text = "\n".join(lines)
            case _:
                words[dice.randrange(len(words))] = dice.choice(WORDS)
                text = "".join(words)
    return text


def _places(value: Any) -> list[tuple[tuple, Any, Any]]:
    """Return every container below a value that holds something, as (path, container, container)."""
    found: list[tuple[tuple, Any, Any]] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list) and each:
            found.append(((), each, each))
            waiting.extend(each.values() if isinstance(each, dict) else each)
    return found


_MOST_UNPACKED = 16 * 2**20
"""A larger archive is a bomb: only its bytes are damaged."""

_Mutator = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def _structure(name: str, content: bytes) -> _Mutator | None:
    if content[:4] == b"PK\x03\x04":
        return _mutate_zip
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        return _mutate_png
    suffix = name.rpartition(".")[2].lower()
    return {
        "json": _mutate_json,
        "safetensors": _mutate_safetensors,
        "onnx": _mutate_onnx,
        **dict.fromkeys(
            ("txt", "csv", "jsonl", "xml", "toml", "ini", "label", "value", "m3u8", "sequence"),
            _mutate_text_bytes,
        ),
    }.get(suffix)


def _mutate_text_bytes(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    return mutate_text(content.decode("utf-8"), dice).encode("utf-8", "surrogatepass")


def _mutate_json(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    if dice.random() < 0.3:
        return _mutate_text_bytes(content, dice, others)
    return json.dumps(mutate_value(json.loads(content), dice)).encode()


def _mutate_safetensors(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Change the header, or the configuration inside it, and keep its length right."""
    (size,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + size])
    texts = header.get("__metadata__", {})
    if texts and dice.random() < 0.6:
        key = dice.choice(sorted(texts))
        texts[key] = json.dumps(mutate_value(json.loads(texts[key]), dice))
    else:
        header = mutate_value(header, dice)
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + content[8 + size :]


def _mutate_zip(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Pack the archive anew with a damaged, renamed, doubled or missing member; checksums are right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(each.file_size for each in archive.infolist()) > _MOST_UNPACKED:
            raise ValueError("a bomb")
        members = [(each.filename, archive.read(each), each.compress_type) for each in archive.infolist()]
    index = dice.randrange(len(members))
    name, inside, method = members[index]
    match dice.randrange(6):
        case 0:
            members[index] = (
                dice.choice(("../../canary", "/var/starktrack-canary", "x", "")),
                inside,
                method,
            )
        case 1:
            members.append((name, dice.choice(others)[:4096], method))
        case 2:
            del members[index]
        case _:
            members[index] = (name, mutate(inside, name, dice, others), method)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name that comes twice is what is wanted
        for name, inside, method in members:
            archive.writestr(zipfile.ZipInfo(name), inside, compress_type=method)
    return buffer.getvalue()


def _mutate_png(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Change one chunk and keep its checksum right."""
    chunks, position = [], 8
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        chunks.append((content[position + 4 : position + 8], content[position + 8 : position + 8 + length]))
        position += 12 + length
    index = dice.randrange(len(chunks))
    kind, inside = chunks[index]
    match dice.randrange(4):
        case 0:
            chunks[index:index] = [chunks[index]] * dice.choice((1, 3, 200))
        case 1:
            del chunks[index]
        case _:
            chunks[index] = (kind, mutate_bytes(inside, dice, others) if inside else b"\0" * 8)
    return content[:8] + b"".join(
        struct.pack(">I", len(inside)) + kind + inside + struct.pack(">I", zlib.crc32(kind + inside))
        for kind, inside in chunks
    )


def _mutate_onnx(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Change numbers, names and parts of the graph."""
    import onnx

    model = onnx.load_model_from_string(content)
    for _ in range(dice.choice((1, 1, 2, 4))):
        node = dice.choice(model.graph.node)
        tensor = dice.choice(model.graph.initializer)
        match dice.randrange(9):
            case 0:
                node.op_type = dice.choice(
                    ("Loop", "If", "Identity", "ConstantOfShape", "Resize", "Nothing", "Tile")
                )
            case 1:
                numbers = [each for each in node.attribute if each.HasField("i")]
                if numbers:
                    dice.choice(numbers).i = dice.choice((*INTERESTING, -1, 2**62))
            case 2:
                lists = [each for each in node.attribute if len(each.ints)]
                if lists:
                    ints = dice.choice(lists).ints
                    ints[dice.randrange(len(ints))] = dice.choice((*INTERESTING, -1, 2**62))
            case 3:
                if tensor.dims:
                    tensor.dims[dice.randrange(len(tensor.dims))] = dice.choice((*INTERESTING, -1))
            case 4:
                tensor.data_location = onnx.TensorProto.EXTERNAL
                place = dice.choice(("/etc/passwd", "../secret", "a.onnx", "/dev/zero"))
                del tensor.external_data[:]
                for key, text in (
                    ("location", place),
                    ("offset", "0"),
                    ("length", str(dice.choice(INTERESTING))),
                ):
                    tensor.external_data.add(key=key, value=text)
            case 5:
                if node.input:
                    node.input[dice.randrange(len(node.input))] = dice.choice(
                        ("", "x", tensor.name, *model.graph.node[0].output)
                    )
            case 6:
                if tensor.data_type == onnx.TensorProto.INT64 and tensor.raw_data:
                    numbers_of = bytearray(tensor.raw_data)
                    place_of = 8 * dice.randrange(len(numbers_of) // 8)
                    value = dice.choice((*INTERESTING, 2**62)).to_bytes(8, "little")
                    numbers_of[place_of : place_of + 8] = value
                    tensor.raw_data = bytes(numbers_of)
            case 7:
                entry = dice.choice(model.metadata_props)
                entry.value = json.dumps(mutate_value(json.loads(entry.value), dice))
            case _:
                model.graph.node.remove(node)
    return model.SerializeToString()
