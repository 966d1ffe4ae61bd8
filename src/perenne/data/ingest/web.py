"""Files of the web: asked for politely (robots.txt, ETag, Last-Modified), within limits, at public addresses."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.robotparser import RobotFileParser

from perenne.core.errors import Denied, NotFound, Unavailable
from perenne.net.egress import Download, Egress

MAX_BYTES = 4 << 30
SECONDS = 900.0
MAX_ROBOTS = 512 << 10
REDIRECTS = 5
AGENT = "perenne"
_MOVED = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})


class Got(NamedTuple):
    """A file that was downloaded, into a folder that is the caller's, and what tells whether it changed."""

    file: Path
    state: dict[str, str]


def download(url: str, state: Mapping[str, str], folder: Path, *, trusted: bool = False) -> Got | None:
    """Get a file unless it is the one that `state` speaks of; None if it is.

    Parameters
    ----------
    state : mapping
        `etag` and `last_modified` of the last time.
    folder : Path
        Where the file is put; its name is that of the URL, so that what it is can be told.
    trusted : bool
        Whether the host may be private, and be asked without TLS. A host that it redirects to may not.

    Raises
    ------
    Denied
        If robots.txt asks not to, or the host has a private address.
    NotFound, Unavailable
        If there is no such file, or it cannot be had now.
    """
    egress = Egress(allow=frozenset({_host_and_port(url)}) if trusted else frozenset())
    known = {"If-None-Match": state.get("etag", ""), "If-Modified-Since": state.get("last_modified", "")}
    headers = {name: value for name, value in known.items() if value}
    for _ in range(REDIRECTS + 1):
        _ask_robots(egress, url)
        file = folder / _name_of(url)
        with file.open("wb") as sink:
            found = egress.download(url, sink.write, headers=headers, limit=MAX_BYTES, seconds=SECONDS)
        if found.status == 304:
            return None
        if found.status == 200:
            return Got(file, _state_of(found))
        if found.status not in _MOVED or not found.headers.get("location"):
            raise _refused(url, found.status)
        url = urljoin(url, found.headers["location"])
    raise Unavailable(
        f"{urlsplit(url).hostname} sends from one address to the next", code="ingest.redirects", hint="is it the right one?"
    )


def _state_of(found: Download) -> dict[str, str]:
    named = {"etag": found.headers.get("etag", ""), "last_modified": found.headers.get("last-modified", "")}
    return {name: value for name, value in named.items() if value}


def _refused(url: str, status: int) -> NotFound | Unavailable:
    host = urlsplit(url).hostname
    if status in _GONE:
        return NotFound(f"{host} has no such file (status {status})", code="ingest.not_found", hint="is the address right?")
    hint = "does it want a log-in? a token may stand in the address" if status in {401, 403} else "try again later"
    return Unavailable(f"{host} answered with status {status}", code="ingest.status", hint=hint)


def _ask_robots(egress: Egress, url: str) -> None:
    """Ask the host whether this may be read. No file, or one that may not be read, allows all (RFC 9309 §2.3.1)."""
    parts = urlsplit(url)
    body = bytearray()
    robots = urlunsplit((parts.scheme, parts.netloc, "/robots.txt", "", ""))
    found = egress.download(robots, body.extend, limit=MAX_ROBOTS, seconds=10.0)
    if found.status >= 500:
        raise Unavailable(f"{parts.hostname} cannot say what may be read", code="ingest.robots", hint="try again later")
    if found.status != 200:
        return
    rules = RobotFileParser()
    rules.parse(body.decode("utf-8", "replace").splitlines())
    if not rules.can_fetch(AGENT, url):
        raise Denied(
            f"robots.txt of {parts.hostname} asks not to read this", code="ingest.robots", hint="ask its owner for a copy"
        )


def _host_and_port(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _name_of(url: str) -> str:
    """Return the last part of a path as a plain file name."""
    name = os.path.basename(unquote(urlsplit(url).path)).replace("\0", "")[-200:]
    return name.lstrip(".") or "rows"


def workplace() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder for what is downloaded; it goes with the context."""
    return tempfile.TemporaryDirectory(prefix="perenne-ingest-")
