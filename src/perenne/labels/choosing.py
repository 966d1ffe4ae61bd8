"""Which rows are labelled: those of a snapshot. In a later one, rows with the same content keep what was said of them."""

import hashlib

import msgspec

from perenne import data
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Invalid, NotFound
from perenne.labels import label_store, sets, store
from perenne.labels.model import LabelSet
from perenne.labels.rows import Items, check_columns, items_of
from perenne.storage.database import Database
from perenne.storage.links import TAKEN_FOR, Kind, add_link, links_from
from perenne.storage.objects import ObjectStore
from perenne.storage.transaction import Transaction

MOST_ITEMS = 500_000


class Chosen(msgspec.Struct, frozen=True):
    """What became of the choice of a snapshot.

    Attributes
    ----------
    items : int
        Different rows that are there to be labelled.
    new, gone : int
        Those that were not known before, and those that were and are not in this snapshot.
    duplicates : int
        Rows that are the same as one before in their key columns.
    """

    label_set: str
    snapshot: str
    items: int
    new: int
    gone: int
    duplicates: int


def choose(database: Database, objects: ObjectStore, actor: Principal, name: str, snapshot: str) -> Chosen:
    """Label the rows of a snapshot from now on.

    Raises
    ------
    NotFound
        If there is no such label set or snapshot, or none that the actor may see.
    Invalid
        If a column is missing, or there are more than 500,000 items.
    """
    with database.read() as tx:
        before = sets.get(tx, actor, name)
        require(actor, Action.LOG, before.project)
        taken = seen_snapshot(tx, actor, snapshot)
    table = data.snapshots.read_snapshot(objects, taken.id)
    definition = before.definition
    keys = definition.keys or tuple(table.column_names)
    check_columns(
        table.column_names, {"shown": definition.shown, "text": (definition.text,), "image": (definition.image,)}
    )  # fmt: skip
    found = items_of(table, keys)
    if len(found.ids) > MOST_ITEMS:
        raise Invalid(
            f"snapshot: {len(found.ids):,} different rows, at most {MOST_ITEMS:,} are taken",
            code="label.too_many",
            hint="take a snapshot of a sample",
        )

    def keep(tx: Transaction) -> Chosen:
        return _keep(tx, actor, name, taken, keys, found)

    return database.write(keep)


def seen_snapshot(tx: Transaction, actor: Principal, identity: str) -> "data.Snapshot":
    """Read a snapshot that the actor may see. Raises NotFound."""
    taken = data.snapshots.get_snapshot(tx, identity)
    if actor.projects:
        links = links_from(tx, Kind.SNAPSHOT, taken.id)
        if not any(link.relation == TAKEN_FOR and sees(actor, link.target) for link in links):
            raise NotFound(
                f"snapshot {identity[:100]!r} is not known here",
                code="data.snapshot_not_found",
                hint="`perenne data list` shows them",
            )
    return taken


def _keep(tx: Transaction, actor: Principal, name: str, taken: "data.Snapshot", keys: tuple[str, ...], found: Items) -> Chosen:
    before = sets.get(tx, actor, name)
    if before.definition.keys and before.definition.keys != keys:
        raise Invalid("keys: they were chosen meanwhile", code="label.definition", hint="try again")
    known = label_store.item_ids(tx, name)
    places = list(zip(found.ids, found.keys, found.rows, strict=True))
    label_store.move_items(tx, name, taken.id, [(each, row) for each, _, row in places if each in known])
    new = [
        {"item": each, "key": key, "snapshot": taken.id, "row": row, "place": _place(name, each)}
        for each, key, row in places
        if each not in known
    ]
    label_store.add_items(tx, name, new)
    after = _pointed(before, actor, taken, keys)
    store.replace_set(tx, after)
    add_link(tx, (Kind.LABEL_SET, name), "labels", (Kind.SNAPSHOT, taken.id))
    done = Chosen(name, taken.id, len(places), len(new), len(known) - (len(places) - len(new)), found.duplicates)
    audit.record(tx, actor, "label_set.choose", "label set", name, after=msgspec.to_builtins(done))
    return done


def _pointed(before: LabelSet, actor: Principal, taken: "data.Snapshot", keys: tuple[str, ...]) -> LabelSet:
    definition = msgspec.structs.replace(before.definition, keys=keys)
    now = SystemClock().now()
    return msgspec.structs.replace(
        before, definition=definition, dataset=taken.dataset, snapshot=taken.id, changed=now, changed_by=actor.name
    )


def _place(name: str, item: str) -> float:
    """Return a place in a random order that is the same each time."""
    digest = hashlib.blake2b(f"{name}\0{item}".encode(), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48
