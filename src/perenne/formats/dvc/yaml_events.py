"""Any YAML document, read from the parser's events: YAML 1.2 as ruamel.yaml understands it, with limits against hostile files."""

import re
from collections.abc import Hashable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NoReturn

import yaml

from perenne.core.errors import Invalid
from perenne.formats.dvc.scalars import Odd, resolved

DEEPEST = 100
MOST_NODES = 1_000_000
"""How many values a document may have once its aliases are written out."""

MERGE = object()
_TAGS = {"str": str, "int": int, "float": float, "bool": bool, "null": type(None), "map": dict, "seq": list, "timestamp": date}


def read(text: str, name: str) -> Any:
    """Read one document.

    Raises
    ------
    Invalid
        Not YAML, more than one document, a key twice, a tag that is not plain data, too deep, too many values.
    """
    builder = Builder(name)
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            builder.take(event)
    except yaml.YAMLError as error:
        raise Invalid(
            f"{name} is not YAML: {_said(error)}",
            code="data.bad_yaml",
            hint="correct it, or take the recorded one: `git checkout -- FILE`",
        ) from None
    return builder.document


def _said(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return str(error).replace("\n", " ")


class Open:
    """A mapping or list whose end has not come."""

    def __init__(self, value: dict[Any, Any] | list[Any], anchor: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.key: Any = None
        self.has_key = False
        self.nodes = 1
        self.merged: list[dict[Any, Any]] = []


class Builder:
    """Makes values of events, without recursion."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.document: Any = None
        self.documents = 0
        self.stack: list[Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}

    def take(self, event: yaml.Event) -> None:
        """Take the next event."""
        if isinstance(event, yaml.ScalarEvent):
            self._put(self._scalar(event), event.anchor, 1, event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                self._refuse(event, f"the alias *{event.anchor} has no anchor before it")
            value, nodes = self.anchors[event.anchor]
            self._put(value, None, nodes, event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._refuse(event, "a second document")

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if len(self.stack) >= DEEPEST:
            self._refuse(event, f"nested more than {DEEPEST} deep")
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        tag = "map" if is_mapping else "seq"
        if event.tag not in (None, f"tag:yaml.org,2002:{tag}"):
            self._refuse(event, f"the tag {event.tag} is not plain data")
        self.stack.append(Open({} if is_mapping else [], event.anchor))

    def _close(self, event: yaml.Event) -> None:
        done = self.stack.pop()
        for source in reversed(done.merged):
            done.value = {**source, **done.value} if isinstance(done.value, dict) else done.value
        self._put(done.value, done.anchor, done.nodes, event)

    def _put(self, value: Any, anchor: str | None, nodes: int, event: yaml.Event) -> None:
        if anchor is not None:
            self.anchors[anchor] = (value, nodes)
        if not self.stack:
            self.document = value
            return
        into = self.stack[-1]
        into.nodes += nodes
        if into.nodes > MOST_NODES:
            self._refuse(event, f"more than {MOST_NODES} values once its aliases are written out")
        if isinstance(into.value, list):
            into.value.append(value)
        elif not into.has_key:
            self._key(into, value, event)
        else:
            self._pair(into, value, event)

    def _key(self, into: Open, key: Any, event: yaml.Event) -> None:
        if not isinstance(key, Hashable):
            self._refuse(event, "a mapping or list as a key")
        if key in into.value:
            self._refuse(event, f"the key '{key}' twice")
        into.key, into.has_key = key, True

    def _pair(self, into: Open, value: Any, event: yaml.Event) -> None:
        assert isinstance(into.value, dict)
        if into.key is MERGE:
            sources = value if isinstance(value, list) else [value]
            if not all(isinstance(source, dict) for source in sources):
                self._refuse(event, "<< merges mappings only")
            into.merged += sources
        else:
            into.value[into.key] = value
        into.has_key = False

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        if event.tag is not None:
            return self._tagged(event, event.tag.removeprefix("tag:yaml.org,2002:"))
        if not event.implicit[0]:
            return event.value
        try:
            return resolved(event.value)
        except Odd:
            return self._special(event)

    def _special(self, event: yaml.ScalarEvent) -> Any:
        if event.value == "<<" and self.stack and isinstance(self.stack[-1].value, dict) and not self.stack[-1].has_key:
            return MERGE
        if event.value[:1].isdigit():
            return self._time(event)
        return self._refuse(event, f"'{event.value}' has no value")

    def _tagged(self, event: yaml.ScalarEvent, tag: str) -> Any:
        if tag == "str":
            return event.value
        kind = _TAGS.get(tag)
        try:
            value = resolved(event.value) if kind is not date else self._time(event)
        except Odd:
            value = event.value
        if kind is None or not isinstance(value, kind):
            self._refuse(event, f"the tag {event.tag} does not fit '{event.value}'")
        return value

    def _time(self, event: yaml.ScalarEvent) -> date:
        try:
            return time_of(event.value)
        except ValueError:
            return self._refuse(event, f"'{event.value}' is no date")

    def _refuse(self, event: yaml.Event, what: str) -> NoReturn:
        line = event.start_mark.line + 1 if event.start_mark else "?"
        raise Invalid(
            f"{self.name}, line {line}: {what}",
            code="data.bad_yaml",
            hint="correct it, or take the recorded one: `git checkout -- FILE`",
        )


def time_of(text: str) -> date:
    """Read a time of YAML.

    >>> time_of("2001-12-14t21:59:43.10-05:00"), time_of("2020-1-31 1:02:03"), time_of("2020-01-31")
    (datetime.datetime(2001, 12, 15, 2, 59, 43, 100000), datetime.datetime(2020, 1, 31, 1, 2, 3), datetime.date(2020, 1, 31))
    """
    matched = re.fullmatch(
        r"(\d{4})-(\d+)-(\d+)(?:(?:[Tt]|[ \t]+)(\d+):(\d+):(\d+)(?:\.(\d*))?(?:[ \t]*(?:Z|([-+])(\d{1,2})(?::(\d{2}))?))?)?", text
    )
    if matched is None:
        raise ValueError(text)
    year, month, day = map(int, matched.group(1, 2, 3))
    if matched[4] is None:
        return date(year, month, day)
    hour, minute, second = map(int, matched.group(4, 5, 6))
    fraction = int(f"{matched[7] or '0':0<6.6}")
    when = datetime(year, month, day, hour, minute, second, fraction, UTC)
    if matched[8]:
        away = timedelta(hours=int(matched[9]), minutes=int(matched[10] or 0))
        when = when - away if matched[8] == "+" else when + away
    return when.replace(tzinfo=None)
