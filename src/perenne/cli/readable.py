"""Values as people read them on a terminal: short local times, durations, beginnings of digests, states with a shape.

In a pipe and with `--json` none of this happens: there, values stay as they are.
"""

import contextlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from perenne.core import json
from perenne.core.clock import SECOND, format_duration
from perenne.core.errors import PerenneError

BRIEF = 60
_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3,6})?(?:Z|\+00:00)(?!\w)")
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
_SINCE_1973, _UNTIL_2096 = 10**14, 4 * 10**15


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TIMES = _words(
    "created updated started ended opened since until time at start end due lease expires last_used revoked rotated "
    "previous_until fired window_start span_start event_time watermark used entered received taken waiting rest_until "
    "holdout_start holdout_end decided acknowledged registered arrived happened latest sent"
)
_DURATIONS = _words(
    "window_length window cooldown label_delay holdout shadow soak debounce history cpu latency_us time_limit lifetime"
)
_LABELS = _words("number seq event pid port generation attempt attempts priority seed revision status")
_SIZES = frozenset({"bytes", "size", "size_bytes"})
STATES = frozenset({"state", "gate", "verdict", "severity", "status"})


class Tone(NamedTuple):
    """How a state looks: a shape, for whoever sees no colour, and a colour."""

    shape: str
    colour: str


OK, WARN, CRIT, INFO, NONE = Tone("●", "green"), Tone("◆", "amber"), Tone("■", "red"), Tone("◐", "blue"), Tone("○", "dim")
_WORDS = {
    OK: "ok open pass passed done finished hit serving valid alive approved ready current healthy met clear settled resolved "
    "promoted stated",
    WARN: "warn warning waiting gap too_few unknown silent behind newer pending missing unsure awaiting_approval interrupted "
    "expired empty lost late",
    CRIT: "alarm critical crit error fail failed closed stopped problem rejected barred firing missed set_aside rolled_back",
    INFO: "running queued cancelling info training evaluated blessed infra_checked shadow soaking triggered debounced budget_ok "
    "data_ready delivering",
    NONE: "none no_data cancelled revoked dropped delivered gone skipped unproven",
}
TONES = {word: tone for tone, words in _WORDS.items() for word in words.split()}


def tone_of(name: str, value: Any) -> Tone | None:
    """Return how the state looks that stands under a name; None if it is no state.

    >>> tone_of("gate", "open").shape, tone_of("note", "open")
    ('●', None)
    """
    return TONES.get(value) if name in STATES and isinstance(value, str) else None


def readable(name: str, value: Any) -> str:
    """Return a value, as it stands under a name, in one line.

    >>> readable("rows", 1865000), readable("window_length", 86400000000), readable("bytes", 31801)
    ('1,865,000', '1d', '31.1 KiB')
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return _number(name, value)
        case float():
            return f"{value:.4g}"
        case str():
            return _text(value)
        case Mapping() | Sequence():
            return brief(value)
        case _:
            return clean(str(value))


def _number(name: str, value: int) -> str:
    if (name in _TIMES or name.rpartition("_")[2] in _TIMES) and _SINCE_1973 <= value <= _UNTIL_2096:
        return short_time(value)
    if name in _DURATIONS and value > 0:
        return format_duration(value)
    if name in _SIZES:
        return size(value)
    return str(value) if name in _LABELS else f"{value:,}"


def _text(value: str) -> str:
    if value[:1] in ("{", "[", '"'):
        with contextlib.suppress(PerenneError):
            return brief(json.decode(value, Any))
    if len(value) >= 64:
        value = _DIGEST.sub(r"\1", value)
    return clean(_TIME.sub(_short, value) if "T" in value else value)


def _short(found: "re.Match[str]") -> str:
    try:
        return short_time(int(datetime.fromisoformat(found[0]).timestamp()) * SECOND)
    except ValueError:
        return found[0]


def short_time(microseconds: int, now: datetime | None = None) -> str:
    """Write an instant by the clock on this wall: of today without the day, of this year without the year."""
    at = datetime.fromtimestamp(microseconds / SECOND).astimezone()
    now = now or datetime.now().astimezone()
    if at.date() == now.date():
        return f"{at:%H:%M:%S}"
    return f"{at.day} {at:%b %H:%M}" if at.year == now.year else f"{at:%Y-%m-%d %H:%M}"


def size(count: int) -> str:
    """Write a number of bytes.

    >>> size(512), size(3 << 20)
    ('512 B', '3.0 MiB')
    """
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def brief(value: Any, limit: int = BRIEF) -> str:
    """Say in a line what a nested value holds, without brackets and quotes; what does not fit is cut.

    >>> brief({"gate": "open", "run": "7", "reasons": [], "of": {"a": 1.5}})
    'gate open, run 7, of (a 1.5)'
    >>> brief([{"type": "drift"}, {"type": "missed", "metric": ""}])
    'drift, missed'
    """
    text = _told(value)
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip(' ,')}…"


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        parts = [_pair(str(name), item) for name, item in value.items() if not is_empty(item)]
        return ", ".join(part for part in parts if part)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_told(item) for item in value)
    return readable("", value)


def _pair(name: str, value: Any) -> str:
    if name == "type":
        return str(value)
    told = _told(value) if isinstance(value, Mapping | Sequence) and not isinstance(value, str) else readable(name, value)
    word = clean(name).replace("_", " ")
    return f"{word} ({told})" if isinstance(value, Mapping) else f"{word} {told}"


def is_empty(value: Any) -> bool:
    """Tell whether there is nothing to show."""
    return value is None or (isinstance(value, str | Mapping | Sequence) and len(value) == 0)


def is_nested(value: Any) -> bool:
    """Tell whether a value holds further ones, also when it is their JSON."""
    if isinstance(value, str):
        return value[:1] in ("{", "[")
    return isinstance(value, Mapping | list | tuple) and any(isinstance(item, Mapping | list) for item in _items(value))


def _items(value: Any) -> Sequence[Any]:
    return [value] if isinstance(value, Mapping) else value


def clean(text: str) -> str:
    """Put blanks where a terminal would see a command: what is shown may come from anybody."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else " " for letter in text)


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    >>> cells("abc"), cells("模型")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
