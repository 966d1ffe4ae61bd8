"""Make the pictures of the README anew, from a demo that waits for a decision: `python tests/web/pictures.py http://127.0.0.1:7373`.

`perenne demo` at a terminal stops when its second version waits for a person; that is the moment that is shown.
"""

import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.web.browsers import MISSING, find_chromium

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
NAME = "flight-delays"
PAGES = {"fleet": "/", "model": f"/model/{NAME}", "monitor": f"/monitor/{NAME}"}


def take(page: Page, name: str, theme: str) -> None:
    """Keep how a page looks."""
    expect(page.locator(".bone")).to_have_count(0)
    expect(page.locator(".connection")).to_have_text("live")
    page.wait_for_function("document.fonts.status === 'loaded'")
    page.screenshot(path=IMAGES / f"{name}{'' if theme == 'light' else '-dark'}.png")


def main(url: str) -> None:
    """Take every picture, in light and dark."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium() or sys.exit(MISSING), args=["--no-sandbox"])
        for theme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=theme, reduced_motion="reduce")
            for name, path in PAGES.items():
                page.goto(url + path)
                take(page, name, theme)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
