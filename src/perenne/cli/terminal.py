"""What the terminal of this command takes, and what was asked of it: colours, width, and whether anybody watches."""

import os
import shutil
import sys
from typing import TextIO

import msgspec

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "amber": "33", "blue": "34", "error": "31;1"}


class Wishes(msgspec.Struct):
    """What the command line says for all commands alike: `--json`, `--quiet`, `--no-color`."""

    as_json: bool = False
    quiet: bool = False
    colour: bool = True


WISHES = Wishes()
"""Those of the command that runs; set once, before it is called."""

FLAGS = {"--json": ("as_json", True), "--quiet": ("quiet", True), "--no-color": ("colour", False)}


def take_wishes(arguments: list[str]) -> list[str]:
    """Read the flags that every command takes, wherever they stand, and return the other arguments.

    What comes after `--` is left alone.
    """
    WISHES.as_json, WISHES.quiet, WISHES.colour = False, False, True
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for argument in arguments[:end]:
        if argument in FLAGS:
            setattr(WISHES, *FLAGS[argument])
    return [argument for argument in arguments[:end] if argument not in FLAGS] + arguments[end:]


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a person reads the stream."""
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def takes_colour(stream: TextIO) -> bool:
    """Tell whether the stream shows colours, and nobody has said that it should not."""
    return WISHES.colour and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb" and is_terminal(stream)


def shows_progress() -> bool:
    """Tell whether to show work in hand: to a person, who did not ask for quiet."""
    return not WISHES.quiet and is_terminal(sys.stderr)


def width() -> int:
    """Return how many characters fit a line."""
    return max(20, shutil.get_terminal_size((100, 24)).columns)


def paint(text: str, code: str, stream: TextIO | None = None) -> str:
    """Return a text in a colour or weight of `CODES`, if the stream, standard output if not given, takes it."""
    if not code or not takes_colour(sys.stdout if stream is None else stream):
        return text
    return f"\x1b[{CODES[code]}m{text}\x1b[0m"
