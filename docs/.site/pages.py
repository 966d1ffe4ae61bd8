"""Makes a site of pages that are written for the forge: a hook of mkdocs.

Pages outside `docs/` (examples, CONTRIBUTING, benchmarks) are put into the site, and links to them are led there. What the forge
forgives and Python-Markdown does not is put right on the way: words after the language of a code block, and lists that
follow a paragraph without an empty line.
"""

import os
import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
STATIC = "src/perenne/web/static"
FENCE = re.compile(r"^```[^\n]*\n.*?^```[ ]*$", re.MULTILINE | re.DOTALL)
OPENING = re.compile(r"\A```(?P<language>\w*)[^\n]*")
FILE_MARK = re.compile(r"\bfile=(?P<name>\S+)")
LINK = re.compile(r"(?P<before>\]\(|\bsrc=\"|\bsrcset=\")(?P<target>[^)\s\"#]+)(?P<anchor>#[^)\s\"]*)?")
LIST_AFTER_TEXT = re.compile(r"^(?P<text>(?![-*|#> ]|\d+\. )[^\n]+\n)(?=(?:- |\d+\. ))", re.MULTILINE)


def _outside() -> dict[str, str]:
    """Return where in the site a file of the repository that is not in `docs/` lies, by its path in the repository."""
    found = {
        "CONTRIBUTING.md": "contributing.md",
        "LICENSE": "LICENSE.txt",
        "mkdocs.yml": "mkdocs.yml",
        "benchmarks/README.md": "benchmarks.md",
        f"{STATIC}/core/icon.svg": "assets/icon.svg",
        f"{STATIC}/vendor/inter.woff2": "assets/inter.woff2",
        f"{STATIC}/vendor/jetbrains-mono.woff2": "assets/jetbrains-mono.woff2",
    }
    examples = (path for path in (ROOT / "examples").rglob("*") if path.suffix in {".md", ".py", ".csv", ".sh"})
    shown = (path.relative_to(ROOT).as_posix() for path in examples)
    return found | {path: path for path in shown if "/." not in path and "__pycache__" not in path}


OUTSIDE = _outside()
REPOSITORY = {site: path for path, site in OUTSIDE.items()}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write out the stars of the navigation."""
    pages = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))
    config.nav = list(_expand(config.nav or [], [*pages, *sorted(REPOSITORY)]))
    return config


def _expand(entries: list[Any], pages: list[str]) -> Iterator[Any]:
    named = {entry for entry in entries if isinstance(entry, str)}
    for entry in entries:
        if isinstance(entry, dict) and isinstance(children := next(iter(entry.values())), list):
            if kept := list(_expand(children, pages)):
                yield {next(iter(entry)): kept}
        elif isinstance(entry, str) and "*" in entry:
            depth = entry.count("/")
            yield from (page for page in pages if fnmatch(page, entry) and page.count("/") == depth and page not in named)
        else:
            yield entry


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside `docs/`."""
    for path, site in OUTSIDE.items():
        files.append(File.generated(config, site, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn a page as the forge shows it into one that Python-Markdown reads in the same way."""
    here = page.file.src_uri
    parts: list[str] = []
    end = 0
    for fence in FENCE.finditer(markdown):
        parts += [_prose(markdown[end : fence.start()], here), _code(fence[0])]
        end = fence.end()
    return "".join([*parts, _prose(markdown[end:], here)])


def _code(block: str) -> str:
    opening = OPENING.match(block)
    assert opening is not None
    name = FILE_MARK.search(opening[0])
    title = f' title="{name["name"]}"' if name else ""
    return f"```{opening['language']}{title}" + block[opening.end() :]


def _prose(text: str, here: str) -> str:
    return LINK.sub(lambda match: _lead(match, here), LIST_AFTER_TEXT.sub(r"\g<text>\n", text))


def _lead(match: re.Match[str], here: str) -> str:
    """Lead a link of the repository to where its target lies in the site."""
    target = match["target"]
    if "://" in target or target.startswith("mailto:"):
        return match[0]
    origin = REPOSITORY.get(here, f"docs/{here}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
    if (ROOT / path).is_dir():
        path += "/README.md"
    # the forge has a front page of its own
    site = "index.md" if path == "README.md" else OUTSIDE.get(path) or path.removeprefix("docs/")
    led = os.path.relpath(site, posixpath.dirname(here) or ".")
    return f"{match['before']}{led}{match['anchor'] or ''}"
