"""The built site: no warning, every link and anchor leads somewhere, both references are whole, no other host."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from tests.docs.pages import DOCS, ROOT

import starktrack
from starktrack import interchange
from starktrack.cli.main import VERBS, load_verb


class Page(HTMLParser):
    """The ids, links and assets of a page of HTML."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.assets = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        elif tag in ("img", "script", "source", "iframe") and values.get("src"):
            self.assets.append(values["src"])
        elif tag == "link" and "stylesheet" in values.get("rel", ""):
            self.assets.append(values["href"])


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_every_page_of_the_source_is_in_the_site(site):
    sources = [path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")]
    assert [str(path) for path in sources if not (site / path).is_file()] == []
    assert len(sources) > 20


def test_every_page_is_reached_from_the_first(site, pages):
    reached, queue = set(), [site / "index.html"]
    while queue:
        page = queue.pop()
        if page in reached or page not in pages:
            continue
        reached.add(page)
        for link in pages[page].links:
            parts = urlsplit(link)
            if not parts.scheme and parts.path:
                queue.append((page.parent / unquote(parts.path)).resolve())
    alone = {path.name for path in set(pages) - reached}
    assert alone == {"search.html"}  # it opens from the search field


def test_every_internal_link_and_anchor_leads_somewhere(pages):
    broken, checked = [], 0
    for path, page in pages.items():
        for link in page.links + page.assets:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            checked += 1
            if not target.is_file():
                broken.append(f"{path.name}: no file {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                broken.append(f"{path.name}: no anchor {link}")
    assert broken == []
    assert checked > 500


def test_no_page_loads_anything_from_elsewhere(pages):
    foreign = {asset for page in pages.values() for asset in page.assets if urlsplit(asset).netloc}
    assert foreign == set()


def test_the_reference_of_the_command_has_every_verb_and_option(site, pages):
    text = re.sub(r"<[^>]+>", "", (site / "reference" / "command.html").read_text(encoding="utf-8"))
    ids = pages[site / "reference" / "command.html"].ids
    seen = 0
    for name in VERBS:
        assert name in ids
        verb = load_verb(name)
        for each in getattr(verb, "commands", {"": verb}).values():
            shown = [] if each.hidden else [parameter for parameter in each.params if not parameter.hidden]
            for parameter in shown:
                written = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
                assert (written or parameter.name.upper()) in text, f"{name}: {parameter.name}"
                seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    ("page", "module"), [("api", starktrack), ("interchange", interchange)], ids=["starktrack", "interchange"]
)
def test_the_reference_of_the_api_has_every_public_name(pages, site, page, module):
    ids = pages[site / "reference" / f"{page}.html"].ids
    missing = [name for name in module.__all__ if f"{module.__name__}.{name}" not in ids]
    assert missing == [] and len(module.__all__) > 5


def test_the_script_builds_the_site_as_the_tests_do():
    script = (ROOT / "scripts" / "docs").read_text(encoding="utf-8")
    assert "-m sphinx --fail-on-warning --keep-going --quiet docs build/docs" in script
    assert "scripts/setup" in script
    assert "build/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
