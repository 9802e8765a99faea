"""The lists that belong to the data sets: splits, ranges and names, shipped as text beside this package."""

from importlib.resources import files


def read_words(name: str) -> list[str]:
    """Return the words of `data/lists/<name>.txt`; lines that start with # are remarks."""
    text = (files("starktrack.data") / "lists" / f"{name}.txt").read_text(encoding="utf-8")
    return [word for line in text.splitlines() if not line.startswith("#") for word in line.split()]


def read_rows(name: str) -> list[list[str]]:
    """Return the lines of `data/lists/<name>.txt`, each cut into words; # starts a remark."""
    text = (files("starktrack.data") / "lists" / f"{name}.txt").read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
