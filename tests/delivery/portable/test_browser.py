"""The page answers by itself in a real browser, like the version it was made from."""

import functools
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.inference.cases import make_columns
from tests.web.conftest import NARROW, SCREENSHOTS, Browse, serious

from perenne.delivery.portable.browser import PAGE, write_browser
from perenne.delivery.portable.preparing import Source


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """A test has nothing to write about."""


@pytest.fixture(scope="module")
def folder(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("browser") / "out"
    write_browser(target, source, rows=make_columns(300, seed=4), limits=None, with_rows=True)
    return target


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_it_answers_measures_itself_and_can_be_asked(folder: Path, url: str, browse: Browse) -> None:
    page = browse("/", url)
    page.wait_for_selector("html[data-measured]", timeout=60_000)
    measured = json.loads(page.locator("html").get_attribute("data-measured") or "")
    assert (measured["rows"], measured["differing"]) == (3, 0)
    assert measured["largest_difference"] < 1e-6
    assert measured["graph_bytes"] == (folder / "model.onnx").stat().st_size
    example = json.loads((folder / "example.json").read_bytes())
    expect(page.locator("#answer")).to_have_text(example["predictions"][0])
    page.get_by_role("button", name="Another example").click()
    expect(page.locator("#answer")).to_have_text(example["predictions"][1])
    shares = page.locator("#shares dd")
    expect(shares.nth(0)).to_have_text(f"{100 * example['probabilities'][1][0]:.1f} %")
    before = shares.nth(0).inner_text()
    page.get_by_label("delay").fill("")
    page.get_by_label("carrier").select_option("")
    page.get_by_role("button", name="Answer", exact=True).click()
    expect(shares.nth(0)).not_to_have_text(before)
    assert serious(page) == []
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "portable-wide.png")
    page.set_viewport_size(NARROW)
    page.screenshot(path=SCREENSHOTS / "portable-narrow.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_a_changed_graph_is_said_and_not_answered(folder: Path, url: str, context: object, browse: Browse) -> None:
    graph = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(graph + b"\0")
    try:
        page = browse("/", url)
        expect(page.get_by_role("alert")).to_contain_text("not the file that was packaged")
        expect(page.get_by_role("button", name="Answer", exact=True)).to_be_disabled()
    finally:
        (folder / "model.onnx").write_bytes(graph)


def test_the_runtime_is_what_it_is_said_to_be(folder: Path) -> None:
    runtime = PAGE / "runtime"
    listed = json.loads((runtime / "vendor.json").read_text())
    for entry in listed:
        assert hashlib.sha256((runtime / entry["file"]).read_bytes()).hexdigest() == entry["sha256"], entry["file"]
        shipped = folder / "runtime" / entry["file"].removesuffix(".xz")
        assert hashlib.sha256(shipped.read_bytes()).hexdigest() == entry["sha256_upstream"], entry["file"]
        assert (folder / "runtime" / entry["licence_file"]).read_text().strip()
    known = {entry["file"] for entry in listed} | {entry["licence_file"] for entry in listed} | {"vendor.json"}
    assert {path.name for path in runtime.iterdir()} == known


def test_the_page_reaches_nothing_outside(folder: Path) -> None:
    policy = (folder / "index.html").read_text()
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy
    for name in ("page.js", "index.html", "page.css"):
        assert "http://" not in (folder / name).read_text() and "https://" not in (folder / name).read_text()
