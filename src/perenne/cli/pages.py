"""Where to look in the browser: the address of the control plane that runs here, and the page of each thing."""

import os
import sys
import webbrowser
from pathlib import Path
from urllib.parse import quote

from perenne.telemetry.heartbeats import Sign, State, signs, state_of


def running(home: Path) -> Sign | None:
    """Return the control plane of an installation that was well last, if one runs on this machine or shows signs elsewhere."""
    alive = [sign for sign in signs(home) if sign.kind == "control-plane" and sign.address and state_of(sign) is State.ALIVE]
    return max(alive, key=lambda sign: sign.beat, default=None)


def address_of(sign: Sign) -> str:
    """Return how a browser reaches a control plane, as it says itself; else how this machine does."""
    return str(sign.detail.get("page") or sign.address)


def look_at(home: Path, path: str) -> str:
    """Say where to look at a page: its address if a control plane runs, else how to start one."""
    sign = running(home)
    return f"look at it: {address_of(sign)}{path}" if sign else "look at it: `perenne up --open` shows it in the browser"


def page_of_version(identity: str) -> str:
    """Return the path of a version's page.

    >>> page_of_version("churn@3")
    '/model/churn?version=3'
    """
    model, _, number = identity.partition("@")
    return f"/model/{quote(model, safe='')}" + (f"?version={quote(number, safe='')}" if number else "")


def page_of(noun: str, identity: str) -> str:
    """Return the path of the page of a thing.

    >>> page_of("run", "01M8GQ"), page_of("alert", "01M8GQ"), page_of("deployment", "churn")
    ('/runs/01M8GQ', '/alert?alert=01M8GQ', '/deploy/churn')
    """
    if noun in ("model", "version"):
        return page_of_version(identity)
    return _PATHS[noun] + quote(identity, safe="")


_PATHS = {
    "run": "/runs/",
    "deployment": "/deploy/",
    "monitor": "/monitor/",
    "dataset": "/data/",
    "prediction": "/why/",
    "episode": "/policy/",
    "alert": "/alert?alert=",
    "project": "/project/",
    "job": "/job?job=",
}


def show(url: str) -> bool:
    """Open an address in the browser of whoever sits here; tell whether there is one."""
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return False
    return webbrowser.open(url)
