"""The SQL of items, labels and turns."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.labels.model import Definition, ItemState, Order, Role
from perenne.labels.store import item, label, label_set, turn
from perenne.labels.values import Label, standing
from perenne.storage.database import Transaction, read_struct
from perenne.storage.names import chosen

LEASED, DONE, SKIPPED = "leased", "done", "skipped"


class Item(msgspec.Struct, frozen=True):
    """An item, as it is kept.

    Attributes
    ----------
    item, key : str
        Its id, and the values of its key columns as JSON.
    snapshot, row : str, int
        Where it was read last.
    present : bool
        Whether it is in the snapshot that is labelled now.
    uncertainty, disagreement, suspicion : float
        What orders a queue; 0 if nothing is known.
    suggested : str or None
        What a likely error should rather be, as JSON.
    opinions, state : int, str
        How many people said something, and where it stands.
    gold : bool
        Whether its answer is known beforehand.
    """

    item: str
    key: str
    snapshot: str
    row: int
    present: bool
    uncertainty: float
    disagreement: float
    suspicion: float
    suggested: str | None
    opinions: int
    state: str
    gold: bool


_items = [item.c[name] for name in Item.__struct_fields__]
_labels = [label.c[name] for name in Label.__struct_fields__]


def _read(row: Sequence[Any]) -> Label:
    return Label(*row)


def add_items(tx: Transaction, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add items that nothing was said of."""
    plain = {
        "label_set": name, "present": True, "uncertainty": 0.0, "disagreement": 0.0, "suspicion": 0.0, "suggested": None,
        "opinions": 0, "state": ItemState.OPEN.value, "gold": False,
    }  # fmt: skip
    if rows:
        tx.execute(item.insert(), [plain | row for row in rows])


def item_ids(tx: Transaction, name: str) -> set[str]:
    """Return the ids of all items of a label set."""
    return {row.item for row in tx.execute(sa.select(item.c.item).where(item.c.label_set == name))}


def move_items(tx: Transaction, name: str, snapshot: str, rows: Iterable[tuple[str, int]]) -> None:
    """Say where items are in another snapshot; those that are not named are not present."""
    tx.execute(item.update().where(item.c.label_set == name).values(present=False))
    where = (item.c.label_set == name, item.c.item == sa.bindparam("which"))
    moved = [{"which": identity, "place_row": row} for identity, row in rows]
    if moved:
        change = item.update().where(*where).values(present=True, snapshot=snapshot, row=sa.bindparam("place_row"))
        tx.execute(change, moved)


def items_named(tx: Transaction, name: str, ids: Collection[str]) -> dict[str, Item]:
    """Read items by their ids."""
    query = sa.select(*_items).where(item.c.label_set == name, item.c.item.in_(chosen(ids)))
    return {row.item: read_struct(Item, row) for row in tx.execute(query)}


def items_by_key(tx: Transaction, name: str, keys: Collection[str]) -> dict[str, str]:
    """Return the ids of items by their keys as JSON."""
    query = sa.select(item.c.key, item.c.item).where(item.c.label_set == name, item.c.key.in_(chosen(keys)))
    return {row.key: row.item for row in tx.execute(query)}


def items(
    tx: Transaction, name: str, *, state: str = "", present: bool | None = True, after: str = "", limit: int | None = None
) -> list[Item]:
    """Read items by id, those in a state or all."""
    query = sa.select(*_items).where(item.c.label_set == name, item.c.item > after).order_by(item.c.item)
    query = query if not state else query.where(item.c.state == state)
    query = query if present is None else query.where(item.c.present == present)
    return [read_struct(Item, row) for row in tx.execute(query if limit is None else query.limit(limit))]


def counts(tx: Transaction, names: Collection[str]) -> dict[str, dict[str, int]]:
    """Count the items that are present, by label set and state, and those that likely have a wrong label."""
    suspects = sa.func.count().filter(item.c.suspicion > 0).label("suspects")
    query = sa.select(item.c.label_set, item.c.state, sa.func.count().label("number"), suspects)
    query = query.where(item.c.label_set.in_(chosen(names)), item.c.present).group_by(item.c.label_set, item.c.state)
    found: dict[str, dict[str, int]] = {name: dict.fromkeys([*ItemState, "suspect"], 0) for name in names}
    for row in tx.execute(query):
        found[row.label_set][row.state] = row.number
        found[row.label_set]["suspect"] += row.suspects
    return found


def differing(tx: Transaction, projects: Collection[str], limit: int) -> list[tuple[str, str, int]]:
    """Return label set, project and number of items that people differ on, most first, of some projects or of all."""
    number = sa.func.count()
    query: Any = sa.select(item.c.label_set, label_set.c.project, number.label("items")).join(
        label_set, label_set.c.name == item.c.label_set
    )
    query = query.where(item.c.state == ItemState.DISPUTED.value, item.c.present)
    query = query if not projects else query.where(label_set.c.project.in_(chosen(projects)))
    query = query.group_by(item.c.label_set, label_set.c.project).order_by(number.desc(), item.c.label_set).limit(limit)
    return [(row.label_set, row.project, row.items) for row in tx.execute(query)]


def agreeing(tx: Transaction, names: Collection[str]) -> dict[str, float]:
    """Return how often people say the same of an item that several labelled, on average, by label set."""
    where = (item.c.label_set.in_(chosen(names)), item.c.opinions >= 2)
    query = sa.select(item.c.label_set, (1 - sa.func.avg(item.c.disagreement)).label("same")).where(*where)
    return {row.label_set: float(row.same) for row in tx.execute(query.group_by(item.c.label_set))}


def set_uncertainty(tx: Transaction, name: str, values: Iterable[tuple[str, float]]) -> None:
    """Say how uncertain a model is of some items, and of no others."""
    tx.execute(item.update().where(item.c.label_set == name).values(uncertainty=0.0))
    where = (item.c.label_set == name, item.c.item == sa.bindparam("which"))
    rows = [{"which": each, "amount": amount} for each, amount in values]
    if rows:
        tx.execute(item.update().where(*where).values(uncertainty=sa.bindparam("amount")), rows)


def set_suspicion(tx: Transaction, name: str, values: Iterable[tuple[str, float, str]]) -> None:
    """Say which items likely have a wrong label, how likely, and what it should rather be (as JSON); and no others."""
    tx.execute(item.update().where(item.c.label_set == name).values(suspicion=0.0, suggested=None))
    where = (item.c.label_set == name, item.c.item == sa.bindparam("which"))
    change = item.update().where(*where).values(suspicion=sa.bindparam("amount"), suggested=sa.bindparam("instead"))
    rows = [{"which": each, "amount": amount, "instead": instead} for each, amount, instead in values]
    if rows:
        tx.execute(change, rows)


def add_labels(tx: Transaction, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add labels; nothing that is there is ever changed."""
    tx.execute(label.insert(), [{"label_set": name} | row for row in rows])


def requested(tx: Transaction, name: str, labeller: str, requests: Collection[str]) -> dict[str, Label]:
    """Read the labels that were kept for requests of a labeller, by request."""
    if not requests:
        return {}
    where = (label.c.label_set == name, label.c.labeller == labeller, label.c.request.in_(chosen(requests)))
    rows = tx.execute(sa.select(*_labels, label.c.request).where(*where))
    return {row.request: _read(row[:-1]) for row in rows}


def current(
    tx: Transaction, name: str, *, items_of: Collection[str] | None = None, known: int | None = None
) -> dict[str, list[Label]]:
    """Read what counts of everything that was said, by item: the newest of each labeller, source and role, known by an instant.

    What was taken back is left out.
    """
    where = [label.c.label_set == name]
    if items_of is not None:
        where.append(label.c.item.in_(chosen(items_of)))
    if known is not None:
        where.append(label.c.known <= known)
    same = (label.c.item, label.c.labeller, label.c.source, label.c.role)
    place = sa.func.row_number().over(partition_by=same, order_by=(label.c.known.desc(), label.c.id.desc()))
    ranked = sa.select(*_labels, place.label("place")).where(*where).subquery()
    columns = [ranked.c[each.name] for each in _labels]
    query = sa.select(*columns).where(ranked.c.place == 1, ranked.c.value.is_not(None)).order_by(ranked.c.item, ranked.c.id)
    found: dict[str, list[Label]] = {}
    for row in tx.execute(query):
        found.setdefault(row.item, []).append(_read(row))
    return found


def history(tx: Transaction, name: str, *, after: int = 0, limit: int, labeller: str = "", of: str = "") -> list[Label]:
    """Read labels as they were added, of one labeller or item or of all."""
    query = sa.select(*_labels).where(label.c.label_set == name, label.c.id > after).order_by(label.c.id).limit(limit)
    query = query if not labeller else query.where(label.c.labeller == labeller)
    return [_read(row) for row in tx.execute(query if not of else query.where(label.c.item == of))]


def refresh(tx: Transaction, name: str, definition: Definition, ids: Collection[str]) -> dict[str, str]:
    """Work out again where some items stand, and return that; what was suspected of them is settled."""
    said = current(tx, name, items_of=ids)
    rows, states = [], {}
    for identity in ids:
        labels = said.get(identity, [])
        found = standing(definition, labels)
        states[identity] = found.state.value
        gold = any(each.role == Role.GOLD for each in labels)
        rows.append({"which": identity, "n": found.opinions, "s": found.state.value, "d": found.disagreement, "g": gold})
    where = (item.c.label_set == name, item.c.item == sa.bindparam("which"))
    change = item.update().where(*where).values(
        opinions=sa.bindparam("n"), state=sa.bindparam("s"), disagreement=sa.bindparam("d"), gold=sa.bindparam("g")
    )  # fmt: skip
    if rows:
        tx.execute(change, rows)
    return states


def settle(tx: Transaction, name: str, ids: Collection[str]) -> None:
    """Suspect some items no longer: somebody has looked at them."""
    where = (item.c.label_set == name, item.c.item.in_(chosen(ids)), item.c.suspicion > 0)
    tx.execute(item.update().where(*where).values(suspicion=0.0, suggested=None))


def set_turns(tx: Transaction, name: str, labeller: str, ids: Sequence[str], state: str, *, until: int, time: int) -> None:
    """Say what a labeller does with some items, one after the other."""
    if not ids:
        return
    where = (turn.c.label_set == name, turn.c.labeller == labeller, turn.c.item.in_(chosen(ids)))
    tx.execute(turn.delete().where(*where))
    plain = {"label_set": name, "labeller": labeller, "state": state, "until": until}
    tx.execute(turn.insert(), [plain | {"item": identity, "time": time + place} for place, identity in enumerate(ids)])


def let_go(tx: Transaction, name: str, labeller: str, ids: Collection[str]) -> None:
    """Keep some items for a labeller no longer."""
    where = (turn.c.label_set == name, turn.c.labeller == labeller, turn.c.item.in_(chosen(ids)), turn.c.state == LEASED)
    tx.execute(turn.delete().where(*where))


def last_turn(tx: Transaction, name: str, labeller: str) -> tuple[str, str] | None:
    """Return the item that a labeller labelled or skipped last, and which of both it was."""
    where = (turn.c.label_set == name, turn.c.labeller == labeller, turn.c.state.in_([DONE, SKIPPED]))
    query = sa.select(turn.c.item, turn.c.state).where(*where).order_by(turn.c.time.desc(), turn.c.item.desc()).limit(1)
    row = tx.execute(query).one_or_none()
    return None if row is None else (row.item, row.state)


def turns_of(tx: Transaction, name: str, labeller: str) -> dict[str, int]:
    """Count what a labeller did, by state."""
    where = (turn.c.label_set == name, turn.c.labeller == labeller)
    rows = tx.execute(sa.select(turn.c.state, sa.func.count().label("number")).where(*where).group_by(turn.c.state))
    return {row.state: row.number for row in rows}


def leased(tx: Transaction, name: str, labeller: str, now: int) -> list[str]:
    """Return the items that are kept for a labeller, oldest first."""
    where = (turn.c.label_set == name, turn.c.labeller == labeller, turn.c.state == LEASED, turn.c.until > now)
    return [row.item for row in tx.execute(sa.select(turn.c.item).where(*where).order_by(turn.c.time, turn.c.item))]


_ORDERS: "dict[Order, tuple[sa.ColumnElement[Any], ...]]" = {
    Order.RANDOM: (item.c.place,),
    Order.UNCERTAIN: (item.c.uncertainty.desc(), item.c.place),
    Order.DISAGREEMENT: (item.c.disagreement.desc(), item.c.place),
    Order.SUSPECT: (item.c.suspicion.desc(), item.c.place),
}


def waiting(tx: Transaction, name: str, labeller: str, order: Order, *, wanted: int, now: int, limit: int) -> list[str]:
    """Return the items that a labeller may take, in an order: none that others have in hand or have labelled often enough.

    Beside the open ones, `disagreement` offers those that are disputed, and `suspect` those whose label is likely wrong.
    """
    mine, others = turn.alias(), turn.alias()
    same = (mine.c.label_set == item.c.label_set, mine.c.item == item.c.item, mine.c.labeller == labeller)
    passed = [SKIPPED] if order is Order.SUSPECT else [SKIPPED, DONE]
    busy = (others.c.label_set == item.c.label_set, others.c.item == item.c.item, others.c.labeller != labeller)
    in_hand = sa.select(sa.func.count()).where(*busy, others.c.state == LEASED, others.c.until > now).scalar_subquery()
    query = sa.select(item.c.item).where(item.c.label_set == name, item.c.present)
    query = query.where(~sa.exists().where(*same, mine.c.state.in_(passed)))
    if order is Order.SUSPECT:
        query = query.where(item.c.suspicion > 0, item.c.state != ItemState.DECIDED.value, in_hand == 0)
    elif order is Order.DISAGREEMENT:
        open_ = sa.and_(item.c.state == ItemState.OPEN.value, item.c.opinions + in_hand < wanted)
        query = query.where(sa.or_(open_, sa.and_(item.c.state == ItemState.DISPUTED.value, in_hand == 0)))
    else:
        query = query.where(item.c.state == ItemState.OPEN.value, item.c.opinions + in_hand < wanted)
    return [row.item for row in tx.execute(query.order_by(*_ORDERS[order]).limit(limit))]


def originals(tx: Transaction, name: str, ids: Collection[int]) -> dict[int, str]:
    """Return what another tool said for labels that came from it, by label."""
    query = sa.select(label.c.id, label.c.original).where(label.c.label_set == name, label.c.original.is_not(None))
    wanted = set(ids)
    return {row.id: row.original for row in tx.execute(query) if row.id in wanted}


def erase(tx: Transaction, name: str, ids: Collection[str]) -> int:
    """Remove items for good, with everything that was said of them; return how many labels that were."""
    gone = 0
    for table in (label, turn, item):
        done = tx.execute(table.delete().where(table.c.label_set == name, table.c.item.in_(chosen(ids))))
        gone += done.rowcount if table is label else 0
    return gone
