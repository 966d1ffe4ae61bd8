"""What may be said, and what counts of several opinions. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.labels.model import LONGEST_TEXT, Definition, ItemState, Role, Source, TaskKind

MOST_SPANS = 1_000
MOST_BYTES = 200_000
_SAYS = frozenset({Source.PERSON.value, Source.IMPORT.value})


class Label(msgspec.Struct, frozen=True):
    """What was said of an item, as it is kept.

    Attributes
    ----------
    id : int
        Rises with each label.
    item, snapshot : str
        The content of the row, and the version of the data it was read from.
    value : str or None
        As canonical JSON; None takes back what the labeller said before.
    labeller, source, role : str
        Who said it, what kind of sayer that is, and what for.
    confidence : float or None
        From 0 to 1.
    time, known : int
        When it was kept, and when it became known.
    """

    id: int
    item: str
    snapshot: str
    value: str | None
    labeller: str
    source: str
    role: str
    confidence: float | None
    note: str
    time: int
    known: int

    @property
    def decoded(self) -> Any:
        """The value as it was said."""
        return None if self.value is None else msgspec.json.decode(self.value)


def checked(definition: Definition, value: Any) -> str:
    """Return a value as canonical JSON, the same for the same meaning.

    Raises
    ------
    Invalid
        If it is no answer to what the label set asks.

    >>> from perenne.labels.model import LabelClass
    >>> checked(Definition(kind=TaskKind.MULTILABEL, classes=(LabelClass("a"), LabelClass("b"))), ["b", "a", "b"])
    '["a","b"]'
    """
    return json.canonical(_CHECKS[definition.kind](definition, value)).decode()


def _wrong(problem: str, hint: str) -> Invalid:
    return Invalid(f"value: {problem}", code="label.value", hint=hint)


def _one_class(definition: Definition, value: Any) -> Any:
    if not isinstance(value, str) or value not in definition.names:
        raise _wrong(f"{str(value)[:100]!r} is no class", f"one of: {', '.join(definition.names)[:300]}")
    return value


def _several(definition: Definition, value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise _wrong("it is no list of classes", "an empty list says that none fits")
    return sorted({_one_class(definition, name) for name in value}, key=definition.names.index)


def _number(definition: Definition, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(f"{str(value)[:100]!r} is no number", "digits, with a point")
    low = -math.inf if definition.low is None else definition.low
    high = math.inf if definition.high is None else definition.high
    if not low <= value <= high:
        raise _wrong(f"{value:g} lies outside", f"from {low:g} to {high:g}")
    return float(value)


def _text(_: Definition, value: Any) -> Any:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or "\0" in value:
        raise _wrong("it is no text", f"at most {LONGEST_TEXT:,} characters")
    return value.strip()


def _spans(definition: Definition, value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) > MOST_SPANS:
        raise _wrong("it is no list of spans", f"at most {MOST_SPANS:,}, each with start, end and label")
    return sorted((_span(definition, span) for span in value), key=lambda span: (span["start"], span["end"], span["label"]))


def _span(definition: Definition, span: Any) -> dict[str, Any]:
    if not isinstance(span, dict) or set(span) - {"start", "end", "label", "text"}:
        raise _wrong("a span has start, end, label and text", "write {start: 0, end: 4, label: …}")
    start, end = (_whole(span.get(name)) for name in ("start", "end"))
    if not 0 <= start < end:
        raise _wrong("start and end of a span are not in order", "whole numbers of characters, start before end")
    text = span.get("text", "")
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise _wrong("the text of a span is no text", "leave it out, or give what stands there")
    return {"start": start, "end": end, "label": _one_class(definition, span.get("label")), **({"text": text} if text else {})}


def _whole(place: Any) -> int:
    return place if isinstance(place, int) and not isinstance(place, bool) else -1


def _verbatim(_: Definition, value: Any) -> Any:
    if not isinstance(value, list | dict | tuple) or len(json.encode(value)) > MOST_BYTES:
        raise _wrong("it is no list or object", f"at most {MOST_BYTES:,} bytes of JSON")
    return value


_CHECKS = {
    TaskKind.BINARY: _one_class,
    TaskKind.MULTICLASS: _one_class,
    TaskKind.MULTILABEL: _several,
    TaskKind.NUMBER: _number,
    TaskKind.TEXT: _text,
    TaskKind.SPANS: _spans,
    TaskKind.VERBATIM: _verbatim,
}


def from_text(definition: Definition, text: str) -> Any:
    """Read a value as somebody types it: lists as JSON or with bars between. Raises Invalid.

    >>> from_text(Definition(kind=TaskKind.NUMBER), "2"), from_text(Definition(kind=TaskKind.MULTILABEL), "a|b")
    (2.0, ['a', 'b'])
    """
    try:
        if definition.kind is TaskKind.NUMBER:
            return float(text)
        if definition.kind in (TaskKind.MULTILABEL, TaskKind.SPANS, TaskKind.VERBATIM):
            return msgspec.json.decode(text) if text[:1] in ("[", "{") else [name for name in text.split("|") if name]
    except ValueError as error:
        raise _wrong(f"{text[:100]!r} cannot be read", str(error)[:200]) from None
    return text


class Standing(NamedTuple):
    """Where an item stands: how many people said something, whether that is enough, and how far they differ, from 0 to 1."""

    opinions: int
    state: ItemState
    disagreement: float


def standing(definition: Definition, labels: Iterable[Label]) -> Standing:
    """Tell where an item stands by the labels that count now.

    Enough opinions that agree make it done. If they differ it is disputed until somebody decides, or until more people than were
    asked have said something and more than half of all agree. Numbers are never disputed: their median counts.
    """
    current = [label for label in labels if label.value is not None]
    said = [label.value for label in current if label.source in _SAYS and label.role == Role.OPINION and label.value is not None]
    differ = 0.0 if len(said) < 2 else 1 - Counter(said).most_common(1)[0][1] / len(said)
    if any(label.role == Role.DECISION for label in current):
        return Standing(len(said), ItemState.DECIDED, differ)
    if len(said) < definition.opinions:
        return Standing(len(said), ItemState.OPEN, differ)
    settled = differ == 0 or definition.kind is TaskKind.NUMBER or (len(said) > definition.opinions and differ < 0.5)
    return Standing(len(said), ItemState.DONE if settled else ItemState.DISPUTED, differ)


class Resolved(msgspec.Struct, frozen=True):
    """What counts for an item: its value, who or what said so, how sure that is, and since when it was known."""

    item: str
    value: Any
    source: str
    confidence: float
    labellers: int
    known: int


ALL_SOURCES = (Source.PERSON, Source.IMPORT, Source.RULE, Source.MODEL)


def resolve(definition: Definition, labels: Sequence[Label], sources: Sequence[str] = ALL_SOURCES) -> Resolved | None:
    """Return what counts of everything that was said of an item; None if nothing does.

    A known answer and a decision count first, then what most of the people say (numbers: the median), then what rules, then what
    a model says. A tie counts for nothing.
    """
    current = [label for label in labels if label.value is not None and label.source in sources]
    for role in (Role.GOLD, Role.DECISION):
        said = [label for label in current if label.role == role]
        if said:
            last = max(said, key=lambda label: (label.known, label.id))
            return Resolved(last.item, last.decoded, last.source, 1.0, 1, last.known)
    opinions = [label for label in current if label.role == Role.OPINION]
    people = [label for label in opinions if label.source in _SAYS]
    if people:
        return _most(definition, people)
    for source in (Source.RULE, Source.MODEL):
        said = [label for label in opinions if label.source == source]
        if said:
            last = max(said, key=lambda label: (label.known, label.id))
            return Resolved(last.item, last.decoded, source, 1.0 if last.confidence is None else last.confidence, 1, last.known)
    return None


def _most(definition: Definition, said: Sequence[Label]) -> Resolved | None:
    known, source = max(label.known for label in said), min(label.source for label in said)
    if definition.kind is TaskKind.NUMBER:
        import statistics

        value = statistics.median(label.decoded for label in said)
        return Resolved(said[0].item, value, source, 1.0, len(said), known)
    counted = Counter(label.value for label in said).most_common(2)
    if len(counted) == 2 and counted[0][1] == counted[1][1]:
        return None
    first = next(label for label in said if label.value == counted[0][0])
    return Resolved(first.item, first.decoded, source, counted[0][1] / len(said), len(said), known)
