"""How far a transfer is, on stderr, for a person who watches: from the first second, and gone when it is done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from perenne.data.versions.remotes.transfer import ASK, BRING, MANIFESTS, PLACE, SEND, Hear, Progress

_WORDS = {
    ASK: "looking what is there",
    MANIFESTS: "bringing manifests",
    SEND: "sending",
    BRING: "bringing",
    PLACE: "checking out",
}
_EVERY_S = 0.1


@contextmanager
def told() -> Iterator[Hear | None]:
    """Give what hears of progress: a line on a terminal; None where nobody watches, or whoever does asked for quiet."""
    context = click.get_current_context(silent=True)
    if context is None or not context.meta.get("perenne.progress"):
        yield None
        return
    line = _Line()
    try:
        yield line.hear
    finally:
        line.clear()


class _Line:
    def __init__(self) -> None:
        self._told = 0.0
        self._began = time.monotonic()

    def hear(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._told < _EVERY_S and progress.done < progress.total:
            return
        self._told = now
        click.echo(f"\r{shown(progress, now - self._began)}\x1b[K", err=True, nl=False)

    def clear(self) -> None:
        click.echo("\r\x1b[K", err=True, nl=False)


def shown(progress: Progress, seconds: float) -> str:
    """Return the line of a progress.

    >>> shown(Progress("send", 3, 10, 2_500_000), 2.0)
    'sending: 3 of 10, 2.5 MB, 1.2 MB/s'
    """
    parts = []
    if progress.total:
        parts.append(f"{progress.done:,} of {progress.total:,}")
    elif progress.done:
        parts.append(f"{progress.done:,}")
    if progress.bytes:
        parts.append(size(progress.bytes))
        if seconds > 0:
            parts.append(f"{size(progress.bytes / seconds)}/s")
    words = _WORDS.get(progress.what, progress.what)
    return f"{words}: {', '.join(parts)}" if parts else f"{words} …"


def size(count: float) -> str:
    """Return a number of bytes as people read it.

    >>> size(999), size(1_500_000)
    ('999 B', '1.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1_000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} TB"


def asked(what: str) -> str:
    """Ask a person for a secret."""
    answer: str = click.prompt(what, hide_input=True, err=True)
    return answer
