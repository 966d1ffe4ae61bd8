"""What the build of the site does beside mkdocs: the reference from the code, the list of decisions, the marks of snippets.

The pages stay plain files that a forge shows and links between as they are; see `tests/docs/test_snippets.py` for the marks.
"""

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
for _place in (ROOT, ROOT / "src"):
    if str(_place) not in sys.path:
        sys.path.insert(0, str(_place))

REFERENCE = {
    "Command line": "cli",
    "REST": "rest",
    "Settings": "settings",
    "Python": "python_api",
    "Events": "events",
    "Metrics": "metrics",
    "Error codes": "errors",
}
_MARKED = re.compile(r"^```(?P<language>\w+)(?P<marks>[ ][^\n`]*)$", re.MULTILINE)
_FILE = re.compile(r"\bfile=(\S+)")
_UPWARDS = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<climb>(?:\.\./)+)(?P<path>[^)#]+)(?:#[^)]*)?\)")


def on_config(config: Any) -> Any:
    """Complete the navigation by what is found."""
    for entry in config.nav:
        if "Reference" in entry:
            entry["Reference"] = ["reference/index.md", *({title: f"reference/{name}.md"} for title, name in REFERENCE.items())]
        if "Decisions" in entry:
            folder = Path(config.docs_dir) / "decisions"
            entry["Decisions"] = ["decisions/index.md", *(f"decisions/{path.name}" for path in sorted(folder.glob("0*.md")))]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages made from code, unless they are there."""
    from importlib import import_module

    for name in REFERENCE.values():
        text = import_module(f"docs.reference.{name}").page()
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Take the marks off the snippets, and the links off what lies outside the site."""
    depth = page.file.src_uri.count("/")
    return _UPWARDS.sub(lambda link: _named(link, depth), _MARKED.sub(_fence, markdown))


def _fence(match: re.Match[str]) -> str:
    file = _FILE.search(match["marks"])
    return f'```{match["language"]} title="{file[1]}"' if file else f"```{match['language']}"


def _named(link: re.Match[str], depth: int) -> str:
    """Say where a file of the repository is, as a page of the site cannot link to it."""
    outside = link["climb"].count("../") > depth
    return f"{link['text']} (`{link['path']}`)" if outside else link[0]
