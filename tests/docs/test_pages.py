"""The pages as text: links of README, length of lines, words."""

import re
from itertools import pairwise

import pytest
from tests.docs.pages import DOCS, ROOT, name_of

OUTSIDE = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*OUTSIDE, *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def anchors_of(page):
    """Return the anchors that a hosted repository gives the headings of a page."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_the_readme_leads_to_the_pages():
    links = LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len([link for link in links if link.startswith("docs/")]) > 8


def prose_of(page):
    """Yield the number and text of the lines that can be wrapped: no code, no tables, nothing generated, no links."""
    in_code = is_generated = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.strip()
        if words.startswith("```"):
            in_code = not in_code
        elif words == "<!-- table -->" or words.startswith("<!-- end"):
            is_generated = words == "<!-- table -->"
        elif not (in_code or is_generated or words.startswith(("|", "!["))):
            yield number, line


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_of_prose_have_at_most_120_columns(page):
    long = {number: len(line) for number, line in prose_of(page) if len(line) > 120}
    assert long == {}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_packages_are_called_packages(page):
    text = page.read_text(encoding="utf-8").lower()
    assert re.findall(r"\b(?:the house|the rooms?|rooms)\b", text) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_page_has_a_title_and_no_heading_is_skipped(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    if levels:
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
