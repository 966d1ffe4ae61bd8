"""Where a Chromium is, for the tests that drive the page in a real browser."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no Chromium on PATH, nor named by PERENNE_CHROMIUM: the tests in a browser were not run"


def find_chromium() -> str | None:
    """Return the path of a Chromium; None if there is none."""
    named = os.environ.get("PERENNE_CHROMIUM")
    if named:
        return named
    return next((path for name in NAMES if (path := shutil.which(name))), None)
