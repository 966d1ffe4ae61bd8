"""Saying what a row is: labels are added, taken back, decided; a request that comes twice is kept once."""

from collections.abc import Sequence
from typing import Any

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed, require
from perenne.core.clock import SECOND, SystemClock
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.labels import label_store, sets
from perenne.labels.model import LONGEST_NOTE, LabelSet, Role, Source
from perenne.labels.values import Label, checked
from perenne.storage.transaction import Transaction

MOST_AT_ONCE = 1_000
_NEXT = "`perenne label next` gives one"


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of an item.

    Attributes
    ----------
    item : str
        Its id.
    value : any
        A class, a list of classes, a number, a text or spans, as the label set asks.
    note : str
        Why, or what was unclear.
    confidence : float, optional
        From 0 to 1.
    request : str, optional
        A name that the sender gives it; what comes again under the same name is kept once.
    known : int, optional
        When it became known, in microseconds; now if not given.
    """

    item: str
    value: Any
    note: str = ""
    confidence: float | None = None
    request: str | None = None
    known: int | None = None


class Kept(msgspec.Struct, frozen=True):
    """A label that was kept, and where its item stands now."""

    item: str
    value: Any
    state: str


def say(tx: Transaction, actor: Principal, name: str, said: Sequence[Said], *, role: Role = Role.OPINION) -> list[Kept]:
    """Keep what a person says of some items: all of it or nothing.

    Raises
    ------
    NotFound, Invalid
        If there is no such item, or a value is no answer to what is asked; the message tells which.
    Denied
        If the actor may not label, or may not decide.
    """
    found = sets.get(tx, actor, name)
    require(actor, Action.COMMENT if role is Role.OPINION else Action.ADJUDICATE, found.project)
    kept = add(tx, found, said, labeller=actor.name, source=Source.PERSON, role=role)
    ids = [each.item for each in said]
    now = SystemClock().now()
    if role is Role.OPINION:
        label_store.set_turns(tx, name, actor.name, list(dict.fromkeys(ids)), label_store.DONE, until=now, time=now)
    else:
        after = {"items": len(ids), "role": role.value, "first": ids[:10]}
        audit.record(tx, actor, f"label_set.{'decide' if role is Role.DECISION else 'gold'}", "label set", name, after=after)
    label_store.settle(tx, name, ids)
    return kept


def add(
    tx: Transaction,
    found: LabelSet,
    said: Sequence[Said],
    *,
    labeller: str,
    source: Source,
    role: Role = Role.OPINION,
    originals: Sequence[str | None] = (),
) -> list[Kept]:
    """Add labels of one labeller; whoever calls has asked whether that may be.

    `originals` are what another tool said, as JSON, for each of them: it goes back to that tool as it was.
    """
    _check_number(said)
    name, values = found.name, _values(found, said)
    items = label_store.items_named(tx, name, {each.item for each in said})
    for place, each in enumerate(said):
        if each.item not in items:
            raise NotFound(f"labels[{place}]: there is no item {each.item[:60]!r}", code="label.item", hint=_NEXT)
    before = label_store.requested(tx, name, labeller, [each.request for each in said if each.request])
    now, rows = SystemClock().now(), []
    for each, value, original in zip(said, values, originals or [None] * len(said), strict=True):
        if each.request and each.request in before:
            _check_same(before[each.request], each, value)
            continue
        rows.append(
            {
                "item": each.item, "snapshot": items[each.item].snapshot, "value": value, "labeller": labeller,
                "source": source.value, "role": role.value, "confidence": each.confidence, "note": each.note, "time": now,
                "known": now if each.known is None else each.known, "request": each.request,
                "original": original,
            }
        )  # fmt: skip
    if rows:
        label_store.add_labels(tx, name, rows)
    states = label_store.refresh(tx, name, found.definition, list(items))
    return [Kept(each.item, msgspec.json.decode(value), states[each.item]) for each, value in zip(said, values, strict=True)]


def _check_number(said: Sequence[Said]) -> None:
    if not 1 <= len(said) <= MOST_AT_ONCE:
        raise Invalid(f"labels: there are {len(said):,}", code="label.number", hint=f"from 1 to {MOST_AT_ONCE:,} at once")
    requests = [each.request for each in said if each.request]
    if len(set(requests)) != len(requests):
        raise Invalid("labels: two have the same request", code="label.request", hint="name each once")


def _values(found: LabelSet, said: Sequence[Said]) -> list[str]:
    values = []
    for place, each in enumerate(said):
        try:
            values.append(checked(found.definition, each.value))
            _check_rest(each)
        except Invalid as error:
            raise Invalid(f"labels[{place}].{error.message}", code=error.code, hint=error.hint) from None
    return values


def _check_rest(each: Said) -> None:
    if each.confidence is not None and not 0 <= each.confidence <= 1:
        raise Invalid(f"confidence: {each.confidence:g} is not from 0 to 1", code="label.confidence", hint="a share of 1")
    if len(each.note) > LONGEST_NOTE or "\0" in each.note:
        raise Invalid("note: it is too long", code="label.note", hint=f"at most {LONGEST_NOTE:,} characters, none of them zero")
    if each.request is not None and not (0 < len(each.request) <= 100 and each.request.isprintable()):
        raise Invalid("request: it cannot be kept", code="label.request", hint="from 1 to 100 printable characters")
    if each.known is not None and not 0 <= each.known < 2**62:
        raise Invalid("known: it is no instant", code="label.known", hint="microseconds since 1970")


def _check_same(before: Label, each: Said, value: str) -> None:
    if (before.item, before.value) != (each.item, value):
        raise Conflict(
            f"request {each.request!r} was something else", code="label.request", hint="give what is new a name of its own"
        )


def skip(tx: Transaction, actor: Principal, name: str, item: str) -> None:
    """Leave an item to others. Raises NotFound."""
    found = sets.get(tx, actor, name)
    require(actor, Action.COMMENT, found.project)
    if not label_store.items_named(tx, name, [item]):
        raise NotFound(f"there is no item {item[:60]!r}", code="label.item", hint=_NEXT)
    now = SystemClock().now()
    label_store.set_turns(tx, name, actor.name, [item], label_store.SKIPPED, until=now, time=now)


class Undone(msgspec.Struct, frozen=True):
    """What was taken back: the label of an item, or that it was skipped."""

    item: str
    was: str


def undo(tx: Transaction, actor: Principal, name: str) -> Undone:
    """Take back what the actor did last in a label set: a label is withdrawn by a further row, and the item is theirs again.

    Raises
    ------
    Conflict
        If there is nothing to take back.
    """
    found = sets.get(tx, actor, name)
    require(actor, Action.COMMENT, found.project)
    last = label_store.last_turn(tx, name, actor.name)
    if last is None:
        raise Conflict("there is nothing to take back", code="label.nothing", hint="label something first")
    item, was = last
    now = SystemClock().now()
    if was == label_store.DONE:
        place = label_store.items_named(tx, name, [item])[item].snapshot
        row = {
            "item": item, "snapshot": place, "value": None, "labeller": actor.name, "source": Source.PERSON.value,
            "role": Role.OPINION.value, "confidence": None, "note": "", "time": now, "known": now, "request": None,
            "original": None,
        }  # fmt: skip
        label_store.add_labels(tx, name, [row])
        label_store.refresh(tx, name, found.definition, [item])
    until = now + found.definition.lease * SECOND
    label_store.set_turns(tx, name, actor.name, [item], label_store.LEASED, until=until, time=now)
    return Undone(item, was)


def history(tx: Transaction, actor: Principal, name: str, *, after: int = 0, limit: int = 1_000, item: str = "") -> list[Label]:
    """Read labels as they were added: everybody's for who may decide, one's own for others, who judge for themselves."""
    found = sets.get(tx, actor, name)
    require(actor, Action.READ, found.project)
    mine = "" if allowed(actor, Action.ADJUDICATE) else actor.name
    return label_store.history(tx, name, after=after, limit=max(1, min(limit, 10_000)), labeller=mine, of=item)
