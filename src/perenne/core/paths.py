"""Relative names that somebody else chose, turned into paths that stay inside their folder. Nothing else joins such paths."""

import re
from pathlib import Path

from perenne.core.errors import Invalid

MAX_SEGMENT, MAX_NAME = 255, 1_024
SKIPPED_FOLDERS = frozenset({".git", ".venv", "venv", "__pycache__", ".perenne", "node_modules", ".mypy_cache", ".pytest_cache"})
"""Folders of a project that hold nothing of its own."""
_SECRET = re.compile(r"(^|/)(\.env(\..*)?|.*\.(pem|key|p12|pfx)|id_(rsa|ed25519)|credentials.*|secrets?\..*)$", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ENCODED = re.compile(r"%(2e|2f|5c|00)", re.IGNORECASE)


def looks_secret(name: str) -> bool:
    """Tell whether a file's name is one under which people keep keys and passwords.

    >>> looks_secret("deploy/server.key"), looks_secret("project.py")
    (True, False)
    """
    return _SECRET.search(name) is not None


def check_name(name: str) -> str:
    r"""Return the name if it is plainly relative, with forward slashes; refuse every spelling that might lead elsewhere.

    Raises
    ------
    Invalid
        If it is absolute, has an empty, ``.`` or ``..`` segment, a backslash, a control character, a percent-encoded dot or
        slash, begins with a drive or scheme, or is too long.

    >>> check_name("plots/roc.png")
    'plots/roc.png'
    """
    segments = name.split("/")
    wrong = (
        any(segment in {"", ".", ".."} or segment.startswith("..;") for segment in segments)
        or "\\" in name
        or any(ord(letter) < 32 or ord(letter) == 127 for letter in name)
        or _ENCODED.search(name) is not None
        or _SCHEME.match(name) is not None
        or _too_long(name, segments)
    )
    if wrong:
        raise Invalid(f"{name[:100]!r} is not a relative path", code="path.invalid", hint="write it as folder/file")
    return name


def _too_long(name: str, segments: list[str]) -> bool:
    try:
        return len(name.encode()) > MAX_NAME or any(len(segment.encode()) > MAX_SEGMENT for segment in segments)
    except UnicodeEncodeError:  # a lone surrogate is no text
        return True


def confined(root: Path, name: str) -> Path:
    """Join a folder and a relative name; with every symbolic link followed, the result lies in the folder.

    Raises
    ------
    Invalid
        If the name is not relative or a link on the way leads out of the folder.
    """
    path = root / check_name(name)
    if not path.resolve().is_relative_to(root.resolve()):
        raise Invalid(f"{name[:100]!r} leads out of its folder", code="path.invalid", hint="use a relative path without `..`")
    return path
