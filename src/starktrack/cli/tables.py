"""Tables as a command prints and writes them."""

import sys
from enum import StrEnum
from pathlib import Path

import typer
from rich.console import Console

from starktrack.errors import InputError, printable
from starktrack.evaluation import tables
from starktrack.files import atomic_write


class Form(StrEnum):
    """Formats of tables."""

    terminal = "terminal"
    markdown = "markdown"
    csv = "csv"
    latex = "latex"


_WRITERS = {Form.markdown: tables.to_markdown, Form.csv: tables.to_csv, Form.latex: tables.to_latex}


def show(table: tables.Table, form: Form) -> None:
    """Print a table on standard output."""
    if form == Form.terminal:
        Console().print(tables.to_terminal(table))
    else:
        typer.echo(_WRITERS[form](table))


def write_json(path: Path, text: str) -> None:
    """Write JSON to the user's path; InputError if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} must lie where you may write, got: {error.strerror}") from error
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def print_error(line: str) -> None:
    """Print a line on standard error."""
    sys.stderr.write(printable(line) + "\n")
