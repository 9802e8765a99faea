"""docs/errors.md quotes what the source says."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
FIRST_CELLS = [row.split(" | ")[0] for row in PAGE.splitlines() if row.startswith("| ")]
QUOTES = [quote for cell in FIRST_CELLS for quote in re.findall(r"`([^`]+)`", cell) if " " in quote]
GAP = "\0"


def texts_of(path: Path) -> list[str]:
    """Return the texts in a file, f-strings with a gap where a value stands."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else GAP for part in node.values]
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [text for path in (ROOT / "src").rglob("*.py") for text in texts_of(path)]


def is_said(quote: str, texts: list[str]) -> bool:
    """Return whether one text has the fixed parts of the quote in their order; parts may lie in nested texts."""
    fixed = [part.strip() for part in quote.split("...") if part.strip(" ;,.:()")]
    pattern = re.compile(".*".join(map(re.escape, fixed)), re.DOTALL)
    return any(pattern.search(text) for text in texts)


@pytest.mark.parametrize("quote", QUOTES)
def test_every_error_on_the_page_exists_in_the_source(quote, texts):
    assert is_said(quote, texts)


def test_a_quote_that_nobody_says_is_found(texts):
    assert len(QUOTES) > 30
    assert not is_said("a box must be at least ... furlongs wide", texts)


def test_every_exception_is_on_the_page():
    tree = ast.parse((ROOT / "src/starktrack/errors.py").read_text(encoding="utf-8"))
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    rows = {cell.strip("| `") for cell in FIRST_CELLS}
    assert len(classes) > 14 and classes - rows == set()
