"""Where to look in the browser: the address of the control plane that runs here. Pages are named by `perenne.core.addresses`."""

import os
import sys
import webbrowser
from pathlib import Path

from perenne.telemetry.heartbeats import Sign, State, signs, state_of


def running(home: Path) -> Sign | None:
    """Return the control plane of an installation that was well last, if one runs on this machine or shows signs elsewhere."""
    alive = [sign for sign in signs(home) if sign.kind == "control-plane" and sign.address and state_of(sign) is State.ALIVE]
    return max(alive, key=lambda sign: sign.beat, default=None)


def url_of(sign: Sign) -> str:
    """Return how a browser reaches a control plane, as it says itself; else how this machine does."""
    return str(sign.detail.get("page") or sign.address)


def look_at(home: Path, path: str) -> str:
    """Say where to look at a page: its address if a control plane runs, else how to start one."""
    sign = running(home)
    return f"look at it: {url_of(sign)}{path}" if sign else "look at it: `perenne up --open` shows it in the browser"


def show(url: str) -> bool:
    """Open an address in the browser of whoever sits here; tell whether there is one."""
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return False
    return webbrowser.open(url)
