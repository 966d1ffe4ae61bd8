"""What may be asked of traces: attributes, tags, metadata, spans, what is said about them; see `perenne.storage.filtering`.

What lies in the compressed blocks (the content of spans, their attributes) cannot be asked of the database: `contents` looks into
them first, and its finds are conditions here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import sqlalchemy as sa

from perenne.core.filters import Clause, Op
from perenne.llm import names
from perenne.llm.tables import assessment, trace, trace_link, trace_metadata, trace_span, trace_tag
from perenne.storage.attributes import Attribute, Number, Sort, Text
from perenne.storage.comparing import (
    NUMERIC,
    TEXTUAL,
    Words,
    check_number,
    compare_numbers,
    compare_texts,
    is_number,
    refused,
    text_of,
)
from perenne.storage.families import Attached, Family, Keys, Related
from perenne.storage.filtering import KeyTable
from perenne.storage.matching import like
from perenne.storage.names import chosen, chosen_numbers

Finds = Mapping[Clause, Sequence[tuple[int, str]]]
"""The spans that fit a clause about content: number of the trace, and id."""

LIKENED = ("LIKE", "ILIKE", "NOT LIKE", "NOT ILIKE")
CONTENT, ATTRIBUTES, TEXT = "content", "attributes.", "text"
_ONE: Any = sa.literal_column("1")
_ended = trace.c.started + sa.func.coalesce(trace.c.duration, 0)


def is_content(entity: str, name: str) -> bool:
    """Tell whether a key asks for what lies in blocks."""
    if entity == "span":
        return name == CONTENT or name.startswith(ATTRIBUTES)
    return entity == "attribute" and name == TEXT


def key_table(finds: Finds) -> KeyTable:
    """Return what may be asked of traces, with what was found for each clause about content."""
    attributes: dict[str, Attribute] = {
        "status": Text(trace.c.state),
        "client_request_id": Text(trace.c.client_request_id),
        "name": Text(trace.c.name),
        "run_id": _Linked("run", names.SOURCE_RUN),
        "prompt": _Prompt(),
        TEXT: _Spans(finds, whole=True),
    }
    for key in ("request_id", "trace_id"):
        attributes[key] = Text(trace.c.id, indexed=True)
    for key, column in (("timestamp", trace.c.started), ("execution_time", trace.c.duration), ("end_time", _ended)):
        attributes |= {key: Number(column), f"{key}_ms": Number(column)}
    columns = {"name": Text(trace_span.c.name), "type": Text(trace_span.c.type), "status": Text(trace_span.c.status)}
    families: dict[str, Family] = {
        "tag": _Words(trace_tag, {names.TRACE_NAME: attributes["name"], names.LINKED_PROMPTS: attributes["prompt"]}),
        "request_metadata": _Words(
            trace_metadata, {names.SESSION: Text(trace.c.session), names.SOURCE_RUN: attributes["run_id"]} | _told()
        ),
        "span": Related(
            trace_span,
            trace_span.c.trace == trace.c.number,
            columns,
            together=True,
            dynamic=lambda name: _Spans(finds, name) if is_content("span", name) else None,
        ),
        "feedback": _Judged("feedback"),
        "expectation": _Judged("expectation"),
        "issue": _Issue(),
    }
    aliases = {"tags": "tag", "metadata": "request_metadata", "attributes": "attribute", "trace": "attribute"}
    aliases |= {"attr": "attribute", "spans": "span"}
    ties = ((trace.c.started, False), (trace.c.id, True))
    orderings = [key for key in attributes if key not in ("prompt", TEXT, "run_id")]
    return KeyTable(trace.c.number, attributes=attributes, families=families, aliases=aliases, ties=ties, orderings=orderings)


def _told() -> dict[str, Attribute]:
    usage = sa.func.coalesce(trace.c.total_tokens, trace.c.input_tokens, trace.c.output_tokens)
    cost = sa.func.coalesce(trace.c.total_cost, trace.c.input_cost, trace.c.output_cost)
    return {names.TOKEN_USAGE: _Told(usage), names.COST: _Told(cost)}


class _Told(Attribute):
    """Whether a trace's tokens or cost are known; what they are is asked by `traces/metrics`."""

    operators = ("IS NULL", "IS NOT NULL")


class _Words(Attached):
    """Tags or metadata, some of which are columns of the trace."""

    def __init__(self, table: sa.Table, columns: Mapping[str, Attribute]) -> None:
        super().__init__(table.c.trace, table.c.key, table.c.value, comparable=True)
        self._columns = columns

    def condition(self, clauses: Sequence[Clause], keys: Keys, words: Words) -> "sa.ColumnElement[bool]":
        """Ask the column that the key is, or the rows of the key."""
        (clause,) = clauses
        column = self._columns.get(clause.name)
        if column is None:
            return super().condition(clauses, keys, words)
        if clause.comparator not in column.operators:
            words.check(clause, column.operators)
        return column.condition(clause)

    def sort(self, name: str, keys: Keys, said: str) -> Sort | None:
        """Sort by the column that the key is, or the rows of the key."""
        column = self._columns.get(name)
        return super().sort(name, keys, said) if column is None else column.sort()


class _Linked(Attribute):
    """Runs that a trace belongs to: by a link, or by what its sender says."""

    operators = TEXTUAL

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(trace.c.id)
        self._kind, self._key = kind, key

    def condition(self, clause: Clause) -> "sa.ColumnElement[bool]":
        """Look for a link or an item of metadata that fits."""
        values = [text_of(value, clause, "attributes") for value in clause.values]
        linked = sa.select(_ONE).where(trace_link.c.trace == trace.c.number, trace_link.c.kind == self._kind)
        told = sa.select(_ONE).where(trace_metadata.c.trace == trace.c.number, trace_metadata.c.key == self._key)
        if clause.op is Op.NULL:
            there = sa.or_(linked.exists(), told.exists())
            return there if clause.negated else sa.not_(there)
        fits = [compare_texts(column, clause.op, values) for column in (trace_link.c.target, trace_metadata.c.value)]
        if clause.negated:
            fits = [sa.not_(one) for one in fits]
        return sa.or_(linked.where(fits[0]).exists(), told.where(fits[1]).exists())


class _Prompt(Attribute):
    """The versions of prompts that a trace used, as ``name/version``."""

    operators = ("=",)

    def __init__(self) -> None:
        super().__init__(trace.c.id)

    def check(self, clause: Clause) -> None:
        """Say what can be asked."""
        example = "Only '=' is supported with format: prompt = \"name/version\""
        raise refused(f"Invalid comparator '{clause.comparator}' for prompts filter. {example}", "filter.comparator", clause)

    def condition(self, clause: Clause) -> "sa.ColumnElement[bool]":
        """Look for a link to the version."""
        if clause.op is not Op.EQ or clause.negated:
            self.check(clause)
        value = text_of(clause.values[0], clause, "attributes")
        if value.count("/") != 1:
            message = f"Invalid prompts filter value '{value[:200]}'. Expected format: prompt = \"name/version\""
            raise refused(message, "filter.value", clause)
        linked = sa.select(_ONE).where(trace_link.c.trace == trace.c.number, trace_link.c.kind == "prompt")
        return linked.where(trace_link.c.target == value).exists()


class _Spans(Attribute):
    """What `contents` found: of one span, or as `whole` of any span of a trace."""

    operators: ClassVar[tuple[str, ...]] = TEXTUAL

    def __init__(self, finds: Finds, name: str = CONTENT, *, whole: bool = False) -> None:
        super().__init__(trace_span.c.span_id)
        self._finds, self._whole = finds, whole
        if name == CONTENT and not whole:
            self.operators = LIKENED  # type: ignore[misc]

    def condition(self, clause: Clause) -> "sa.ColumnElement[bool]":
        """Return that it is one of those that were found."""
        found = self._finds.get(clause, ())
        if self._whole:
            return trace.c.number.in_(chosen_numbers({number for number, _ in found}))
        reference = sa.cast(trace_span.c.trace, sa.Text).concat("/").concat(trace_span.c.span_id)
        return reference.in_(chosen(f"{number}/{span}" for number, span in found))


class _Judged(Family):
    """Assessments of a kind, by their names; one that is about a session holds for every trace of the session."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def condition(self, clauses: Sequence[Clause], keys: Keys, words: Words) -> "sa.ColumnElement[bool]":
        """Look for an assessment that counts and fits."""
        (clause,) = clauses
        own = assessment.alias()
        fits = [own.c.kind == self._kind, own.c.name == clause.name, own.c.valid == sa.true()]
        if clause.op is not Op.NULL:
            compared = self._compare(own, clause, words)
            fits.append(sa.not_(compared) if clause.negated else compared)
        direct = sa.select(_ONE).where(own.c.trace == trace.c.number, *fits).exists()
        other = trace.alias()
        of_session = [other.c.session == trace.c.session, other.c.experiment == trace.c.experiment]
        of_session.append(like(sa.cast(own.c.metadata, sa.Text), f'%"{names.SESSION}":%'))
        beside = sa.select(_ONE).select_from(own.join(other, own.c.trace == other.c.number)).where(*of_session, *fits).exists()
        found = sa.or_(direct, beside)
        return sa.not_(found) if clause.op is Op.NULL and not clause.negated else found

    def _compare(self, rows: Any, clause: Clause, words: Words) -> "sa.ColumnElement[bool]":
        if all(is_number(value) for value in clause.values) or clause.comparator in ("<", "<=", ">", ">="):
            for value in clause.values:
                check_number(value, clause, f"{self.label}.")
            words.check(clause, NUMERIC)
            return sa.and_(rows.c.numeric == sa.true(), compare_numbers(rows.c.measure, clause, f"{self.label}."))
        words.check(clause, TEXTUAL)
        texts = [text_of(value, clause, self.label) for value in clause.values]
        column = sa.type_coerce(rows.c.value, sa.Text)
        if clause.op in (Op.EQ, Op.NE, Op.IN):
            same: sa.ColumnElement[bool] = column.in_([*texts, *(_quoted(text) for text in texts)])
            return sa.not_(same) if clause.op is Op.NE else same
        alike = compare_texts(column, clause.op, texts)
        return alike if clause.op is Op.RLIKE else sa.or_(alike, compare_texts(column, clause.op, [f'"{texts[0]}"']))


class _Issue(Family):
    """Issues that a trace shows, by their ids."""

    def condition(self, clauses: Sequence[Clause], keys: Keys, words: Words) -> "sa.ColumnElement[bool]":
        """Look for an assessment that names the issue."""
        (clause,) = clauses
        if clause.name != "id":
            raise refused(f"Invalid issue key '{clause.name[:200]}' specified. Valid keys are '{{'id'}}'", "filter.key", clause)
        words.check(clause, ("=", "IN"))
        shown = sa.select(_ONE).where(assessment.c.trace == trace.c.number, assessment.c.kind == "issue")
        texts = [text_of(value, clause, self.label) for value in clause.values]
        return shown.where(assessment.c.name.in_(texts)).exists()


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
