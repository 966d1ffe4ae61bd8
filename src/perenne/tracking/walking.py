"""Finding runs fast among very many: which index is gone through is decided by looking, not left to a guess.

A clause that few runs fit is asked first: up to `FEW` of them are fetched by its index, and only these are looked at. Otherwise
runs are gone through in the order that is asked for, along an index, until a page is full: by their start, by a metric, by a
parameter or a tag. Runs without a value come after those with one, so they are gone through after them. Only what no index
sorts (`end_time`, several joined keys of which the first has no index) is sorted as a whole.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.core.filters import Ordering, Tree
from perenne.core.tokens import Place, Value, read_token
from perenne.storage.bounds import along_an_index, bounded
from perenne.storage.database import Transaction
from perenne.storage.families import Attached, Keys, literal
from perenne.storage.matching import unindexed
from perenne.storage.names import chosen_numbers
from perenne.storage.ordering import Column, Orders, after, columns_of
from perenne.storage.searching import Found, page
from perenne.tracking.searchable import RUNS
from perenne.tracking.tables import SHORT, run

FEW = 1000
_ALONE = 1
"""So many experiments at most have an index to themselves that is sorted by start."""


class Scope(msgspec.Struct, frozen=True):
    """Among which runs is searched; None for all.

    Attributes
    ----------
    deleted : bool or None
        Those that were deleted, or those that were not.
    experiments, projects : tuple or None
        Those of these.
    """

    deleted: bool | None = False
    experiments: tuple[int, ...] | None = None
    projects: tuple[str, ...] | None = None

    def conditions(self, *, indexed: bool = True) -> list[Any]:
        """Return what must be true of a run; if not `indexed`, no index is looked up for it."""
        kept = (lambda column: column) if indexed else unindexed
        where: list[Any] = []
        if self.experiments is not None:
            where.append(_among(kept(run.c.experiment), self.experiments))
        if self.projects is not None:
            where.append(_among(kept(run.c.project), self.projects))
        if self.deleted is not None:
            where.append(run.c.deleted.is_not(None) if self.deleted else run.c.deleted.is_(None))
        return where

    @property
    def alone(self) -> bool:
        """Whether one index has just these, by their start."""
        return len(self.experiments or ()) == _ALONE or (self.experiments is None and len(self.projects or ()) == _ALONE)

    @property
    def limited(self) -> bool:
        """Whether there may be others."""
        return self.experiments is not None or self.projects is not None


class Question(msgspec.Struct, frozen=True):
    """A search, read: what is asked, of which runs, and how it is sorted."""

    scope: Scope
    tree: Tree | None
    orders: tuple[Ordering, ...]
    keys: Keys
    sorting: Orders
    extra: tuple[Any, ...] = ()
    """Conditions beside the filter."""

    @property
    def by_start(self) -> bool:
        """Whether the runs are sorted by their start first, which an index does for all that are looked at."""
        return not self.sorting.sorts or self.sorting.sorts[0][0].value is run.c.started

    def fitting(self, *, indexed: bool) -> list[Any]:
        """Return all conditions of a run; if not `indexed`, no index is looked up for those of the scope."""
        return [*self.scope.conditions(indexed=indexed), *self.extra, *RUNS.conjuncts(self.tree, self.keys)]


def _question(tx: Transaction, scope: Scope, tree: Tree | None, orders: Sequence[Ordering], extra: Sequence[Any]) -> Question:
    keys = RUNS.keys(tx, tree, orders)
    RUNS.conjuncts(tree, keys)  # what is wrong with the filter is said even if nothing could fit
    return Question(scope, tree, tuple(orders), keys, Orders(RUNS, orders, keys), tuple(extra))


def find_runs(
    tx: Transaction, scope: Scope, tree: Tree | None, orders: Sequence[Ordering], *, limit: int, token: str = "",
    offset: int = 0, extra: Sequence[Any] = (),
) -> Found:  # fmt: skip
    """Find the numbers of the runs of a page; see `perenne.tracking.search.search_runs`.

    Parameters
    ----------
    offset : int
        How many are passed over, if there is no token.
    """
    with bounded(tx):
        asked = _question(tx, scope, tree, orders, extra)
        query = asked.sorting.digest()
        place = read_token(token, query) if token else Place(offset=offset)
        if place.after is not None:
            after(asked.sorting.columns, place.after)
        if scope.experiments == ():
            return Found(())
        few = _few(tx, asked)
        if few is not None:
            rows = _sorted(tx, asked, place, limit + 1, [*asked.fitting(indexed=False), _listed(few)]) if few else ()
        else:
            rows = _walked(tx, asked, place, limit + 1)
        return page(rows, limit, query)


def count_runs(tx: Transaction, scope: Scope, tree: Tree | None, *, most: int, extra: Sequence[Any] = ()) -> int:
    """Count the runs that fit, up to `most` and one more."""
    with bounded(tx):
        asked = _question(tx, scope, tree, (), extra)
        if scope.experiments == ():
            return 0
        few = _few(tx, asked)
        where = asked.fitting(indexed=few is None) + ([] if few is None else [_listed(few)])
        some = sa.select(sa.literal_column("1")).select_from(run).where(*where).limit(most + 1).subquery()
        return int(tx.scalar(sa.select(sa.func.count()).select_from(some)) or 0)


def _few(tx: Transaction, asked: Question) -> list[int] | None:
    """Return the runs to look at, if there is a clause that few runs fit."""
    sources = RUNS.sources(asked.tree, asked.keys)
    if asked.scope.limited and not (asked.by_start and asked.scope.alone):
        scope = Scope(None, asked.scope.experiments, asked.scope.projects)
        sources.append(sa.select(run.c.number).where(*scope.conditions()))
    if not sources:
        return None
    limited = [source.limit(FEW + 1) for source in sources]
    counts = (sa.select(sa.func.count()).select_from(query.subquery()).scalar_subquery() for query in limited)
    found = tx.execute(sa.select(*(count.label(f"n{place}") for place, count in enumerate(counts)))).one()
    least = min(range(len(limited)), key=lambda place: int(found[place]))
    if found[least] > FEW:
        return None
    return list(tx.execute(limited[least]).scalars()) if found[least] else []


def _sorted(tx: Transaction, asked: Question, place: Place, limit: int, where: Sequence[Any]) -> Sequence[Any]:
    """Read rows of the runs that fit, however the database sorts them."""
    source: Any = run
    for joined, condition in asked.sorting.joins:
        source = source.outerjoin(joined, condition)
    return _rows(tx, source, where, asked.sorting.columns, place, limit)


def _walked(tx: Transaction, asked: Question, place: Place, limit: int) -> Sequence[Any]:
    """Read rows along an index, if one is sorted as asked."""
    if asked.by_start:
        with along_an_index(tx):
            return _sorted(tx, asked, place, limit, asked.fitting(indexed=asked.scope.alone))
    family = RUNS.families.get(RUNS.entity(asked.orders[0]))
    known = len(asked.sorting.sorts) == len(asked.orders)
    if not isinstance(family, Attached) or not known or _has_long(tx, family, asked):
        return _sorted(tx, asked, place, limit, asked.fitting(indexed=True))
    rows: list[Any] = []
    left = place.offset
    with along_an_index(tx):
        for phase in _phases(family, asked, place.after):
            if len(rows) < limit:
                found = phase.read(tx, left, limit - len(rows))
                left = 0 if found or not left else max(0, left - phase.count(tx))
                rows += found
    return rows


def _has_long(tx: Transaction, family: Attached, asked: Question) -> bool:
    """Tell whether there are values of the key that its index does not hold."""
    if not family.short:
        return False
    length = sa.func.length(family.value) > literal(SHORT)
    query = sa.select(family.owner).where(family.named(asked.orders[0].name, asked.keys), length).limit(1)
    return tx.execute(query).first() is not None


class _Phase:
    """Some of the runs, in their order along an index: those with a value (0), those whose value is none (1), the others (2)."""

    def __init__(self, absent: int, source: Any, where: Sequence[Any], columns: Sequence[Column], follow: Place) -> None:
        self._absent, self._source, self._where, self._columns, self._follow = absent, source, where, columns, follow

    def read(self, tx: Transaction, offset: int, limit: int) -> list[Any]:
        """Read rows as if all were sorted at once: number, phase, value, and what else sorts."""
        place = Place(offset=offset, after=self._follow.after)
        rows = _rows(tx, self._source, self._where, self._columns, place, limit)
        return [(row[0], self._absent, *([None] if self._absent else []), *row[1:]) for row in rows]

    def count(self, tx: Transaction) -> int:
        """Count the runs."""
        return int(tx.scalar(sa.select(sa.func.count()).select_from(self._source).where(*self._where)) or 0)


def _phases(family: Attached, asked: Question, beyond: tuple[Value, ...] | None) -> Iterator[_Phase]:
    """Go through the runs from the row on that the page before ended with."""
    others = asked.sorting.sorts[1:]
    rest = columns_of(others, RUNS.ties)
    joins = [sort.join for sort, _ in others if sort.join is not None]
    first = int(beyond[0] or 0) if beyond else 0
    for absent in (0, 1, 2):
        if absent < first or (absent == 1 and family.nan is None):
            continue
        source, where, values = _without(family, asked) if absent == 2 else _with(family, asked, absent)
        for joined, condition in joins:
            source = source.outerjoin(joined, condition)
        after_it = tuple(beyond[2 if absent else 1 :]) if beyond and absent == first else None
        yield _Phase(absent, source, where, [*values, *rest], Place(after=after_it))


def _with(family: Attached, asked: Question, absent: int) -> tuple[Any, list[Any], list[Column]]:
    """Return where the runs are that have a value, and the value if it is a number: the index of values comes first."""
    rows = family.owner.table.alias()
    value = rows.c[family.value.name]
    where = [rows.c.key == family.named(asked.orders[0].name, asked.keys).right, *asked.fitting(indexed=False)]
    if family.nan is not None:
        where.append(rows.c.nan == (sa.true() if absent else sa.false()))
    if family.short:
        where.append(sa.func.length(value) <= literal(SHORT))
    where += [value.is_not(None)] if family.kept else []
    return rows.join(run, run.c.number == rows.c.run), where, [] if absent else [Column(value, asked.sorting.sorts[0][1])]


def _without(family: Attached, asked: Question) -> tuple[Any, list[Any], list[Column]]:
    """Return where the runs are that have no such key."""
    named = family.named(asked.orders[0].name, asked.keys)
    has = sa.exists().where(family.owner == run.c.number, named, *family.kept)
    return run, [*asked.fitting(indexed=asked.scope.alone), sa.not_(has)], []


def _rows(
    tx: Transaction, source: Any, where: Sequence[Any], columns: Sequence[Column], place: Place, limit: int
) -> Sequence[Any]:
    shown = [column.value.label(f"s{number}") for number, column in enumerate(columns)]
    rows = sa.select(run.c.number, *shown).select_from(source).where(*where)
    if place.after is not None:
        rows = rows.where(after(columns, place.after))
    rows = rows.order_by(*(column.order for column in columns)).limit(limit)
    return tx.execute(rows.offset(place.offset) if place.offset else rows).all()


def _among(column: Any, values: Sequence[Any]) -> Any:
    return column == values[0] if len(values) == 1 else column.in_(values)


def _listed(numbers: Sequence[int]) -> Any:
    return run.c.number.in_(chosen_numbers(numbers))
