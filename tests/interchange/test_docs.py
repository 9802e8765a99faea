"""The table of docs/annotations.md says what the code says."""

import re
from pathlib import Path

from starktrack.cli.annotations import annotations
from starktrack.interchange import FORMATS, KEEPS

PAGE = Path(__file__).parents[2] / "docs" / "annotations.md"
SHORT = {"several targets": "several", "key boxes": "key", "frame rate": "rate"}


def table() -> str:
    heads = ["name", "format", "frames", "pixels", *(SHORT.get(key, key) for key in KEEPS)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for each in FORMATS.values():
        cells = [f"`{each.name}`", each.title, str(each.frames_from), each.coordinates]
        cells += ["yes" if key in each.keeps else "-" for key in KEEPS]
        lines.append("| " + " | ".join(cells) + " |")
    notes = [f"- `{each.name}`: {each.note} Source: {each.source}." for each in FORMATS.values()]
    return "\n".join([*lines, "", *notes])


def test_the_page_has_the_table_of_the_code():
    found = re.search(r"<!-- table -->\n(.*)<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found[1].strip() == table()


def test_the_help_of_the_command_names_every_format():
    words = " ".join((annotations.__doc__ or "").split())
    assert f"Formats: {', '.join(FORMATS)}." in words


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split("<!-- table -->\n")
    new = f"{head}<!-- table -->\n{table()}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    PAGE.write_text(new, encoding="utf-8")
