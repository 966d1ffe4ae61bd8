"""A model card as a page of HTML that stands by itself: what `card_text` writes, in the few forms that it uses."""

import html
import re
from collections.abc import Iterator, Sequence

_STYLE = (
    "body{font:15px/1.5 Inter,system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1f1c;background:#fff}"
    "h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #d8ded9}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{border:1px solid #d8ded9;padding:.25rem .6rem;"
    "text-align:left;vertical-align:top}pre{background:#f3f5f3;padding:.75rem;overflow:auto}code{font-family:ui-monospace,monospace}"
    "@media(prefers-color-scheme:dark){body{color:#e6ebe7;background:#121513}h2,td,th{border-color:#343b36}pre{background:#1b201d}}"
)
_CODE = re.compile(r"`([^`]*)`")
_ESCAPED = re.compile(r"\\([\\`*_\[\]<>|#])")
_CELL = re.compile(r"(?<!\\)\|")


def page(markdown: str, title: str) -> str:
    """Return the page of a card; nothing in it is loaded from elsewhere, and nothing runs."""
    body = "\n".join(_blocks(markdown.splitlines()))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Model card: {html.escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line, start = lines[at], at
        if line.startswith("```"):
            at = next((place for place in range(at + 1, len(lines)) if lines[place].startswith("```")), len(lines)) + 1
            yield f"<pre>{html.escape(chr(10).join(lines[start + 1 : at - 1]))}</pre>"
        elif line.startswith("#"):
            level = len(line) - len(line.lstrip("#"))
            at += 1
            yield f"<h{level}>{_inline(line.lstrip('# '))}</h{level}>"
        elif line.startswith(("- ", "|")):
            kind = line[0]
            while at < len(lines) and lines[at].startswith(kind):
                at += 1
            yield _list(lines[start:at]) if kind == "-" else _table(lines[start:at])
        else:
            at += 1
            if line:
                yield f"<p>{_inline(line)}</p>"


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in lines) + "</ul>"


def _table(lines: Sequence[str]) -> str:
    head, *rows = [[_inline(cell.strip()) for cell in _CELL.split(line)[1:-1]] for line in (lines[0], *lines[2:])]
    titles = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _inline(text: str) -> str:
    parts = _CODE.split(text) if "\\`" not in text else [text]
    return "".join(
        f"<code>{html.escape(part)}</code>" if place % 2 else html.escape(_ESCAPED.sub(r"\1", part))
        for place, part in enumerate(parts)
    )
