"""Public ids: 26 characters that sort by time, as a ULID: 48 bits of milliseconds, 80 random bits, Crockford's base 32."""

import os
import re
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_HALF = (1 << 60) - 1
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_GRAMMAR = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_id() -> str:
    """Make an id that sorts after those of earlier milliseconds.

    >>> len(new_id())
    26
    """
    number = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10))
    return encode_id(number)


def first_id(instant: int) -> str:
    """Return the least id that can be made at an instant, in microseconds since 1970, or later.

    >>> time_of_id(first_id(1469922850259000))
    1469922850259000
    """
    return encode_id(max(0, instant) // 1_000 << 80)


def encode_id(number: int) -> str:
    """Write 128 bits as 26 characters."""
    high, low = number >> 60, number & _HALF  # numbers of one machine word are shifted faster
    return "".join(
        [_PAIRS[high >> shift & 1023] for shift in (60, 50, 40, 30, 20, 10, 0)]
        + [_PAIRS[low >> shift & 1023] for shift in (50, 40, 30, 20, 10, 0)]
    )


def is_id(text: str) -> bool:
    """Tell whether the text has the form of an id.

    >>> is_id("01ARZ3NDEKTSV4RRFFQ69G5FAV"), is_id("../etc/passwd")
    (True, False)
    """
    return _GRAMMAR.fullmatch(text) is not None


def time_of_id(text: str) -> int:
    """Return the instant an id was made, in microseconds since 1970.

    >>> time_of_id("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    1469922850259000
    """
    number = 0
    for letter in text[:10]:
        number = number << 5 | _VALUES[letter]
    return number * 1_000
