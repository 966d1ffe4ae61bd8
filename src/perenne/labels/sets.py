"""Label sets: made, changed, listed. Who may see a project sees its sets; who may change it makes them."""

from collections.abc import Collection, Iterable

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.labels import label_store, store
from perenne.labels.model import Definition, LabelSet, check_name, completed
from perenne.storage.links import Kind, add_link
from perenne.storage.transaction import Transaction

ROWS = 200


def create(tx: Transaction, actor: Principal, name: str, definition: Definition, *, project: str) -> LabelSet:
    """Make a label set.

    Raises
    ------
    Invalid
        If the name or the definition cannot be used.
    Conflict
        If there is one of that name.
    """
    require(actor, Action.LOG, project)
    check_name(name)
    stated = completed(definition)
    if store.find_set(tx, name) is not None:
        raise Conflict(f"there is a label set {name} already", code="label.exists", hint="choose another name")
    now = SystemClock().now()
    made = LabelSet(
        name=name, project=project, definition=stated, dataset="", snapshot="",
        created=now, created_by=actor.name, changed=now, changed_by=actor.name,
    )  # fmt: skip
    store.insert_set(tx, made)
    add_link(tx, (Kind.LABEL_SET, name), "for", (Kind.PROJECT, project))
    audit.record(tx, actor, "label_set.create", "label set", name, after=_told(made))
    return made


def change(tx: Transaction, actor: Principal, name: str, definition: Definition) -> LabelSet:
    """State anew what a label set asks for. Its kind and its key columns stay, and so does every class that is in use.

    Raises
    ------
    Invalid
        If something would make labels that are there meaningless.
    """
    before = get(tx, actor, name)
    require(actor, Action.LOG, before.project)
    stated = completed(definition)
    _check_change(before.definition, stated)
    made = msgspec.structs.replace(before, definition=stated, changed=SystemClock().now(), changed_by=actor.name)
    if stated != before.definition:
        store.replace_set(tx, made)
        audit.record(tx, actor, "label_set.change", "label set", name, before=_told(before), after=_told(made))
    return made


def _check_change(before: Definition, after: Definition) -> None:
    for field in ("kind", "keys"):
        if getattr(before, field) != getattr(after, field):
            raise Invalid(f"{field}: it stays as it is", code="label.definition", hint="make another label set")
    gone = sorted(set(before.names) - set(after.names))
    if gone:
        raise Invalid(
            f"classes: {', '.join(gone)[:200]} would be gone", code="label.definition", hint="keep it; labels may have it"
        )


def get(tx: Transaction, actor: Principal, name: str) -> LabelSet:
    """Read a label set. Raises NotFound if there is none, or none that the actor may see."""
    found = store.find_set(tx, name)
    if found is None or not sees(actor, found.project):
        raise NotFound(
            f"there is no label set {name[:100]!r}", code="label.not_found", hint="`perenne label list` shows those that are"
        )
    return found


def some(tx: Transaction, names: Iterable[str]) -> dict[str, LabelSet]:
    """Read label sets by name, whoever asks; those that are not there are left out."""
    return {item.name: item for item in store.named_sets(tx, names)}


def matching(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[LabelSet]:
    """Find label sets by a piece of their name, those that begin with it first."""
    return store.sets_called(tx, text, limit, projects)


class Differing(msgspec.Struct, frozen=True):
    """A label set on some of whose items people differ, and on how many."""

    label_set: str
    project: str
    items: int


def differing(tx: Transaction, actor: Principal, *, limit: int) -> list[Differing]:
    """Return the label sets that the actor may see on whose items people differ, those with most first."""
    return [Differing(*row) for row in label_store.differing(tx, sorted(actor.projects), limit)]


def listed(tx: Transaction, actor: Principal, *, after: str = "", limit: int = ROWS) -> list[LabelSet]:
    """List the label sets that the actor may see, by name; `after` is the one after which to go on."""
    return store.all_sets(tx, sorted(actor.projects), after=after, limit=max(1, min(limit, ROWS)))


def _told(made: LabelSet) -> dict[str, object]:
    return {"project": made.project, "definition": msgspec.to_builtins(made.definition)}
