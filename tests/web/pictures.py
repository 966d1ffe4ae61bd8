"""Make the pictures of the README anew: `python tests/web/pictures.py http://127.0.0.1:7373`, and `… runs` for those of runs.

`perenne demo` at a terminal stops when its second version waits for a person; that is the moment that is shown. The runs are
those of a sweep that is logged for the purpose.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.web.browsers import MISSING, find_chromium
from tests.web.control_plane import control_plane
from tests.web.sweep import log_sweep

from perenne.auth.principals import local_principal
from perenne.core.clock import SystemClock
from perenne.core.config import load_settings
from perenne.storage.workspace import Workspace

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
NAME = "flight-delays"
DRAWN = {"runs": ".grid-row:not(.waiting)", "compare": "figure canvas"}
"""What is on a page when it has come whole."""
PAGES = {"fleet": "/", "model": f"/model/{NAME}", "monitor": f"/monitor/{NAME}"}


def take(page: Page, name: str, theme: str) -> None:
    """Keep how a page looks."""
    expect(page.locator(DRAWN.get(name, "main")).first).to_be_visible()
    expect(page.locator(".bone")).to_have_count(0)
    expect(page.locator(".connection")).to_have_text("live")
    page.wait_for_function("document.fonts.status === 'loaded'")
    page.screenshot(path=IMAGES / f"{name}{'' if theme == 'light' else '-dark'}.png")


def take_all(url: str, pages: Mapping[str, str]) -> None:
    """Take every picture, in light and dark."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium() or sys.exit(MISSING), args=["--no-sandbox"])
        for theme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=theme, reduced_motion="reduce")
            for name, path in pages.items():
                page.goto(url + path)
                take(page, name, theme)
        browser.close()


def take_runs() -> None:
    """Log a sweep, and take the list of its runs and some of them compared."""
    with tempfile.TemporaryDirectory() as folder, Workspace(load_settings(Path(folder), {})) as workspace:
        sweep = log_sweep(workspace.database, local_principal(), SystemClock().now())
        chosen = ",".join(sweep.runs[2:6])
        asked = {
            "experiment": sweep.experiment,
            "filter": "metrics.val/auc > 0.9 AND params.depth > 3",
            "order": "metrics.val/auc DESC",
        }
        runs = f"/runs?{urlencode(asked)}"
        with control_plane(workspace) as url:
            take_all(url, {"runs": runs, "compare": f"/runs/compare?ids={chosen}"})


if __name__ == "__main__":
    if sys.argv[1] == "runs":
        take_runs()
    else:
        take_all(sys.argv[1], PAGES)
