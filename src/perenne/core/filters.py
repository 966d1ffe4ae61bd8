"""The language in which every search is asked: a text becomes a tree of clauses, or an error that says where it is wrong.

It is MLflow's language and more::

    filter   := clause | NOT filter | filter AND filter | filter OR filter | ( filter )      NOT binds first, then AND, then OR
    clause   := key = != < <= > >= value | key [NOT] LIKE ILIKE RLIKE text | key [NOT] IN (value, ...)
              | key [NOT] BETWEEN value AND value | key IS [NOT] NULL
    key      := [entity.]name        odd names in backticks or double quotes:  metrics.acc   params."my lr"   tags.`mlflow.user`
    value    := 'text' | "text" | number
    ordering := key [ASC | DESC]

Words in capitals may be small. What keys there are, and which operators each has, says a key table (`perenne.storage.filtering`);
nothing here knows a database. Messages are MLflow's own where it has one, since its clients and their tests read them; where in
the text it is wrong stands in the hint.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NoReturn, TypeAlias

import msgspec

from perenne.core.errors import Invalid

MOST_BYTES = 16 * 1024
MOST_DEEP = 32
MOST_CLAUSES = 100
MOST_ORDERINGS = 20
_LONGEST_NUMBER = 400
_SAID = 200
"""So much of what was written is repeated in a message."""


class Op(StrEnum):
    """How a clause compares."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    LIKE = "LIKE"
    ILIKE = "ILIKE"
    RLIKE = "RLIKE"
    IN = "IN"
    BETWEEN = "BETWEEN"
    NULL = "IS NULL"


class Literal(msgspec.Struct, frozen=True):
    """A value as it is written.

    Attributes
    ----------
    value : str, int, float or None
        None if it is neither a number nor quoted: no value at all, which is the key's to complain about.
    said : str
        What is written, quotes included.
    """

    value: str | int | float | None
    said: str


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison.

    Attributes
    ----------
    entity : str
        What stands before the first point of the key, as it is written; an empty text if there is none.
    name : str
        The rest of the key, without its quotes.
    op : Op
        How it compares.
    negated : bool
        Whether ``NOT`` stands before the operator. What a thing does not have is neither equal nor unequal: such a clause does
        not hold either, unlike ``NOT`` before the whole clause.
    values : tuple of Literal
        None for IS NULL, two for BETWEEN, any number for IN, one for the rest.
    column : int
        Where it begins, from 1.
    """

    entity: str
    name: str
    op: Op
    negated: bool = False
    values: tuple[Literal, ...] = ()
    column: int = 1

    @property
    def comparator(self) -> str:
        """The operator as it is called in messages, such as ``NOT IN``."""
        if self.op is Op.NULL:
            return "IS NOT NULL" if self.negated else "IS NULL"
        return f"NOT {self.op}" if self.negated else str(self.op)


class And(msgspec.Struct, frozen=True):
    """All parts hold."""

    parts: "tuple[Tree, ...]"


class Or(msgspec.Struct, frozen=True):
    """One part at least holds."""

    parts: "tuple[Tree, ...]"


class Not(msgspec.Struct, frozen=True):
    """The part does not hold."""

    part: "Tree"


Tree: TypeAlias = Clause | And | Or | Not


class Ordering(msgspec.Struct, frozen=True):
    """One key to sort by; `said` is the whole as it is written."""

    entity: str
    name: str
    ascending: bool
    said: str


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    column: int


_PART = r'(?:`[^`]*`|"[^"]*"|(?:[\w\-/:@]|\.(?![`"]))+)'
_LEXER = re.compile(
    rf"""(?P<space>\s+)
    |(?P<key>(?:[^\W\d]\w*|`[^`]*`|"[^"]*")(?:\.{_PART})+)
    |(?P<word>[^\W\d]\w*)
    |(?P<tick>`[^`]*`)
    |(?P<quoted>"[^"]*")
    |(?P<text>'(?:[^']|'')*')
    |(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<op>!=|<>|<=|>=|==|[=<>])
    |(?P<mark>[(),])""",
    re.VERBOSE,
)
_KEY = re.compile(_PART)
_SAME = {"==": Op.EQ, "<>": Op.NE}
_COMPARING = {op.value: op for op in (Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE)} | _SAME
_MATCHING = {op.value: op for op in (Op.LIKE, Op.ILIKE, Op.RLIKE)}
_KEYWORDS = {"AND", "OR", "NOT", "IN", "IS", "NULL", "BETWEEN", *_MATCHING}
_END = _Token("end", "", 0)


def parse_filter(text: str) -> Tree | None:
    """Read a filter; None if there is nothing in it, which everything fits.

    Raises
    ------
    Invalid
        If it is wrong: `filter.syntax`, or too long, too deep or of too many clauses: `filter.limit`.

    >>> tree = parse_filter("metrics.acc > 0.9 and params.`my lr` != '0.1'")
    >>> [(clause.entity, clause.name, clause.op.value, clause.values[0].value) for clause in tree.parts]
    [('metrics', 'acc', '>', 0.9), ('params', 'my lr', '!=', '0.1')]
    """
    _check_size(text)
    reader = _Reader(text)
    if reader.next.kind == "end":
        return None
    tree = reader.alternatives(0)
    if reader.next.kind != "end":
        reader.refuse(reader.next)
    return tree


def parse_ordering(text: str) -> Ordering:
    """Read a key to sort by.

    Raises
    ------
    Invalid
        If it is none: `filter.order`.

    >>> parse_ordering("metrics.loss desc").ascending
    False
    """
    _check_size(text)
    tokens = list(_tokens(text)) if _LEXER.match(text) else []
    if not 1 <= len(tokens) <= 2 or not _is_key(tokens[0]) or any(token.kind == "wrong" for token in tokens):
        raise _wrong_order(text, f"Invalid order_by clause '{text[:_SAID]}'. Could not be parsed.")
    direction = tokens[1].text.upper() if len(tokens) == 2 else "ASC"
    if direction not in ("ASC", "DESC"):
        raise _wrong_order(text, f"Invalid ordering key in order_by clause '{text[:_SAID]}'.")
    entity, name = _split(tokens[0])
    return Ordering(entity, name, direction == "ASC", text)


def clauses_of(tree: Tree | None) -> Iterator[Clause]:
    """Go through the clauses of a tree, from left to right."""
    if isinstance(tree, Clause):
        yield tree
    elif isinstance(tree, Not):
        yield from clauses_of(tree.part)
    elif tree is not None:
        for part in tree.parts:
            yield from clauses_of(part)


class _Reader:
    """Reads tokens by recursive descent; `depth` counts parentheses and NOTs."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._clauses = 0
        self.next = next(self._tokens, _END)

    def take(self) -> _Token:
        token, self.next = self.next, next(self._tokens, _END)
        return token

    def has(self, *words: str) -> bool:
        """Pass over a keyword, if it comes next."""
        if self.next.kind == "word" and self.next.text.upper() in words:
            self.take()
            return True
        return False

    def refuse(self, token: _Token) -> NoReturn:
        if token.kind == "end":
            raise _wrong("Invalid clause(s) in filter string: ''", "it ends where something should follow")
        raise _wrong(f"Invalid clause(s) in filter string: '{token.text[:_SAID]}'", f"see column {token.column}")

    def alternatives(self, depth: int) -> Tree:
        parts = [self.conjunction(depth)]
        while self.has("OR"):
            parts.append(self.conjunction(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def conjunction(self, depth: int) -> Tree:
        parts = [self.negation(depth)]
        while self.has("AND"):
            parts.append(self.negation(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def negation(self, depth: int) -> Tree:
        if depth > MOST_DEEP:
            raise _too_much(f"at column {self.next.column} the filter is deeper than {MOST_DEEP} levels")
        if self.has("NOT"):
            return Not(self.negation(depth + 1))
        if self.next.text != "(":
            return self.clause()
        opening = self.take()
        tree = self.alternatives(depth + 1)
        if self.take().text != ")":
            raise _wrong("Invalid clause(s) in filter string: '('", f"the parenthesis of column {opening.column} is not closed")
        return tree

    def clause(self) -> Clause:
        self._clauses += 1
        if self._clauses > MOST_CLAUSES:
            raise _too_much(f"the filter has more than {MOST_CLAUSES} clauses")
        key = self.take()
        if not _is_key(key):
            self.refuse(key)
        entity, name = _split(key)
        op, negated, values = self.comparison(key)
        return Clause(entity=entity, name=name, op=op, negated=negated, values=values, column=key.column)

    def comparison(self, key: _Token) -> tuple[Op, bool, tuple[Literal, ...]]:
        if self.next.kind == "op":
            return _COMPARING[self.take().text], False, (self.value(),)
        if self.has("IS"):
            negated = self.has("NOT")
            return (Op.NULL, negated, ()) if self.has("NULL") else self.refuse(self.next)
        negated = self.has("NOT")
        if self.has("IN"):
            return Op.IN, negated, self.list_of_values()
        if self.has("BETWEEN"):
            low = self.value()
            return (Op.BETWEEN, negated, (low, self.value())) if self.has("AND") else self.refuse(self.next)
        op = _MATCHING.get(self.next.text.upper()) if self.next.kind == "word" else None
        if op is None:
            self.refuse(self.next if negated else key)
        self.take()
        return op, negated, (self.value(),)

    def value(self) -> Literal:
        token = self.take()
        if token.kind in ("end", "op", "mark", "wrong") or (token.kind == "word" and token.text.upper() in _KEYWORDS):
            self.refuse(token)
        return _literal(token)

    def list_of_values(self) -> tuple[Literal, ...]:
        opening = self.take()
        if opening.text != "(":
            self.refuse(opening)
        values: list[Literal] = []
        while self.next.text != ")" or self.next.kind != "mark":
            values.append(self.value())
            if self.next.text != ",":
                break
            self.take()
        if self.take().text != ")":
            raise _wrong(f"{_LIST}, but got ill-formed list.", f"see the list of column {opening.column}")
        if not values:
            raise _wrong(f"{_LIST}, but got empty list", f"see column {opening.column}")
        return tuple(values)


_LIST = "While parsing a list in the query, expected a non-empty list of string values"


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        found = _LEXER.match(text, place)
        if found is None:
            yield _Token("wrong", text[place : place + _SAID], place + 1)
            return
        if found.lastgroup != "space":
            yield _Token(str(found.lastgroup), found.group(), place + 1)
        place = found.end()


def _is_key(token: _Token) -> bool:
    plain = token.kind == "word" and token.text.upper() not in _KEYWORDS
    return plain or token.kind in ("key", "tick", "quoted")


def _split(key: _Token) -> tuple[str, str]:
    """Return what stands before the first point, and the rest; a key without a point has no entity."""
    if key.kind != "key":
        return "", _bare(key.text)
    entity = re.match(r'`[^`]*`|"[^"]*"|\w+', key.text)
    assert entity is not None
    return _bare(entity.group()), ".".join(_bare(part) for part in _KEY.findall(key.text, entity.end() + 1))


def _bare(text: str) -> str:
    return text[1:-1] if text[:1] in ("`", '"') else text


def _literal(token: _Token) -> Literal:
    if token.kind == "text":
        return Literal(token.text[1:-1].replace("''", "'"), token.text)
    if token.kind == "quoted":
        return Literal(token.text[1:-1], token.text)
    if token.kind == "number":
        if len(token.text) > _LONGEST_NUMBER:
            raise _too_much(f"the number at column {token.column} is longer than {_LONGEST_NUMBER} digits")
        whole = token.text.lstrip("+-").isdecimal()
        return Literal(int(token.text) if whole else float(token.text), token.text)
    return Literal(None, token.text)


def _check_size(text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise _wrong("Invalid clause(s) in filter string: half a character", "the text is no valid Unicode") from None
    if size > MOST_BYTES:
        raise _too_much(f"the filter has {size} bytes")
    if "\0" in text:
        raise _wrong("Invalid clause(s) in filter string: a NUL character", f"see column {text.index(chr(0)) + 1}")


def _wrong(message: str, hint: str) -> Invalid:
    return Invalid(message, code="filter.syntax", hint=hint)


def _wrong_order(text: str, message: str) -> Invalid:
    return Invalid(message, code="filter.order", hint="a key, then nothing, ASC or DESC")


def _too_much(message: str) -> Invalid:
    hint = f"at most {MOST_BYTES // 1024} KiB, {MOST_CLAUSES} clauses, {MOST_DEEP} levels: ask for less at once"
    return Invalid(message, code="filter.limit", hint=hint)
