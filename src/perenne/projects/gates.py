"""What a project says of the gates: which ones it requires, their limits, and which unknown one is let go, why and until when."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

import msgspec

from perenne.core.clock import SECOND
from perenne.core.errors import Invalid

FILE = "gates.yaml"
"""Where they may be stated as well, beside `project.py`."""

Setting: TypeAlias = str | int | float | bool


class Gate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a project says of one gate.

    Attributes
    ----------
    name : str
        The gate, such as ``latency``.
    required : bool, optional
        Whether a version may not go on without it; if not given, the gate itself says.
    at_least, at_most : float, optional
        A limit of its own; one that follows from an objective need not be stated again.
    settings : dict
        How it is measured, such as ``{"concurrency": 32}``; each gate has its own.
    waive, until : str
        That it may stay unknown: why, and the last day on which it may. A failure is never let go.

    >>> Gate("vulnerabilities", waive="no source within this network", until="2027-01-31").waived(0)
    True
    """

    name: str
    required: bool | None = None
    at_least: float | None = None
    at_most: float | None = None
    settings: dict[str, Setting] = {}
    waive: str = ""
    until: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise _wrong("a gate has no name", 'write pn.Gate("latency", at_most=10)')
        if self.at_least is not None and self.at_most is not None:
            raise _wrong(f"gate {self.name!r} has two limits", "state at_least or at_most")
        if bool(self.waive.strip()) != bool(self.until):
            raise _wrong(f"gate {self.name!r} is waived without a reason, or without an end", 'waive="why", until="2027-01-31"')
        if self.until:
            _end_of(self.until)

    @property
    def ends(self) -> int | None:
        """The first instant after its last day, in microseconds; None if it is not waived."""
        return _end_of(self.until) if self.until else None

    def waived(self, now: int) -> bool:
        """Tell whether it may be unknown now."""
        return self.ends is not None and now < self.ends


def read_gates(text: str, name: str = FILE) -> tuple[Gate, ...]:
    """Read the gates of a YAML file: a mapping `gates` by name, each with the words of `Gate`.

    Raises
    ------
    Invalid
        If it is no such mapping; the message names the gate.
    """
    import yaml

    try:
        said: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}" if mark else ""
        raise _wrong(f"{name}{place} is no YAML", "gates: {latency: {at_most: 10}}") from None
    gates = said.get("gates") if isinstance(said, dict) and set(said) == {"gates"} else None
    if not isinstance(gates, dict):
        raise _wrong(f"{name} has no mapping `gates`, or something beside it", "gates: {latency: {at_most: 10}}")
    return tuple(_read(name, str(gate), words) for gate, words in gates.items())


def merged(stated: Iterable[Gate], read: Iterable[Gate]) -> tuple[Gate, ...]:
    """Put what the project's code says and what its file says together. Raises Invalid if both speak of one gate."""
    found: dict[str, Gate] = {}
    for gate in (*stated, *read):
        if not isinstance(gate, Gate):
            raise _wrong(f"{gate!r} is no Gate", 'write pn.Gate("latency", at_most=10)')
        if gate.name in found:
            raise _wrong(f"gate {gate.name!r} is stated twice", f"in project.py or in {FILE}, once")
        found[gate.name] = gate
    return tuple(found.values())


def _read(file: str, name: str, words: Any) -> Gate:
    said = {} if words is None else words
    if not isinstance(said, dict):
        raise _wrong(f"{file}: gate {name!r} is no mapping", "latency: {at_most: 10}")
    unknown = sorted(str(word) for word in said if word not in _WORDS)
    if unknown:
        raise _wrong(f"{file}: gate {name!r} has no setting {unknown[0]!r}", f"it has {', '.join(_WORDS)}")
    plain = {key: value.isoformat() if isinstance(value, date) else value for key, value in said.items()}
    try:
        return msgspec.convert({"name": name, **plain}, Gate)
    except msgspec.ValidationError as error:
        raise _wrong(f"{file}: gate {name!r}: {error}", "latency: {required: true, at_most: 10}") from None


def _end_of(day: str) -> int:
    try:
        last = date.fromisoformat(day)
    except ValueError:
        raise _wrong(f"{day[:40]!r} is no date", "write it as 2027-01-31") from None
    following = last + timedelta(days=1) if last < date.max else last
    return int(datetime(following.year, following.month, following.day, tzinfo=UTC).timestamp()) * SECOND


def _wrong(message: str, hint: str) -> Invalid:
    return Invalid(message, code="project.gate", hint=hint)


_WORDS = tuple(word for word in Gate.__struct_fields__ if word != "name")
