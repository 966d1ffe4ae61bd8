"""Finding traces page by page, and counting how often two filters fit the same ones."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.core.errors import Invalid
from perenne.core.filters import And, Tree, clauses_of, parse_filter
from perenne.llm import contents, trace_store, traces
from perenne.llm.model import Trace
from perenne.llm.scope import visible
from perenne.llm.searchable import Finds, is_content, key_table
from perenne.llm.tables import trace
from perenne.storage.bounds import bounded
from perenne.storage.database import Transaction
from perenne.storage.filtering import KeyTable
from perenne.storage.names import chosen_numbers
from perenne.storage.ordering import Orders, check_orders, read_orders
from perenne.storage.searching import read_page

MOST = 500


class Found(msgspec.Struct, frozen=True):
    """A page of traces, and the token of the next."""

    traces: list[Trace]
    token: str = ""


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """How often two filters fit the same traces.

    Attributes
    ----------
    npmi, npmi_smoothed : float
        Normalised pointwise mutual information, from -1 (never together) to 1 (always); NaN if one of them never fits. Smoothed
        with half a trace in every cell.
    first, second, both, total : int
        How many fit the one, the other, both, and how many were looked at.
    """

    npmi: float
    npmi_smoothed: float
    first: int
    second: int
    both: int
    total: int


def search(
    tx: Transaction,
    actor: Principal,
    *,
    experiments: Collection[int],
    text: str = "",
    order: Sequence[str] = (),
    limit: int = 100,
    token: str = "",
) -> Found:
    """Find traces of experiments: the newest first if no order is asked for.

    Raises
    ------
    Invalid
        If filter, order or token is wrong, or the search takes too long.
    """
    if not 1 <= limit <= MOST:
        raise Invalid(f"max_results is {limit}", code="trace.limit", hint=f"1 to {MOST}")
    inside = _inside(tx, actor, experiments)
    orders = read_orders(order)
    table, fitting = _conditions(tx, inside, parse_filter(text))
    check_orders(table, orders)
    sorting = Orders(table, orders, {})
    query = sorting.digest(text, *sorted(experiments))
    page = read_page(tx, table, fitting, sorting.columns, sorting.joins, limit=limit, token=token, query=query)
    rows = trace_store.by_numbers(tx, page.keys)
    return Found(traces.describe(tx, [rows[number] for number in page.keys]), page.token)


def correlate(
    tx: Transaction, actor: Principal, *, experiments: Collection[int], first: str, second: str, base: str = ""
) -> Correlation:
    """Count how often two filters fit the same traces, among those that fit a third one."""
    inside = _inside(tx, actor, experiments)
    universe = _conditions(tx, inside, parse_filter(base))[1]
    ones, others = (_all_of(_conditions(tx, inside, parse_filter(text))[1]) for text in (first, second))
    counts = [sa.func.count(), *(_count_of(fits) for fits in (ones, others, sa.and_(ones, others)))]
    with bounded(tx):
        found = tx.execute(sa.select(*counts).select_from(trace).where(*universe)).one()
    total, one, other, both = (int(count or 0) for count in tuple(found))
    return Correlation(
        npmi=_npmi(both, one, other, total, 0.0),
        npmi_smoothed=_npmi(both, one, other, total, 0.5),
        first=one,
        second=other,
        both=both,
        total=total,
    )


def _inside(tx: Transaction, actor: Principal, experiments: Collection[int]) -> "sa.ColumnElement[bool]":
    seen = visible(tx, actor, list(experiments))
    return trace.c.experiment == seen[0] if len(seen) == 1 else trace.c.experiment.in_(chosen_numbers(seen))


def _conditions(
    tx: Transaction, inside: "sa.ColumnElement[bool]", tree: Tree | None
) -> tuple[KeyTable, "list[sa.ColumnElement[bool]]"]:
    """Return what is asked of traces and the conditions of a filter; what lies in blocks is looked for first."""
    plain = key_table({})
    asked = list(dict.fromkeys(clause for clause in clauses_of(tree) if is_content(plain.entity(clause), clause.name)))
    plain.conjuncts(tree, {})  # what is wrong is said before anything is looked for
    if not asked:
        return plain, [inside, *plain.conjuncts(tree, {})]
    cheap = [part for part in _parts(tree) if not any(clause in asked for clause in clauses_of(part))]
    first = [inside, *plain.conjuncts(And(tuple(cheap)), {})]
    finds: Finds = contents.look(tx, asked, first)
    table = key_table(finds)
    return table, [inside, *table.conjuncts(tree, {})]


def _parts(tree: Tree | None) -> tuple[Tree, ...]:
    if tree is None:
        return ()
    return tree.parts if isinstance(tree, And) else (tree,)


def _all_of(conditions: Sequence["sa.ColumnElement[bool]"]) -> "sa.ColumnElement[bool]":
    return sa.and_(sa.true(), *conditions)


def _count_of(fits: "sa.ColumnElement[bool]") -> Any:
    return sa.func.sum(sa.case((fits, 1), else_=0))


def _npmi(both: int, one: int, other: int, total: int, smoothing: float) -> float:
    """Return the normalised pointwise mutual information; Bouma, Normalized (Pointwise) Mutual Information, 2009."""
    if total <= 0 or one == 0 or other == 0:
        return math.nan
    if both == 0 and not smoothing:
        return -1.0
    if both == one == other == total:
        return 1.0
    whole = total + 4 * smoothing
    share, ones, others = both + smoothing, one + 2 * smoothing, other + 2 * smoothing
    information = math.log(share) + math.log(whole) - math.log(ones) - math.log(others)
    return max(-1.0, min(1.0, information / (math.log(whole) - math.log(share))))


__all__ = ["Correlation", "Found", "correlate", "search"]
