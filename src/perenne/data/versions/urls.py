"""What lies at a URL, or at a local path: a file, or a folder of files."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from perenne.core.errors import NotFound
from perenne.data.versions.layers import Settings, remotes
from perenne.data.versions.remotes.opening import Ask, kind_of, open_url, resolve
from perenne.data.versions.remotes.port import Found, Remote


class Place(msgspec.Struct, frozen=True):
    """Something in a remote: its remote, its path there, and what kind of remote it is."""

    remote: Remote
    path: str
    kind: str
    keys: dict[str, str]


def open_at(
    url: str, settings: Settings | None = None, keys: Mapping[str, str] | None = None, *, ask: Ask | None = None, base: str = ""
) -> Place:
    """Open what a URL points to.

    Parameters
    ----------
    url : str
        Also ``remote://name/path``, which takes its keys from the settings, and local paths.
    settings : mapping, optional
        Those of a repository.
    keys : mapping, optional
        Keys of a remote beside those.
    base : str
        The folder that a relative path is meant from; the present one if empty.

    Raises
    ------
    Invalid, NotFound
        Nothing can be opened at such a URL.
    """
    used = dict(keys or {})
    if url.startswith("remote://"):
        name, _, below = url.removeprefix("remote://").partition("/")
        known = remotes(settings or {})
        if name.lower() not in known:
            raise NotFound(f"there is no remote {name!r}", code="data.no_remote", hint="`perenne data remote list` names them")
        section, target = resolve(known, name.lower())
        used = {**section, **used}
        url = f"{target.rstrip('/')}/{below}" if below else target
    used.pop("url", None)
    kind = kind_of(url)
    top, path = _apart(url, kind, base)
    return Place(open_url(top, used, ask=ask), path, kind, used)


def _apart(url: str, kind: str, base: str) -> tuple[str, str]:
    """Return the remote's top and the path below it."""
    if kind == "local":
        place = os.path.abspath(os.path.join(base, os.path.expanduser(url.removeprefix("file://"))))
        return os.path.dirname(place) or "/", os.path.basename(place)
    if kind == "http":
        return url, ""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", parts.path.strip("/")


def files_at(place: Place, shown: str) -> tuple[Found | None, dict[str, Found]]:
    """Return the file at a place, or the files below it by their paths from there.

    Raises
    ------
    NotFound
        There is nothing.
    """
    found = place.remote.about(place.path)
    if found is not None:
        return found, {}
    inside: dict[str, Found] = {}
    if place.remote.traits.lists:
        start = len(place.path) + 1 if place.path else 0
        inside = {file.path[start:]: file for file in place.remote.listing(place.path) if file.path[start:]}
    if not inside:
        raise NotFound(f"there is nothing at {shown}", code="data.no_url", hint="is the address right?")
    return None, inside
