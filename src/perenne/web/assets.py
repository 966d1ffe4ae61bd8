"""The static files: read once, compressed once, and named after what is in all of them, so that a browser keeps them for good."""

import gzip
import hashlib
from collections.abc import Mapping
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
FIRST = ("core/main.js", "core/dom.js", "vendor/preact.js", "vendor/hooks.js", "vendor/htm.js", "vendor/signals.js")
"""The modules that every page needs, named in the shell so that a browser asks for them at once and not one after the other."""

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
    shell : bytes
        The page: it loads the first modules and every style sheet.
    """

    def __init__(self, folder: Path = STATIC) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in TYPES)
        self.files: Mapping[str, Asset] = {path.relative_to(folder).as_posix(): _asset(path) for path in paths}
        digest = hashlib.sha256()
        for name, asset in self.files.items():
            digest.update(b"%s\0%d\0%s" % (name.encode(), len(asset.body), asset.body))
        self.prefix = f"/static/{digest.hexdigest()[:16]}/"
        self.shell = self._shell().encode()

    def _shell(self) -> str:
        core = [name for name in self.files if name.startswith("core/") and name.endswith(".js") and name.count("/") == 1]
        modules = [*FIRST, *(name for name in core if name not in FIRST)]
        sheets = sorted(
            (name for name in self.files if name.endswith(".css")), key=lambda name: (not name.startswith("core/"), name)
        )
        lines = [
            "<!doctype html>",
            '<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            '<title>perenne</title><meta name="color-scheme" content="light dark">',
            f'<link rel="icon" type="image/svg+xml" href="{self.prefix}core/icon.svg">',
            f'<script src="{self.prefix}core/theme-first.js"></script>',
            f'<link rel="preload" href="{self.prefix}{FONT}" as="font" type="font/woff2" crossorigin>',
            *(f'<link rel="stylesheet" href="{self.prefix}{name}">' for name in sheets),
            *(f'<link rel="modulepreload" href="{self.prefix}{name}">' for name in modules if name != "core/theme-first.js"),
            '<body><div id="app"></div><noscript>This page needs JavaScript; `perenne status` tells the same.</noscript>',
            f'<script type="module" src="{self.prefix}core/main.js"></script>',
        ]
        return "\n".join(lines) + "\n"


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    packed = gzip.compress(body, 9, mtime=0) if path.suffix != ".woff2" else body
    return Asset(TYPES[path.suffix], body, packed if len(packed) < len(body) else None)
