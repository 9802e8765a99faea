"""Values from untrusted files: each records its place, so that errors can name it."""

import configparser
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers import expat

from starktrack.errors import AnnotationError
from starktrack.files import atomic_write

LARGEST_FILE = 512 * 2**20
"""Bytes of a file that is read; ten hours of a densely annotated video take less."""

LARGEST_NUMBER = 1e9

LARGEST_FRAME = 10_000_000
"""Frames of a video; a day at 100 frames per second has 8,640,000."""

DEEPEST = 64
"""Levels of elements within elements."""


@dataclass(frozen=True)
class Value:
    """A value of a file and its place, such as `tracks.json: annotations[3].bbox`. Every method raises
    `AnnotationError` if the value has another type or range.
    """

    raw: Any
    where: str

    def __getitem__(self, key: str) -> "Value":
        """Return the value under a key that must be there."""
        if not isinstance(self.raw, dict) or key not in self.raw:
            raise self.wrong(f"have the key {key!r}")
        return Value(self.raw[key], f"{self.where}{self._joint}{key}")

    def get(self, key: str) -> "Value | None":
        """Return the value under a key, or None where there is none or it is null."""
        if not isinstance(self.raw, dict):
            raise self.wrong("be an object")
        return None if self.raw.get(key) is None else self[key]

    def entries(self) -> Iterator[tuple[str, "Value"]]:
        """Yield key and value of every entry of an object."""
        if not isinstance(self.raw, dict):
            raise self.wrong("be an object")
        for key in self.raw:
            yield key, self[key]

    def items(self, count: int | None = None) -> list["Value"]:
        """Return the values of a list, of this length where one is given."""
        if not isinstance(self.raw, list) or (count is not None and len(self.raw) != count):
            raise self.wrong("be a list" if count is None else f"be a list of {count}")
        return [Value(raw, f"{self.where}[{index}]") for index, raw in enumerate(self.raw)]

    def number(self, low: float | int = -LARGEST_NUMBER, high: float | int = LARGEST_NUMBER) -> float:
        """Return a finite number within these limits; text that is a number counts."""
        try:
            number = math.nan if isinstance(self.raw, bool) else float(self.raw)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not low <= number <= high:
            raise self.wrong(f"be a number from {low:g} to {high:g}")
        return number

    def integer(self, low: int = -(10**9), high: int = 10**9) -> int:
        """Return a whole number within these limits; 3.0 counts."""
        number = self.number(low, high)
        if number != int(number):
            raise self.wrong("be a whole number")
        return int(number)

    def frame(self, first: int = 0) -> int:
        """Return a frame's index from 0, given the number by which the file counts the first one."""
        return self.integer(first, LARGEST_FRAME + first) - first

    def numbers(self, count: int | None = None) -> list[float]:
        """Return a list of numbers."""
        return [item.number() for item in self.items(count)]

    def flag(self) -> bool:
        """Return yes or no: true, 1, "1" and "true", or their opposites."""
        word = str(self.raw).lower()
        if word not in ("true", "1", "false", "0"):
            raise self.wrong("be true or false")
        return word in ("true", "1")

    def text(self) -> str:
        """Return a text; a number is written out."""
        if isinstance(self.raw, str):
            return self.raw
        if self.raw is None or isinstance(self.raw, list | dict):
            raise self.wrong("be a text")
        return json.dumps(self.raw)

    def wrong(self, rule: str) -> AnnotationError:
        """Return the error that says what this value must be."""
        shown = (
            self.raw if isinstance(self.raw, str) else json.dumps(self.raw, ensure_ascii=False, default=str)
        )
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        return AnnotationError(f"{self.where} must {rule}, got {shown!r}")

    @property
    def _joint(self) -> str:
        return " " if self.where.endswith(":") else "."


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8.

    Raises:
        AnnotationError: Missing, too large, or no text.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise AnnotationError(f"{path} must have at most {LARGEST_FILE:,} bytes, got {size:,}; split it")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AnnotationError(f"{path} must be a file that can be read, got: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f"{path} must be a text in UTF-8, got the byte {error.start} of another"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    write_text(path, json.dumps(content, ensure_ascii=False))


def read_ini(path: Path, section: str) -> dict[str, Value]:
    """Return the entries of one section of an INI file, by names in small letters; none where there is no file.

    Raises:
        AnnotationError: As `read_text`, no INI file, or one without the section.
    """
    if not path.is_file():
        return {}
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(read_text(path))
        return {key: Value(text or "", f"{path}: {key}") for key, text in parser[section].items()}
    except (configparser.Error, KeyError) as error:
        raise AnnotationError(f"{path} must hold [{section}], got: {str(error).splitlines()[0]}") from error


def read_json(path: Path) -> Value:
    """Return the content of a JSON file.

    Raises:
        AnnotationError: As `read_text`, or no JSON; names line and column.
    """
    return json_value(read_text(path), f"{path}:")


def json_value(text: str, where: str) -> Value:
    """Return a JSON text as a value.

    Args:
        where: What it is called in messages.

    Raises:
        AnnotationError: It is no JSON; names line and column.
    """
    try:
        return Value(json.loads(text), where)
    except json.JSONDecodeError as error:
        place = f"{where.removesuffix(':')} line {error.lineno} column {error.colno}"
        raise AnnotationError(f"{place} must be JSON, got: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise AnnotationError(
            f"{where.removesuffix(':')} must be plain JSON, got {str(error)[:80]}"
        ) from error


@dataclass
class Element:
    """An element of an XML file.

    Attributes:
        tag: Its name.
        where: File and line.
        texts: Its attributes.
        children: The elements in it.
        text: The text in it.
    """

    tag: str
    where: str
    texts: dict[str, str]
    children: list["Element"]
    text: str = ""

    def attribute(self, name: str, default: str | None = None) -> Value:
        """Return an attribute, which must be there where no default is given.

        Raises:
            AnnotationError: It is not there.
        """
        text = self.texts.get(name, default)
        if text is None:
            raise AnnotationError(f"{self.where} must have the attribute {name} in <{self.tag}>, got none")
        return Value(text, f"{self.where} {name} in <{self.tag}>")

    def all(self, *tags: str) -> list["Element"]:
        """Return the elements of these names in it."""
        return [child for child in self.children if child.tag in tags]

    def find(self, *path: str) -> "Element | None":
        """Return the first element at the end of a path of names, or None."""
        if not path:
            return self
        found = (child.find(*path[1:]) for child in self.children if child.tag == path[0])
        return next((element for element in found if element is not None), None)

    def value(self, *path: str) -> Value | None:
        """Return the text of the element at the end of a path, or None where there is none or it is empty."""
        element = self.find(*path)
        if element is None or not element.text.strip():
            return None
        return Value(element.text.strip(), f"{element.where} <{element.tag}>")

    def required(self, *path: str) -> Value:
        """Return the text of the element at the end of a path.

        Raises:
            AnnotationError: There is none.
        """
        value = self.value(*path)
        if value is None:
            raise AnnotationError(
                f"{self.where} must have a value <{'/'.join(path)}> in <{self.tag}>, got none"
            )
        return value


def read_xml(path: Path) -> Element:
    """Return the root of an XML file.

    A document type is refused, and entities with it: they can grow without end or name other files.

    Raises:
        AnnotationError: As `read_text`, no XML, one with a document type, or one that is nested too deeply.
    """
    text = read_text(path)
    parser = expat.ParserCreate("utf-8")
    open_elements = [Element("", str(path), {}, [])]

    def start(tag: str, texts: dict[str, str]) -> None:
        if len(open_elements) > DEEPEST:
            raise AnnotationError(f"{path} must have at most {DEEPEST} elements in each other, got more")
        # The same few names come again in every frame: each is kept once.
        own = {sys.intern(name): text for name, text in texts.items()}
        element = Element(sys.intern(tag), f"{path} line {parser.CurrentLineNumber}", own, [])
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_: str) -> None:
        open_elements.pop()

    def characters(text: str) -> None:
        open_elements[-1].text += text

    def refuse(*_: object) -> None:
        raise AnnotationError(
            f"{path} line {parser.CurrentLineNumber} must have no document type (<!DOCTYPE>), got one; "
            "remove it: it may define entities, which are not read"
        )

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, refuse
    parser.buffer_text = True
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise AnnotationError(
            f"{path} line {error.lineno} must be XML, got: {expat.ErrorString(error.code)}"
        ) from error
    return open_elements[0].children[0]
