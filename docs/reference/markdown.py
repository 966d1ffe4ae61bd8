"""Pieces of Markdown that the pages of the reference are made of."""

import re
from collections.abc import Iterable, Sequence

_SECTION = re.compile(r"^(\w[\w ]*)\n-+$", re.MULTILINE)
_DOCTEST = re.compile(r"^>>> .*(?:\n(?!\n).*)*", re.MULTILINE)


def escape(text: str) -> str:
    """Keep a text from being read as Markdown, in a cell of a table too; what stands in backticks is code already."""
    parts = text.replace("\n", " ").split("`")
    parts[::2] = [re.sub(r"([\\*<>\[\]|])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [part.replace("|", "\\|") for part in parts[1::2]]
    return "`".join(parts)


def code(text: str) -> str:
    """Show a text as code, in a cell of a table too."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; an empty text if it has no row."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines]) + "\n" if lines else ""


def docstring(text: str) -> str:
    """Turn a numpy-style docstring into Markdown."""
    parts = _SECTION.split(text)
    written = [_prose(parts[0])]
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        written.append(f"**{title}**\n\n{_entries(body)}")
    return "\n\n".join(written)


def _prose(text: str) -> str:
    shown = _DOCTEST.sub(lambda match: f"```python\n{match[0]}\n```", text.strip())
    return re.sub(r"``(.+?)``", r"`\1`", shown)


def _entries(body: str) -> str:
    """Write `name : type` and the indented words below it as a list."""
    lines: list[str] = []
    after = ""
    for line in body.strip().splitlines():
        if line.startswith(">>>") or after:
            after += line + "\n"
        elif line and not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            lines.append(f"- `{name}`" + (f" ({escape(kind)})" if kind else "") + ":")
        elif line.strip() and lines:
            lines[-1] += " " + line.strip()
    return "\n".join(lines) + (f"\n\n{_prose(after)}" if after else "")
