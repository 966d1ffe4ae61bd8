"""Make the pictures of the README anew, from what a demo left: `python tests/web/pictures.py perenne-demo`.

Each page is opened in a real browser on the real control plane, at the time at which the demo ended.
"""

import sys
from pathlib import Path

import sqlalchemy as sa
from playwright.sync_api import Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.web.browsers import MISSING, find_chromium
from tests.web.control_plane import control_plane

from perenne.core.clock import ManualClock
from perenne.core.config import load_settings
from perenne.storage.workspace import Workspace

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
NAME = "flight-delays"
PAGES = {"fleet": "/", "model": f"/model/{NAME}", "monitor": f"/monitor/{NAME}"}
BOTH_THEMES = {"fleet"}


def end_of(workspace: Workspace) -> int:
    """Return when the newest window of answers ended."""
    with workspace.database.read() as tx:
        return int(tx.scalar(sa.text("select max(window_start + window_length) from monitor_window")))


def take(page: Page, name: str, theme: str) -> None:
    """Keep how a page looks."""
    expect(page.locator(".bone")).to_have_count(0)
    expect(page.locator(".connection")).to_have_text("live")
    page.wait_for_function("document.fonts.status === 'loaded'")
    page.screenshot(path=IMAGES / f"{name}{'' if theme == 'light' else '-dark'}.png")


def main(folder: Path) -> None:
    """Take every picture."""
    clock = ManualClock()
    with (
        Workspace(load_settings(folder, {}), clock) as workspace,
        control_plane(workspace) as url,
        sync_playwright() as playwright,
    ):
        clock.advance_to(end_of(workspace))
        browser = playwright.chromium.launch(executable_path=find_chromium() or sys.exit(MISSING), args=["--no-sandbox"])
        for theme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=theme, reduced_motion="reduce")
            for name, path in PAGES.items():
                if theme == "light" or name in BOTH_THEMES:
                    page.goto(url + path)
                    take(page, name, theme)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
