"""Fixtures of the page: a lived-in installation behind a real control plane, and a real browser in front of it."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright
from tests.web import world as story
from tests.web.browsers import MISSING, find_chromium
from tests.web.control_plane import control_plane

from perenne.core.clock import ManualClock
from perenne.core.config import load_settings
from perenne.storage.workspace import Workspace

SCREENSHOTS = Path(__file__).parent / "screenshots"
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
WIDE: ViewportSize = {"width": 1440, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}
SERIOUS = ("serious", "critical")

Browse = Callable[..., Page]
Inspect = Callable[[Page, str], None]
expect.set_options(timeout=15_000)


class World(NamedTuple):
    """A lived-in installation: its address, its workspace, and the id of a prediction."""

    url: str
    workspace: Workspace
    prediction: str


@pytest.fixture(scope="session")
def made_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the installation once for all processes of this test run; whoever uses it takes a copy."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, lock = shared / "world", shared / "world.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not (folder / "now").exists():
            shutil.rmtree(folder, ignore_errors=True)
            story.make(folder)
    return folder


@pytest.fixture(scope="module")
def world(made_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Serve a copy of the installation, for the tests of one module."""
    folder = tmp_path_factory.mktemp("world") / "copy"
    shutil.copytree(made_world, folder)
    clock = ManualClock(int((folder / "now").read_text()))
    with Workspace(load_settings(folder, {}), clock) as workspace, control_plane(workspace) as url:
        yield World(url, workspace, (folder / "prediction").read_text())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a headless Chromium. Playwright keeps an event loop running in this thread, which tests of other modules mind."""
    found = find_chromium()
    if found is None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Open a window of its own: no cookie or storage of another test."""
    opened = browser.new_context(viewport=WIDE, reduced_motion="reduce", color_scheme="light")
    opened.grant_permissions(["clipboard-read", "clipboard-write"])
    yield opened
    opened.close()


@pytest.fixture
def browse(request: pytest.FixtureRequest, context: BrowserContext) -> Iterator[Browse]:
    """Open an address of the world, or of another installation by its `url`; any error in the console fails the test."""
    problems: list[str] = []

    def browse(path: str, url: str | None = None) -> Page:
        base = url or request.getfixturevalue("world").url
        page = context.new_page()
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(base + path)
        return page

    yield browse
    assert problems == []


@pytest.fixture
def inspect() -> Inspect:
    """Look at a page with axe, and keep how it looks: wide and narrow, light and dark."""

    def inspect(page: Page, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        expect(page.locator(".bone")).to_have_count(0)
        for theme in ("light", "dark"):
            if page.locator("html").get_attribute("data-theme") != theme:
                page.get_by_role("button", name=f"Switch to {theme}").click()
            for width, size in (("wide", WIDE), ("narrow", NARROW)):
                page.set_viewport_size(size)
                page.evaluate("document.fonts.ready.then(() => true)")
                page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{theme}.png")
            page.set_viewport_size(WIDE)
            assert serious(page) == [], f"in the {theme} theme"

    return inspect


def serious(page: Page) -> list[str]:
    """Return what axe finds serious or worse: the rule, and the elements."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{item['id']} at {node['target']}: {node.get('failureSummary', '')}"
        for item in found["violations"]
        if item["impact"] in SERIOUS
        for node in item["nodes"][:4]
    ]
