"""The site: it can be built without a warning, asks nobody else for anything, and its reference says what the code says."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from docs.reference import cli, errors, events, metrics, python_api, rest, settings

import perenne
from perenne.cli.root import COMMANDS
from perenne.core.events import Event

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site once; any link or anchor that leads nowhere is a warning, and a warning ends the build."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return target


class Page(HTMLParser):
    """Gathers what a page of the site loads, where it links to, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors.add(found.get("id", ""))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag in {"script", "img", "iframe", "source"} and "src" in found:
            self.loads.append(found["src"])
        elif tag == "link" and found.get("rel") not in {"canonical", "next", "prev"}:
            self.loads.append(found["href"])


def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_the_site_has_every_page_and_none_of_its_makers(site: Path) -> None:
    sources = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert not [source for source in sources if not (site / source).exists()]
    assert (site / "reference" / "rest.html").exists()
    assert not list(site.rglob("*.py"))


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for path, page in pages(site).items():
        assert not [address for address in page.loads if urlsplit(address).netloc], path
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert not re.findall(r"(?:@import|url\()\s*[\"']?https?:", styles)


def test_every_link_and_anchor_of_the_site_leads_somewhere(site: Path) -> None:
    """The build checks Markdown; this checks what became of it, headings of the reference included."""
    found = pages(site)
    broken = []
    for path, page in found.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = found[target].anchors if target in found else None
            if not target.exists() or (parts.fragment and anchors is not None and unquote(parts.fragment) not in anchors):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert not broken, broken


def test_the_page_of_commands_has_every_command_and_option() -> None:
    text = cli.page()
    lines = dict(pair for name in COMMANDS for pair in cli.commands(name))
    assert not [path for path in lines if f"# {path}\n" not in text]
    assert "`--take-over`" in text
    assert "| 6 |" in text
    assert "\\b" not in text


def test_the_page_of_settings_has_every_variable_that_is_read() -> None:
    text = settings.page()
    assert not [name for name in settings.variables() if f"`{name}`" not in text]
    assert not [name for name in settings.OTHERS if name not in settings.variables()]


def test_the_page_of_events_has_every_event_with_who_hears_it() -> None:
    text = events.page()
    kinds = [event for event in Event.__subclasses__() if event.__module__.startswith("perenne.")]
    assert kinds
    assert not [event.name for event in kinds if f"## `{event.name}`" not in text]
    heard = text.partition("## `drift.found`")[2].partition("## ")[0]
    assert "heard by `automation`" in heard


def test_the_page_of_python_has_every_public_name() -> None:
    text = python_api.page()
    assert not [name for name in perenne.__all__ if not name.startswith("_") and f"## pn.{name}\n" not in text]
    assert "`approve_by`" in text


def test_the_page_of_rest_has_every_operation_and_shape() -> None:
    text, document = rest.page(), rest.document()
    for path, methods in document["paths"].items():
        assert not [method for method in methods if f"### `{method.upper()} {path}`" not in text], path
    assert not [name for name in document["components"]["schemas"] if f"### {name}\n" not in text]


def test_the_pages_of_metrics_and_errors_are_read_from_what_runs() -> None:
    text = metrics.page()
    assert text.count("\n| `perenne_") > 30
    assert "`perenne_payload_dropped_total`" in text
    listed = errors.page()
    assert "| `inference.not_compilable` | Invalid | 400 |" in listed
