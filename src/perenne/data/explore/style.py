"""The frame of a page that is one file: its looks, its one script, and the policy that lets nothing else run or load.

The policy names both by their hash, so that nothing in the data can become a style or a script, wherever the file is opened.
"""

import base64
import hashlib
from pathlib import Path

from perenne.data.explore.markup import text

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


POLICY = (
    f"default-src 'none'; style-src 'sha256-{_hash(STYLE)}'; script-src 'sha256-{_hash(SCRIPT)}'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""What the page may do, as a Content-Security-Policy: nothing but its own style and script."""


def page(title: str, parts: list[tuple[str, str]], head: str, body: str) -> str:
    """Put a page together: its title, the names of its parts by their anchors, the head line and everything below."""
    links = "".join(f'<a href="#{identity}">{words}</a>' for identity, words in parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<style>{STYLE}</style></head><body><a class='skip' href='#top'>Skip to the content</a>"
        f'<header class="bar-top"><strong>perenne</strong><nav aria-label="Parts of the page">{links}</nav>'
        f'<button id="theme" type="button" hidden>Light or dark</button></header><main id="top">{head}{body}</main>'
        f"<script>{SCRIPT}</script></body></html>"
    )
