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
ERRORS = ast.parse((ROOT / "src/starktrack/errors.py").read_text(encoding="utf-8"))
CLASSES = {node.name for node in ERRORS.body if isinstance(node, ast.ClassDef)}


def texts_in(tree: ast.AST) -> list[str]:
    """Return the texts in code, f-strings with a gap where a value stands."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else GAP for part in node.values]
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [
        text for path in (ROOT / "src").rglob("*.py") for text in texts_in(ast.parse(path.read_text("utf-8")))
    ]


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


def kinds_raised() -> dict[tuple[str, str], list[str]]:
    """Return the texts of errors by part of the package and class.

    `MissingExtraError` has one text for all packages, in `errors.py`.
    """
    found: dict[tuple[str, str], list[str]] = {}
    source = ROOT / "src/starktrack"
    for path in source.rglob("*.py"):
        parts = path.relative_to(source).parts
        part = "/".join(parts[: 2 if parts[0] == "data" and len(parts) > 2 else 1])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = getattr(node.exc.func, "id", "")
                if name in CLASSES - {"MissingExtraError"}:
                    found.setdefault((part, name), []).extend(texts_in(node.exc))
    return {kind: said for kind, said in found.items() if any(said)}


KINDS = kinds_raised()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_error_of_every_part_has_an_example_on_the_page(kind):
    assert any(is_said(quote, KINDS[kind]) for quote in QUOTES), KINDS[kind]


def test_kinds_of_errors_are_found():
    assert len(KINDS) > 40 and ("data/sources", "DatasetError") in KINDS


def test_every_exception_is_on_the_page():
    rows = {cell.strip("| `") for cell in FIRST_CELLS}
    assert len(CLASSES) > 14 and CLASSES - rows == set()


def test_no_table_of_the_page_is_torn():
    assert "|\n\n|" not in PAGE
