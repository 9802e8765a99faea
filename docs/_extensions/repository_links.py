"""Links that leave `docs/` lead to the site's own copy of a file: model cards, changelog, how to contribute."""

from sphinx.application import Sphinx

PAGES = {
    "CHANGELOG.md": "/changelog.md",
    "CONTRIBUTING.md": "/contributing.md",
    "src/starktrack/pretrained/refine_mobile.md": "/reference/refine_mobile.md",
    "src/starktrack/pretrained/stark_mobile.md": "/reference/stark_mobile.md",
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Turn the links when Sphinx reads a page; a link to any other file outside is a warning of Sphinx."""
    app.connect("source-read", _turn)
    return {"parallel_read_safe": True}


def _turn(app: Sphinx, docname: str, source: list[str]) -> None:
    for file, page in PAGES.items():
        source[0] = source[0].replace(f"](../{file}", f"]({page}")
