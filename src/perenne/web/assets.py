"""The static files: read once, compressed once, and named after what is in all of them, so that a browser keeps them for good."""

import gzip
import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

STATIC = Path(__file__).parent / "static"

TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
MAIN = "core/main.js"
SCREENS = "core/screens.js"
SHEET = "core/all.css"
"""Every style sheet in one, beside those of `core`, from where the paths within them lead."""
_IMPORT = re.compile(r'(?:^|;)(?:import|export)\b(?!\s*\()[^;"\']*["\'](\.[^"\']+)["\']', re.MULTILINE)
_SCREEN = re.compile(r'^\s*\["(/[^"]*)", \(\) => import\("([^"]+)"\)\]', re.MULTILINE)
FONT = "vendor/inter.woff2"


class Asset(NamedTuple):
    """A static file: its type, its bytes, and its bytes compressed if that makes it smaller."""

    kind: str
    body: bytes
    packed: bytes | None


class Assets:
    """Every static file.

    Parameters
    ----------
    folder : Path
        Where they are.

    Attributes
    ----------
    files : mapping
        By path within the folder.
    prefix : str
        What stands before the path in an address; it changes with any file.
    """

    def __init__(self, folder: Path = STATIC) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in TYPES)
        files = {path.relative_to(folder).as_posix(): _asset(path.suffix, path.read_bytes()) for path in paths}
        digest = hashlib.sha256()
        for name, asset in files.items():
            digest.update(b"%s\0%d\0%s" % (name.encode(), len(asset.body), asset.body))
        sheets = sorted((name for name in files if name.endswith(".css")), key=lambda name: (not name.startswith("core/"), name))
        files[SHEET] = _asset(".css", b"\n".join(files[name].body for name in sheets))
        self.files: Mapping[str, Asset] = files
        self.prefix = f"/static/{digest.hexdigest()[:16]}/"
        always = self._needed(MAIN)
        self._plain = self._shell(always)
        self._screens = [(_pattern(path), self._shell({**always, **self._needed(name)})) for path, name in self._modules()]

    def shell(self, path: str) -> bytes:
        """Return the page for an address.

        It names the modules of the screen that is shown there, so that a browser asks for all of them at once and not for one
        after the other.
        """
        return next((page for pattern, page in self._screens if pattern.fullmatch(path)), self._plain)

    def page(self, main: str) -> bytes:
        """Return a page of its own, which begins with another module than the shell."""
        return self._shell(self._needed(main), main)

    def _modules(self) -> list[tuple[str, str]]:
        """Return the address of every screen, and its module."""
        if SCREENS not in self.files:
            return []
        found = _SCREEN.findall(self.files[SCREENS].body.decode())
        return [(path, _beside(SCREENS, name)) for path, name in found]

    def _needed(self, module: str) -> dict[str, None]:
        """Return a module and all that it imports, in the order in which they are found."""
        found: dict[str, None] = {}
        ahead = [module]
        while ahead:
            name = ahead.pop(0)
            if name in self.files and name not in found:
                found[name] = None
                ahead += [_beside(name, path) for path in _IMPORT.findall(self.files[name].body.decode())]
        return found

    def _shell(self, modules: Iterable[str], main: str = MAIN) -> bytes:
        lines = [
            "<!doctype html>",
            '<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            '<title>perenne</title><meta name="color-scheme" content="light dark">',
            f'<link rel="icon" type="image/svg+xml" href="{self.prefix}core/icon.svg">',
            f'<script src="{self.prefix}core/theme-first.js"></script>',
            f'<link rel="stylesheet" href="{self.prefix}{SHEET}">',
            f'<link rel="preload" href="{self.prefix}{FONT}" as="font" type="font/woff2" crossorigin>',
            *(f'<link rel="modulepreload" href="{self.prefix}{name}">' for name in modules),
            '<body><div id="app"></div><noscript>This page needs JavaScript; `perenne status` tells the same.</noscript>',
            f'<script type="module" src="{self.prefix}{main}"></script>',
        ]
        return ("\n".join(lines) + "\n").encode()


def _beside(module: str, path: str) -> str:
    """Return where a path leads that stands in a module."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(module), path))


def _pattern(path: str) -> re.Pattern[str]:
    """Return what the addresses of a screen look like: `:name` is one segment, `:name*` all that follow."""
    return re.compile(re.sub(r":\w+(\\\*)?", lambda part: ".+" if part[1] else "[^/]+", re.escape(path)))


def _asset(suffix: str, body: bytes) -> Asset:
    packed = gzip.compress(body, 9, mtime=0) if suffix != ".woff2" else body
    return Asset(TYPES[suffix], body, packed if len(packed) < len(body) else None)
