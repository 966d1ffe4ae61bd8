"""Make the pictures of the README anew: `python tests/web/pictures.py http://127.0.0.1:7373`, `… runs` for those of runs, and
`… profile` for that of a profile's page, `… server http://127.0.0.1:7374` for that of a model server.

`perenne demo` at a terminal stops when its second version waits for a person; that is the moment that is shown. The runs are
those of a sweep that is logged for the purpose, and the profile is of subscriptions that are drawn by chance.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
from playwright.sync_api import Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.web.browsers import MISSING, find_chromium
from tests.web.control_plane import control_plane
from tests.web.sweep import log_sweep

from perenne.auth.principals import local_principal
from perenne.core.clock import SystemClock
from perenne.core.config import load_settings
from perenne.data.explore.page import profile_page
from perenne.data.personal import masked
from perenne.data.profiles import profile_table
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


def subscriptions(rows: int = 20_000) -> pa.Table:
    """Draw subscriptions that have something of everything to look at."""
    rng = np.random.default_rng(2)
    fee, tenure, shift = np.round(rng.gamma(3, 12, rows), 2), rng.integers(0, 72, rows), rng.uniform(0, 24, rows)
    left = rng.random(rows) < 1 / (1 + np.exp(2 - 0.02 * fee + 0.03 * tenure))
    hours = np.sort(rng.integers(0, 365 * 24, rows))
    plans = np.array(["basic", "pro", "team", "trial"])[rng.choice(4, rows, p=[0.5, 0.34, 0.155, 0.005])]
    return pa.table(
        {
            "customer": np.arange(rows),
            "since": pa.array(np.datetime64("2025-01-01", "us") + hours * np.timedelta64(3_600_000_000, "us")),
            "plan": plans,
            "monthly_fee": pa.array(fee, mask=rng.random(rows) < 0.04),
            "tenure": tenure,
            "age": np.where(rng.random(rows) < 0.5, rng.integers(18, 90, rows) // 5 * 5, rng.integers(18, 90, rows)),
            "hour": shift,
            "load": np.square(shift - 12) + rng.normal(size=rows) * 6,
            "email": [f"customer{number}@example.org" for number in range(rows)],
            "refund": np.where(left, fee * 2, 0.0),
            "left": left,
        }
    )


def take_profile() -> None:
    """Take the page of a profile, as the file that it is."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "subscriptions.html"
        profile = profile_table(subscriptions(), target="left", dataset="subscriptions")
        file.write_text(profile_page(masked(profile)), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=find_chromium() or sys.exit(MISSING), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(file.as_uri())
        page.locator("details.column[data-name=monthly_fee] > summary").click()
        page.evaluate("document.querySelector('#columns').scrollIntoView()")
        page.screenshot(path=IMAGES / "profile.png")
        browser.close()


def take_server(url: str) -> None:
    """Take the page of a model server, asked once."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium() or sys.exit(MISSING), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light", reduced_motion="reduce")
        page.goto(f"{url}/docs")
        page.get_by_role("button", name="Predict").click()
        for empty in ("Nothing was asked yet", "Fill in the form"):
            expect(page.get_by_text(empty)).to_have_count(0)
        page.wait_for_function("document.fonts.status === 'loaded'")
        page.screenshot(path=IMAGES / "model-server.png")
        browser.close()


if __name__ == "__main__":
    if sys.argv[1] == "runs":
        take_runs()
    elif sys.argv[1] == "profile":
        take_profile()
    elif sys.argv[1] == "server":
        take_server(sys.argv[2])
    else:
        take_all(sys.argv[1], PAGES)
