"""Where DVC prints what: answers and notes to standard output, warnings and errors to standard error, nothing when quiet."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from perenne.formats.dvc import answers


class Volume:
    """How much is said."""

    quiet = False
    verbose = 0


VOLUME = Volume()


def say(text: str = "", *, always: bool = False) -> None:
    """Print a line of an answer."""
    if always or not VOLUME.quiet:
        sys.stdout.write(f"{text}\n")


def say_json(answer: Any) -> None:
    """Print an answer as JSON: one line to a pipe, indented to a person."""
    if not VOLUME.quiet:
        if sys.stdout.isatty():
            import json

            sys.stdout.write(json.dumps(answer, indent=2, default=str) + "\n")
        else:
            sys.stdout.write(answers.text_of(answer) + "\n")


def warn(text: str) -> None:
    """Print a warning."""
    _aside("WARNING: ", "33", text)


def fail(text: str) -> None:
    """Print an error."""
    _aside("ERROR: ", "31", text)


def note(text: str) -> None:
    """Print a line to standard error, without a heading."""
    _aside("", "33", text)


def _aside(heading: str, colour: str, text: str) -> None:
    if VOLUME.quiet:
        return
    if heading and sys.stderr.isatty() and "NO_COLOR" not in os.environ:
        heading = f"\x1b[{colour}m{heading[:-2]}\x1b[39m: "
    sys.stderr.write(f"{heading}{text}\n")


def say_table(rows: Sequence[Sequence[str]], *, right: bool = False) -> None:
    """Print rows in columns; `right` aligns the first to the right."""
    if not rows:
        return
    across = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(across[i]) if right and i == 0 else cell.ljust(across[i]) for i, cell in enumerate(row)]
        say("  ".join(cells).rstrip())


def confirmed(question: str) -> bool:
    """Ask a person; nobody there means no."""
    if not sys.stdin.isatty():
        return False
    while True:
        answer = input(f"{question} [y/n]: ").strip().lower()
        if answer in ("y", "yes", "n", "no"):
            return answer[0] == "y"


def summary(counts: Iterable[tuple[str, int]]) -> str:
    """Say how many files were what.

    >>> summary([("added", 1), ("fetched", 0), ("modified", 3)])
    '1 file added and 3 files modified'
    """
    said = [f"{count} file{'s' if count > 1 else ''} {what}" for what, count in counts if count]
    return f"{', '.join(said[:-1])} and {said[-1]}" if len(said) > 1 else "".join(said)


def size_of(count: float) -> str:
    """Say a number of bytes as DVC does.

    >>> size_of(100), size_of(1536), size_of(10 * 1024**3)
    ('100', '1.50k', '10.0G')
    """
    if count < 1024:
        return f"{count:.0f}"
    for unit in ("", "k", "M", "G", "T", "P", "E", "Z"):
        if abs(count) < 999.5:
            if abs(count) < 99.95:
                return f"{count:1.2f}{unit}" if abs(count) < 9.995 else f"{count:2.1f}{unit}"
            return f"{count:3.0f}{unit}"
        count /= 1024
    return f"{count:3.1f}Y"
