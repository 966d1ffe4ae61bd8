"""What is labelled next, and by whom: an item is kept for whoever looks at it, for a while."""

from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec

from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed, require
from perenne.core.clock import SECOND, SystemClock
from perenne.core.errors import NotFound
from perenne.labels import label_store, sets
from perenne.labels.label_store import Item
from perenne.labels.model import ItemState, LabelSet, Order, Role
from perenne.labels.rows import read_rows
from perenne.labels.values import Label
from perenne.storage.objects import ObjectStore
from perenne.storage.transaction import Transaction

MOST_AT_ONCE = 50


class Shown(msgspec.Struct, frozen=True):
    """An item as a labeller sees it: its id and the fields that are shown; `suggested` if its label is likely wrong."""

    item: str
    fields: dict[str, Any]
    suggested: Any = None


class Progress(msgspec.Struct, frozen=True):
    """How far a label set is, and how far the person who asks."""

    items: int
    open: int
    done: int
    disputed: int
    decided: int
    suspect: int
    mine: int
    skipped: int


def take(
    tx: Transaction, actor: Principal, name: str, *, count: int = 1, order: Order | None = None, holding: Collection[str] = ()
) -> tuple[LabelSet, list[Item]]:
    """Keep the next items for the actor, and return them; what was kept for them and is neither in hand nor next is let go.

    Parameters
    ----------
    count : int
        How many, those in hand included; at most 50.
    order : Order, optional
        Which come first; as the label set says if not given.
    holding : collection of str
        The items that the actor has in hand; they are kept for a while longer.
    """
    found = sets.get(tx, actor, name)
    require(actor, Action.COMMENT, found.project)
    now, order = SystemClock().now(), order or found.definition.order
    mine = label_store.leased(tx, name, actor.name, now)
    held = [each for each in mine if each in set(holding)]
    wanted = max(0, min(count, MOST_AT_ONCE) - len(held))
    limit, opinions = wanted + len(held), found.definition.opinions
    free = label_store.waiting(tx, name, actor.name, order, wanted=opinions, now=now, limit=limit)
    taken = [each for each in free if each not in set(held)][:wanted]
    until = now + found.definition.lease * SECOND
    label_store.let_go(tx, name, actor.name, [each for each in mine if each not in set(held)])
    label_store.set_turns(tx, name, actor.name, [*held, *taken], label_store.LEASED, until=until, time=now)
    items = label_store.items_named(tx, name, taken)
    return found, [items[each] for each in taken]


def named(tx: Transaction, actor: Principal, name: str, ids: Collection[str]) -> tuple[LabelSet, list[Item]]:
    """Return items of a label set by their ids."""
    found, items = sets.get(tx, actor, name), label_store.items_named(tx, name, ids)
    return found, [items[each] for each in ids if each in items]


def find_item(tx: Transaction, actor: Principal, name: str, text: str) -> str:
    """Find an item by its id, or by what stands in its key column. Raises NotFound."""
    sets.get(tx, actor, name)
    if label_store.items_named(tx, name, [text]):
        return text
    keys = {msgspec.json.encode([text]).decode(), f"[{text}]", text}
    found = label_store.items_by_key(tx, name, keys)
    if len(found) != 1:
        raise NotFound(f"there is no item {text[:100]!r}", code="label.item", hint="its id, or the value of its key column")
    return next(iter(found.values()))


def shown(objects: ObjectStore, found: LabelSet, items: Collection[Item]) -> list[Shown]:
    """Read the fields of items that labellers see."""
    definition = found.definition
    extra = tuple(name for name in (definition.text, definition.image) if name and name not in definition.shown)
    names = (*definition.shown, *extra) if definition.shown else ()
    rows = read_rows(objects, {(item.snapshot, item.row) for item in items}, names)
    return [
        Shown(item.item, rows[item.snapshot, item.row], None if item.suggested is None else msgspec.json.decode(item.suggested))
        for item in items
    ]


def progress(tx: Transaction, actor: Principal, name: str) -> Progress:
    """Tell how far a label set is."""
    sets.get(tx, actor, name)
    found = label_store.counts(tx, [name])[name]
    mine = label_store.turns_of(tx, name, actor.name)
    states = {state.value: found[state.value] for state in ItemState}
    return Progress(
        items=sum(states.values()), **states, suspect=found["suspect"],
        mine=mine.get(label_store.DONE, 0), skipped=mine.get(label_store.SKIPPED, 0),
    )  # fmt: skip


class Dispute(msgspec.Struct, frozen=True):
    """An item that people differ on: what is seen of it, and what they said."""

    item: str
    fields: dict[str, Any]
    opinions: tuple[Label, ...]


class Disputed(NamedTuple):
    """Items that people differ on, before their fields are read."""

    found: LabelSet
    items: list[Item]
    said: dict[str, list[Label]]


def disputed(tx: Transaction, actor: Principal, name: str, *, limit: int = 50, after: str = "") -> Disputed:
    """Return the items that people differ on with what they said, for whoever may decide. Raises Denied."""
    found = sets.get(tx, actor, name)
    require(actor, Action.ADJUDICATE, found.project)
    items = label_store.items(tx, name, state=ItemState.DISPUTED.value, after=after, limit=max(1, min(limit, 200)))
    return Disputed(found, items, label_store.current(tx, name, items_of=[item.item for item in items]))


def disputes(objects: ObjectStore, disputed: Disputed) -> list[Dispute]:
    """Read the fields of items that people differ on."""
    seen = shown(objects, disputed.found, disputed.items)
    return [
        Dispute(each.item, each.fields, tuple(one for one in disputed.said.get(each.item, ()) if one.role == Role.OPINION))
        for each in seen
    ]


def may_decide(actor: Principal) -> bool:
    """Tell whether somebody may decide what others differ on."""
    return allowed(actor, Action.ADJUDICATE)
