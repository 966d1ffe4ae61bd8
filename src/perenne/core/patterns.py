"""Regular expressions that cannot be slow: a pattern becomes an automaton, and a text is read once, whatever the pattern.

The language is what every engine agrees on: literals, ``.``, ``[a-z]``, ``[^a-z]``, ``\\d \\w \\s`` and their capitals (of
ASCII), ``( )``, ``(?: )``, ``|``, ``* + ? {m,n}`` (lazy forms too, which find the same), ``^`` and ``$`` (of the whole text), and
``(?i)`` at the beginning. ``.`` is any character. What needs to go back over the text (backreferences, looking
around) is refused.
"""

import string
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

from perenne.core.errors import Invalid

LONGEST = 1000
MOST_REPEATED = 100
MOST_STATES = 2000
_MOST_KNOWN = 300
"""Sets of states that are remembered at once; beyond that they are found again."""

_Ranges: TypeAlias = tuple[tuple[str, str], ...]
_DIGIT: _Ranges = (("0", "9"),)
_WORD: _Ranges = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_SPACE: _Ranges = (("\t", "\r"), (" ", " "))
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_LAST = "\U0010ffff"

Node: TypeAlias = tuple[Any, ...]
"""("set", negated, ranges), ("start",), ("end",), ("join", nodes), ("either", nodes), ("repeat", node, least, most or None)"""


def matches(pattern: str, text: str) -> bool:
    """Tell whether a pattern is found anywhere in a text; an invalid pattern raises Invalid.

    >>> matches("^lr-[0-9]+$", "lr-12"), matches("b+", "aaa")
    (True, False)
    """
    return compiled(pattern)(text)


@lru_cache(maxsize=64)
def compiled(pattern: str) -> Callable[[str], bool]:
    """Return the function that tells whether a pattern is found in a text. Raises Invalid."""
    tree, fold = _read(pattern)
    automaton = _Automaton(tree)
    return (lambda text: automaton.search(text.lower())) if fold else automaton.search


@lru_cache(maxsize=64)
def portable(pattern: str) -> str:
    """Write a pattern so that POSIX engines (PostgreSQL's) read it in the same sense. Raises Invalid."""
    tree, fold = _read(pattern)
    _Automaton(tree)
    return ("(?i)" if fold else "") + _written(tree)


def _read(pattern: str) -> tuple[Node, bool]:
    if len(pattern) > LONGEST:
        raise _wrong(pattern, f"it has more than {LONGEST} characters")
    fold = pattern.startswith("(?i)")
    reader = _Reader(pattern, 4 if fold else 0)
    tree = reader.either(0)
    if reader.place < len(pattern):
        raise _wrong(pattern, f"the ) at {reader.place + 1} closes nothing")
    return (_folded(tree) if fold else tree), fold


class _Reader:
    def __init__(self, pattern: str, place: int) -> None:
        self.pattern, self.place = pattern, place

    def peek(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def take(self) -> str:
        sign = self.peek()
        if not sign:
            raise self.wrong("it ends too early")
        self.place += 1
        return sign

    def wrong(self, reason: str) -> Invalid:
        return _wrong(self.pattern, f"{reason}, at {self.place}")

    def either(self, depth: int) -> Node:
        if depth > 50:
            raise self.wrong("too many parentheses")
        nodes = [self.joined(depth)]
        while self.peek() == "|":
            self.take()
            nodes.append(self.joined(depth))
        return nodes[0] if len(nodes) == 1 else ("either", tuple(nodes))

    def joined(self, depth: int) -> Node:
        nodes: list[Node] = []
        while self.peek() not in ("", "|", ")"):
            nodes.append(self.repeated(self.one(depth)))
        return ("join", tuple(nodes))

    def repeated(self, node: Node) -> Node:
        sign = self.peek()
        if sign not in ("*", "+", "?", "{") or not sign:
            return node
        self.take()
        if node[0] in ("start", "end"):
            raise self.wrong("nothing to repeat")
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(sign) or self.counts()
        if self.peek() == "?":
            self.take()
        if self.peek() in ("*", "+", "?", "{") and self.peek():
            raise self.wrong("a repetition is repeated")
        return ("repeat", node, least, most)

    def counts(self) -> tuple[int, int | None]:
        end = self.pattern.find("}", self.place)
        least, comma, most = self.pattern[self.place : max(end, self.place)].partition(",")
        if not (least.isascii() and least.isdecimal() and len(least) < 4) or (most and not (most.isascii() and most.isdecimal())):
            raise self.wrong("{ begins no count such as {1,3}")
        self.place = end + 1
        top = int(least) if not comma else int(most[:4]) if most else None
        if max(int(least), top or 0) > MOST_REPEATED or (top is not None and top < int(least)):
            raise self.wrong(f"a count goes from 0 to {MOST_REPEATED}")
        return int(least), top

    def one(self, depth: int) -> Node:
        sign = self.take()
        if sign == "(":
            return self.group(depth)
        if sign == "[":
            return self.bracket()
        if sign == "\\":
            return ("set", *self.escape())
        if sign in ("*", "+", "?", "{"):
            raise self.wrong("nothing to repeat")
        return {"^": ("start",), "$": ("end",), ".": ("set", True, ())}.get(sign, ("set", False, ((sign, sign),)))

    def group(self, depth: int) -> Node:
        if self.peek() == "?":
            self.take()
            if self.take() != ":":
                raise self.wrong("(? begins something that is not offered")
        node = self.either(depth + 1)
        if self.peek() != ")":
            raise self.wrong("a parenthesis is not closed")
        self.take()
        return node

    def escape(self) -> tuple[bool, _Ranges]:
        sign = self.take()
        if sign.lower() in _CLASSES:
            return sign.isupper(), _CLASSES[sign.lower()]
        if sign in _CONTROLS:
            return False, ((_CONTROLS[sign], _CONTROLS[sign]),)
        if sign.isalnum():
            raise self.wrong(f"\\{sign} is not offered")
        return False, ((sign, sign),)

    def bracket(self) -> Node:
        negated = self.peek() == "^"
        if negated:
            self.take()
        ranges: list[tuple[str, str]] = []
        while self.peek() != "]" or not ranges:
            ranges += self.span()
        self.take()
        return ("set", negated, tuple(sorted(set(ranges))))

    def span(self) -> _Ranges:
        sign = self.take()
        if sign == "\\":
            negated, ranges = self.escape()
            if negated:
                raise self.wrong("a class in capitals within [ ]")
            if len(ranges) > 1 or ranges[0][0] != ranges[0][1]:
                return ranges
            sign = ranges[0][0]
        if sign == "[" and self.peek() in (":", ".", "="):
            raise self.wrong("[: :] is not offered")
        if self.peek() != "-" or self.pattern[self.place + 1 : self.place + 2] in ("]", ""):
            return ((sign, sign),)
        self.take()
        last = self.take()
        if last == "\\":
            last = self.escape()[1][0][0]
        if last < sign:
            raise self.wrong("a range goes backwards")
        return ((sign, last),)


class _Automaton:
    """Thompson's construction; sets of states are found as a text needs them and remembered."""

    def __init__(self, tree: Node) -> None:
        self.free: list[tuple[int, ...]] = []
        self.sets: list[tuple[bool, _Ranges] | None] = []
        self.anchors: dict[int, str] = {}
        self.last = self._state()
        self.first = self._build(tree, self.last)
        self._begin = self._reached({self.first}, at_start=True)
        self._again = self._reached({self.first}, at_start=False)
        self._known: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def search(self, text: str) -> bool:
        states = self._begin
        known = self._known
        for sign in text:
            if self.last in states:
                return True
            following = known.get((states, sign))
            if following is None:
                following = self._step(states, sign)
                if len(known) > _MOST_KNOWN:
                    known.clear()
                known[states, sign] = following
            states = following
        return self.last in self._reached(set(states), at_start=not text, at_end=True)

    def _step(self, states: frozenset[int], sign: str) -> frozenset[int]:
        reached = {self.free[state][0] for state in states if (found := self.sets[state]) is not None and _holds(found, sign)}
        return self._reached(reached, at_start=False) | self._again

    def _state(self, following: tuple[int, ...] = (), kept: tuple[bool, _Ranges] | None = None) -> int:
        if len(self.free) >= MOST_STATES:
            raise _wrong("", f"it needs more than {MOST_STATES} states")
        self.free.append(following)
        self.sets.append(kept)
        return len(self.free) - 1

    def _build(self, node: Node, after: int) -> int:
        """Add the states of a node that goes on to `after`; return the first of them."""
        kind, *rest = node
        if kind == "set":
            return self._state((after,), (rest[0], rest[1]))
        if kind in ("start", "end"):
            state = self._state((after,))
            self.anchors[state] = str(kind)
            return state
        if kind == "join":
            for part in reversed(rest[0]):
                after = self._build(part, after)
            return after
        if kind == "either":
            return self._state(tuple(self._build(part, after) for part in rest[0]))
        return self._repeat(rest[0], rest[1], rest[2], after)

    def _repeat(self, node: Node, least: int, most: int | None, after: int) -> int:
        if most is None:
            loop = self._state()
            self.free[loop] = (self._build(node, loop), after)
            after = loop
        else:
            end = after
            for _ in range(most - least):
                after = self._state((self._build(node, after), end))
        for _ in range(least):
            after = self._build(node, after)
        return after

    def _reached(self, states: set[int], *, at_start: bool, at_end: bool = False) -> frozenset[int]:
        """Return the states that are reached without reading anything."""
        waiting, found = list(states), set(states)
        while waiting:
            state = waiting.pop()
            anchor = self.anchors.get(state)
            if self.sets[state] is not None or (anchor == "start" and not at_start) or (anchor == "end" and not at_end):
                continue
            fresh = set(self.free[state]) - found
            found |= fresh
            waiting += fresh
        return frozenset(found)


def _holds(kept: tuple[bool, _Ranges], sign: str) -> bool:
    negated, ranges = kept
    return any(low <= sign <= high for low, high in ranges) != negated


def _folded(node: Node) -> Node:
    """Return the node for texts in small letters."""
    kind, *rest = node
    if kind == "set":
        negated, ranges = rest
        return ("set", negated, _small(ranges))
    if kind in ("join", "either"):
        return (kind, tuple(_folded(part) for part in rest[0]))
    return (kind, _folded(rest[0]), *rest[1:]) if kind == "repeat" else node


def _small(ranges: _Ranges) -> _Ranges:
    small = []
    for low, high in ranges:
        inside = [sign for sign in string.ascii_uppercase if low <= sign <= high]
        if low == high:
            small.append((low.lower(), high.lower()) if len(low.lower()) == 1 else (low, high))
        else:
            small.append((low, high))
            small += [(sign.lower(), sign.lower()) for sign in inside]
    return tuple(sorted(set(small)))


def _written(node: Node) -> str:
    kind, *rest = node
    if kind == "set":
        return _written_set(rest[0], rest[1])
    if kind in ("start", "end"):
        return "^" if kind == "start" else "$"
    if kind == "join":
        return "".join(_written(part) for part in rest[0])
    if kind == "either":
        return "(?:" + "|".join(_written(part) for part in rest[0]) + ")"
    node, least, most = rest
    return f"(?:{_written(node)}){{{least},{'' if most is None else most}}}"


def _written_set(negated: bool, ranges: _Ranges) -> str:
    if not ranges:
        return "."
    if not negated and len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _written_sign(ranges[0][0])
    inside = "".join(_written_sign(low) + ("" if low == high else "-" + _written_sign(high)) for low, high in ranges)
    return f"[{'^' if negated else ''}{inside}]"


def _written_sign(sign: str) -> str:
    return sign if sign.isalnum() or sign == "_" or sign > "\x7f" else f"\\U{ord(sign):08x}"


def _wrong(pattern: str, reason: str) -> Invalid:
    return Invalid(
        f"the regular expression '{pattern[:100]}' cannot be used: {reason}",
        code="filter.pattern",
        hint="letters, . [a-z] ( ) | * + ? {1,3} ^ $ \\d \\w \\s, and (?i) at the beginning",
    )
