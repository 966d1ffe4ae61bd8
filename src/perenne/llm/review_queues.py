"""Review queues: traces that wait for people, what is asked about them, and who answered. A user's own queue has their name."""

from collections.abc import Sequence
from uuid import uuid4

import msgspec
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.llm import label_schemas, trace_store
from perenne.llm.pages import start_of, token_after
from perenne.llm.scope import open_experiment, projects_of
from perenne.llm.tables import review_item, review_queue
from perenne.storage.database import Transaction
from perenne.storage.names import chosen

__all__ = ["ReviewItem", "ReviewQueue", "UnknownQueue", "add", "create", "delete", "get", "items", "list_", "remove", "update"]

USER, CUSTOM = "USER", "CUSTOM"
PENDING, COMPLETE, DECLINED = "PENDING", "COMPLETE", "DECLINED"
STATUSES = (PENDING, COMPLETE, DECLINED)
RESERVED = "default"
LONGEST, LONGEST_ITEM, MOST_USERS = 250, 250, 10


class ReviewQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue. Times in milliseconds; `schemas` are ids of label schemas, of none a user's own queue asks all there are."""

    id: str
    experiment: int
    name: str
    type: str
    users: list[str] = []
    schemas: list[str] = []
    created_by: str | None = None
    created: int = 0
    updated: int = 0


class ReviewItem(msgspec.Struct, frozen=True, kw_only=True):
    """A trace in a queue."""

    queue: str
    item: str
    type: str = "TRACE"
    status: str = PENDING
    completed_by: str | None = None
    completed: int | None = None
    created: int = 0
    updated: int = 0


class UnknownQueue(NotFound):
    """There is no such review queue, or it may not be seen."""

    def __init__(self, identity: str, experiment: int | None = None) -> None:
        where = "" if experiment is None else f" in experiment {experiment}"
        super().__init__(f"review queue {identity[:100]!r} does not exist{where}", code="review_queue.not_found")
        self.identity, self.experiment = identity, experiment


class FoundQueues(msgspec.Struct, frozen=True):
    """A page of queues, and the token of the next."""

    queues: list[ReviewQueue]
    token: str = ""


class FoundItems(msgspec.Struct, frozen=True):
    """A page of items, and the token of the next."""

    items: list[ReviewItem]
    token: str = ""


_columns = [review_queue.c[name] for name in ReviewQueue.__struct_fields__]
_item_columns = [review_item.c[name] for name in ReviewItem.__struct_fields__ if name != "queue"]


def create(tx: Transaction, actor: Principal, given: ReviewQueue) -> ReviewQueue:
    """Make a queue. Raises Invalid, and Conflict, `review_queue.exists`, if there is one of this name in whatever case."""
    made = _settled(given)
    open_experiment(tx, actor, given.experiment, Action.LOG)
    _check_schemas(tx, made)
    _require_free(tx, made)
    now = SystemClock().now() // 1_000
    made = msgspec.structs.replace(made, id=f"rq-{uuid4().hex}", created=now, updated=now)
    values = {name: getattr(made, name) for name in ReviewQueue.__struct_fields__}
    tx.execute(review_queue.insert(), values | {"name_key": made.name.lower()})
    audit.record(tx, actor, "review_queue.create", "review_queue", made.id, after={"name": made.name})
    return made


def of_user(tx: Transaction, actor: Principal, experiment: int, user: str) -> ReviewQueue:
    """Return a user's own queue, made if it is not there. Raises Conflict if another queue bears the name."""
    name = user.strip().lower()
    open_experiment(tx, actor, experiment, Action.LOG)
    found = _named(tx, experiment, name)
    if found is None:
        given = ReviewQueue(id="", experiment=experiment, name=name, type=USER, created_by=name)
        return create(tx, actor, given)
    if found.type != USER:
        message = f"A non-user queue named '{name}' already exists; cannot get-or-create a user queue with that name."
        raise Conflict(message, code="review_queue.exists", hint="rename that one")
    return found


def get(tx: Transaction, actor: Principal, identity: str, action: Action = Action.READ) -> ReviewQueue:
    """Read a queue. Raises UnknownQueue, and Denied if the actor may not do what is meant to be done."""
    row = tx.execute(sa.select(*_columns).where(review_queue.c.id == identity)).one_or_none()
    found = None if row is None else ReviewQueue(**row._mapping)
    project = "" if found is None else projects_of(tx, [found.experiment]).get(found.experiment, "")
    if found is None or not sees(actor, project):
        raise UnknownQueue(identity)
    require(actor, action, project)
    return found


def by_name(tx: Transaction, actor: Principal, experiment: int, name: str) -> ReviewQueue:
    """Read a queue by its name, in whatever case. Raises UnknownQueue."""
    open_experiment(tx, actor, experiment, Action.READ)
    found = _named(tx, experiment, name)
    if found is None:
        raise UnknownQueue(name, experiment)
    return found


def list_(
    tx: Transaction, actor: Principal, experiment: int, *, user: str = "", item: str = "", limit: int = 1_000, token: str = ""
) -> FoundQueues:
    """List the queues of an experiment, newest first: all, those of a user, or those that hold an item."""
    open_experiment(tx, actor, experiment, Action.READ)
    query = sa.select(*_columns).where(review_queue.c.experiment == experiment).order_by(review_queue.c.number.desc())
    if item:
        query = query.where(review_queue.c.number.in_(sa.select(review_item.c.queue).where(review_item.c.item == item)))
    found = [ReviewQueue(**row._mapping) for row in tx.execute(query)]
    name = user.strip().lower()
    found = [one for one in found if not name or name in one.users]
    asked = f"review_queues:{experiment}:{name}:{item}"
    start = start_of(token, asked)
    return FoundQueues(found[start : start + limit], token_after(len(found) > start + limit, start + limit, asked))


def update(
    tx: Transaction,
    actor: Principal,
    identity: str,
    *,
    name: str | None = None,
    users: Sequence[str] | None = None,
    schemas: Sequence[str] | None = None,
    owner: str | None = None,
) -> ReviewQueue:
    """Change a queue; what is None stays.

    Raises
    ------
    Invalid
        If it is a user's own, or its questions would change while traces wait in it.
    Conflict
        If there is another of this name.
    """
    before = get(tx, actor, identity, Action.LOG)
    if before.type == USER:
        _refuse("A user queue's name, assigned user, schemas, and owner are fixed and cannot be updated.", "make another queue")
    told = {"name": name, "users": users, "schemas": schemas, "created_by": owner}
    changes = {key: value for key, value in told.items() if value is not None}
    after = _settled(msgspec.structs.replace(before, **changes, updated=SystemClock().now() // 1_000))
    if schemas is not None and items(tx, actor, identity, limit=1).items:
        _refuse(
            "A review queue's questions are locked once items are assigned to it. "
            "Remove the items before changing its questions.",
            "remove its items",
        )
    _check_schemas(tx, after)
    if after.name.lower() != before.name.lower():
        _require_free(tx, after)
    values = {key: getattr(after, key) for key in (*changes, "updated")} | {"name_key": after.name.lower()}
    tx.execute(review_queue.update().where(review_queue.c.id == identity).values(**values))
    audit.record(tx, actor, "review_queue.update", "review_queue", identity, after={"name": after.name})
    return after


def delete(tx: Transaction, actor: Principal, identity: str) -> None:
    """Remove a queue with its items, if it is there; what was answered stays."""
    try:
        found = get(tx, actor, identity, Action.LOG)
    except UnknownQueue:
        return
    number = _number(tx, identity)
    tx.execute(review_item.delete().where(review_item.c.queue == number))
    tx.execute(review_queue.delete().where(review_queue.c.number == number))
    audit.record(tx, actor, "review_queue.delete", "review_queue", identity, before={"name": found.name})


def add(tx: Transaction, actor: Principal, identity: str, ids: Sequence[str]) -> list[ReviewItem]:
    """Put traces of the queue's experiment into it; those that are in it stay as they are.

    Raises
    ------
    NotFound
        If one is no trace of the experiment: `review_queue.items`.
    """
    found = get(tx, actor, identity, Action.COMMENT)
    wanted = _settled_items(ids)
    traces = trace_store.by_ids(tx, wanted)
    strange = [one for one in wanted if one not in traces or traces[one].experiment != found.experiment]
    if strange:
        raise NotFound(
            f"Cannot attach trace(s) {strange[:10]} to review queue '{identity}': they do not exist in experiment "
            f"'{found.experiment}'.",
            code="review_queue.items",
            hint="name traces of the queue's experiment",
        )
    number, now = _number(tx, identity), SystemClock().now() // 1_000
    there = {one.item for one in _items(tx, identity, number, review_item.c.item.in_(wanted))}
    fresh = [ReviewItem(queue=identity, item=one, created=now, updated=now) for one in wanted if one not in there]
    names = [name for name in ReviewItem.__struct_fields__ if name != "queue"]
    if fresh:
        tx.execute(review_item.insert(), [{name: getattr(one, name) for name in names} | {"queue": number} for one in fresh])
    held = {one.item: one for one in _items(tx, identity, number, review_item.c.item.in_(wanted))}
    return [held[one] for one in wanted]


def remove(tx: Transaction, actor: Principal, identity: str, ids: Sequence[str]) -> None:
    """Take traces out of a queue."""
    get(tx, actor, identity, Action.COMMENT)
    wanted = _settled_items(ids)
    number = _number(tx, identity)
    tx.execute(review_item.delete().where(review_item.c.queue == number, review_item.c.item.in_(wanted)))


def items(
    tx: Transaction, actor: Principal, identity: str, *, status: str = "", limit: int = 1_000, token: str = ""
) -> FoundItems:
    """List what waits in a queue, or was done: newest first."""
    get(tx, actor, identity)
    where = [review_item.c.status == _status(status)] if status else []
    start = start_of(token, f"review_items:{identity}:{status}")
    found = _items(tx, identity, _number(tx, identity), *where, start=start, limit=limit + 1)
    return FoundItems(found[:limit], token_after(len(found) > limit, start + limit, f"review_items:{identity}:{status}"))


def set_status(tx: Transaction, actor: Principal, identity: str, item: str, status: str, completed_by: str | None) -> ReviewItem:
    """Say that a trace was judged, was declined, or waits again; who said so first stands.

    Raises
    ------
    NotFound
        If it is not in the queue: `review_queue.item`.
    Invalid
        If it is not said who did it, or said of what waits.
    """
    get(tx, actor, identity, Action.COMMENT)
    status, item = _status(status), item.strip()
    by = None if completed_by is None else completed_by.strip().lower()
    if status == PENDING and by is not None:
        _refuse("`completed_by` must not be set when reopening an item to `pending`.", "leave it out")
    if status != PENDING and not by:
        _refuse(f"`completed_by` is required when setting status to `{status.lower()}`.", "say who judged it")
    if len(by or "") > LONGEST:
        _refuse(f"`completed_by` must be at most {LONGEST} characters; got {len(by or '')}.", "a shorter one")
    number = _number(tx, identity)
    held = _items(tx, identity, number, review_item.c.item == item)
    if not held:
        raise NotFound(
            f"Item '{item}' is not attached to review queue '{identity}'.",
            code="review_queue.item",
            hint="add it to the queue first",
        )
    before = held[0]
    if before.status == status:
        return before
    now = SystemClock().now() // 1_000
    values = {"status": status, "completed_by": by, "completed": None if by is None else now, "updated": now}
    tx.execute(review_item.update().where(review_item.c.queue == number, review_item.c.item == item).values(**values))
    return msgspec.structs.replace(before, **values)


def forget(tx: Transaction, ids: Sequence[str]) -> None:
    """Take traces that are deleted out of every queue."""
    tx.execute(review_item.delete().where(review_item.c.item.in_(chosen(ids))))


def _settled(given: ReviewQueue) -> ReviewQueue:
    """Return a queue with its names as they are kept. Raises Invalid."""
    users = list(dict.fromkeys(user.strip().lower() for user in given.users))
    name = given.name.strip() if given.type == CUSTOM else given.name.strip().lower()
    schemas = list(dict.fromkeys(identity.strip() for identity in given.schemas))
    if given.type not in (USER, CUSTOM):
        _refuse(f"`queue_type` is {given.type[:60]!r}.", "USER or CUSTOM")
    for field, values in (("name", [name]), ("user", users), ("schema_id", schemas)):
        if not all(0 < len(value) <= LONGEST for value in values):
            _refuse(f"`{field}` must be a non-empty string of at most {LONGEST} characters.", "see the limits")
    if len(users) > MOST_USERS:
        _refuse(f"A review queue can have at most {MOST_USERS} assigned users; got {len(users)}.", "make another queue")
    if given.type == CUSTOM and name.lower() == RESERVED:
        _refuse(f"`{name}` is a reserved queue name and cannot be used for a custom queue.", "choose another")
    if given.type == USER:
        if users not in ([], [name]):
            _refuse("A user queue must have exactly one assigned user equal to its name.", "leave users out")
        if schemas:
            _refuse("A user queue cannot have explicitly-attached schemas.", "it asks all of the experiment's")
        users = [name]
    return msgspec.structs.replace(given, name=name, users=users, schemas=schemas)


def _settled_items(ids: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(one.strip() for one in ids))
    if not wanted or not all(0 < len(one) <= LONGEST_ITEM for one in wanted):
        _refuse("`item_ids` must be a non-empty list of ids.", "name at least one trace")
    return wanted


def _status(status: str) -> str:
    if status not in STATUSES:
        _refuse(f"`status` must be one of {', '.join(STATUSES)}; got {status[:60]!r}.", "one of these")
    return status


def _check_schemas(tx: Transaction, given: ReviewQueue) -> None:
    missing = sorted(set(given.schemas) - label_schemas.known(tx, given.experiment, given.schemas))
    if missing:
        _refuse(f"Label schema id(s) {missing} not found for experiment '{given.experiment}'.", "list the label schemas")


def _require_free(tx: Transaction, given: ReviewQueue) -> None:
    if _named(tx, given.experiment, given.name) is not None:
        message = f"Review queue with name '{given.name}' already exists (names are case-insensitive)."
        raise Conflict(message, code="review_queue.exists", hint="choose another name")


def _named(tx: Transaction, experiment: int, name: str) -> ReviewQueue | None:
    where = (review_queue.c.experiment == experiment, review_queue.c.name_key == name.strip().lower())
    row = tx.execute(sa.select(*_columns).where(*where)).one_or_none()
    return None if row is None else ReviewQueue(**row._mapping)


def _number(tx: Transaction, identity: str) -> int:
    return int(tx.scalar(sa.select(review_queue.c.number).where(review_queue.c.id == identity)))


def _items(
    tx: Transaction, identity: str, number: int, *where: "sa.ColumnElement[bool]", start: int = 0, limit: int | None = None
) -> list[ReviewItem]:
    query = sa.select(*_item_columns).where(review_item.c.queue == number, *where)
    query = query.order_by(review_item.c.created.desc(), review_item.c.item).offset(start).limit(limit)
    return [ReviewItem(queue=identity, **row._mapping) for row in tx.execute(query)]


def _refuse(message: str, hint: str) -> None:
    raise Invalid(message, code="review_queue.invalid", hint=hint)
