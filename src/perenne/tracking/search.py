"""Searching runs, experiments and logged models: which they are, page by page; `perenne.core.filters` has the language."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.errors import Invalid
from perenne.core.filters import Ordering, clauses_of, parse_filter
from perenne.core.hashing import key_of
from perenne.core.tokens import bind_token, check_bound
from perenne.storage.database import Transaction
from perenne.storage.ordering import check_orders, columns_of, read_orders
from perenne.storage.searching import Found, read_page, search
from perenne.tracking.searchable import EXPERIMENTS, RUNS, measured_on, model_metric, models_on
from perenne.tracking.tables import experiment, logged_model, logged_model_metric
from perenne.tracking.walking import Scope, find_runs

MOST_RUNS = 50_000
MOST_EXPERIMENTS = 50_000


class View(StrEnum):
    """Which are looked at: those that are there, those that were deleted, or all."""

    ACTIVE = "active"
    DELETED = "deleted"
    ALL = "all"


class ModelOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """What logged models are sorted by: an attribute, or ``metrics.NAME``, the newest on a data set if one is named."""

    field_name: str
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


def search_runs(
    tx: Transaction,
    actor: Principal,
    *,
    experiments: Collection[int] | None = None,
    filter: str = "",
    order: Sequence[str] = (),
    view: View = View.ACTIVE,
    limit: int = 1000,
    token: str = "",
) -> Found:
    """Find runs.

    Parameters
    ----------
    experiments : collection of int, optional
        Of these only; none if it is empty.
    limit : int
        How many at most on a page.
    token : str
        That of the page before; empty for the first.

    Returns
    -------
    Found
        The numbers of the runs in order, and the token of the next page.

    Raises
    ------
    Invalid
        If filter, order or token is wrong, or the search takes too long.
    """
    _may_read(actor)
    tree, orders = parse_filter(filter), read_orders(order)
    check_orders(RUNS, orders)
    scope = Scope(
        deleted={View.ACTIVE: False, View.DELETED: True}.get(view),
        experiments=None if experiments is None else tuple(sorted(set(experiments))),
        projects=tuple(sorted(actor.projects)) or None,
    )
    return find_runs(tx, scope, tree, orders, limit=limit, token=token)


def search_experiments(
    tx: Transaction,
    actor: Principal,
    *,
    filter: str = "",
    order: Sequence[str] = (),
    view: View = View.ACTIVE,
    limit: int = 1000,
    token: str = "",
) -> Found:
    """Find experiments: their ids in order; see `search_runs`."""
    _may_read(actor)
    where = _seen(actor, experiment.c.project, view, experiment.c.deleted)
    return search(tx, EXPERIMENTS, filter, order, where=where, limit=limit, token=token)


def search_models(
    tx: Transaction,
    actor: Principal,
    *,
    experiments: Collection[int],
    filter: str = "",
    on: Sequence[tuple[str, str]] = (),
    order: Sequence[ModelOrder] = (),
    limit: int = 50,
    token: str = "",
) -> Found:
    """Find logged models: their numbers in order; see `search_runs`.

    Parameters
    ----------
    on : sequence of (name, digest)
        Only metrics on these data sets count; an empty digest for any. A model without one on them is left out.
    """
    _may_read(actor)
    if not all(name for name, _ in on):
        raise Invalid("`dataset_name` in the `datasets` clause must be specified.", code="filter.value", hint="name the data set")
    table, tree = models_on(on), parse_filter(filter)
    orders = [_read_order(one) for one in order]
    keys = table.keys(tx, tree, orders)
    sorts = [(_sort_models(table, one, said, keys), said.ascending) for one, said in zip(order, orders, strict=True)]
    columns = columns_of([(sort, ascending) for sort, ascending in sorts if sort is not None], table.ties)
    seen = sa.select(experiment.c.id).where(experiment.c.id.in_(experiments), *_seen(actor, experiment.c.project))
    where = [logged_model.c.experiment.in_(seen), logged_model.c.deleted.is_(None), *table.conjuncts(tree, keys)]
    if on and not any(table.entity(clause) == "metrics" for clause in clauses_of(tree)):
        where.append(sa.exists().where(logged_model_metric.c.model == logged_model.c.number, measured_on(on)))
    said = {
        "experiment_ids": [str(number) for number in experiments],
        "filter_string": filter or None,
        "order_by": [msgspec.to_builtins(one) for one in order] or None,
    }
    check_bound(token, **said)
    query = key_of("models", list(on))[:16]
    found = read_page(tx, table, where, columns, (), limit=limit, token=token, query=query)
    return Found(found.keys, bind_token(found.token, **said))


def _sort_models(table: Any, order: ModelOrder, said: Ordering, keys: Any) -> Any:
    if said.entity != "metrics":
        return table.sort(said, keys)
    on = [(order.dataset_name, order.dataset_digest)] if order.dataset_name else []
    return model_metric(on).sort(said.name, keys, said.said)


def _read_order(order: ModelOrder) -> Ordering:
    entity, dot, name = order.field_name.partition(".")
    said = order.field_name[:200]
    if dot and entity != "metrics":
        message = f"Invalid order by field name: {said}. Only metrics are supported."
        raise Invalid(message, code="filter.order", hint="an attribute, or metrics.NAME")
    if not dot and entity not in models_on(()).orderings:
        raise Invalid(f"Invalid order by field name: {said}", code="filter.order", hint="an attribute, or metrics.NAME")
    return Ordering("metrics", name, order.ascending, said) if dot else Ordering("", entity, order.ascending, said)


def _seen(actor: Principal, project: Any, view: View = View.ALL, deleted: Any = None) -> list[Any]:
    where = [project.in_(sorted(actor.projects))] if actor.projects else []
    if view is not View.ALL:
        where.append(deleted.is_(None) if view is View.ACTIVE else deleted.is_not(None))
    return where


def _may_read(actor: Principal) -> None:
    require(actor, Action.READ, min(actor.projects, default=None))
