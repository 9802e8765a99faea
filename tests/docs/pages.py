"""The pages as the tests see them: their fenced blocks, and what the comment above a block says of it."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUN = [ROOT / "README.md", DOCS / "tour.md", DOCS / "batch.md", *sorted((DOCS / "how-to").glob("*.md"))]
"""Pages of which every command and every Python block runs."""

FENCE = re.compile(r"^( *)```(\w*) *$")
COMMENT = re.compile(r"^ *<!-- (not run|file): (.+) -->$")


@dataclass(frozen=True)
class Block:
    """A fenced block; `not_run` is the reason why the tests leave it out, `file` the file that it is saved to."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str = ""
    file: str = ""

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks_of(page: Path) -> list[Block]:
    found, lines = [], page.read_text(encoding="utf-8").splitlines()
    position = 0
    while position < len(lines):
        fence = FENCE.match(lines[position])
        if fence:
            end = lines.index(f"{fence[1]}```", position + 1)
            said = COMMENT.match(lines[position - 1]) if position else None
            notes = {said[1].replace(" ", "_"): said[2]} if said else {}
            text = "\n".join(line.removeprefix(fence[1]) for line in lines[position + 1 : end])
            found.append(Block(page, position + 1, fence[2], text + "\n", **notes))
            position = end
        position += 1
    return found


def commands_of(block: Block) -> list[str]:
    """Return the commands of a shell block; a backslash at the end of a line joins it with the next."""
    joined = re.sub(r"\\\n\s*", " ", block.text)
    return [line for line in map(str.strip, joined.splitlines()) if line and not line.startswith("#")]
