"""Who labels in the tests, and label sets as they come."""

from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from perenne import data
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.labels import choosing, label_store, labelling, queues, sets
from perenne.labels.model import Definition, LabelClass, LabelSet, TaskKind
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.data import Snapshot

ADA = Principal("ada", roles=frozenset({Role.OWNER, Role.CONTRIBUTOR}))
BEN = Principal("ben", roles=frozenset({Role.CONTRIBUTOR}))
CAT = Principal("cat", roles=frozenset({Role.CONTRIBUTOR}))
VAL = Principal("val", roles=frozenset({Role.VALIDATOR}))
VIEWER = Principal("vic", roles=frozenset({Role.VIEWER}))
ELSEWHERE = Principal("elle", roles=frozenset(Role), projects=frozenset({"other"}))

TWO = (LabelClass("no"), LabelClass("yes"))


def write(workspace: Workspace, work: Any, *arguments: Any, **named: Any) -> Any:
    """Call a use case with a transaction and the rest of what it takes."""
    return workspace.database.write(lambda tx: work(tx, *arguments, **named))


def made(workspace: Workspace, name: str = "late", who: Principal = ADA, **named: Any) -> LabelSet:
    """Make a label set of a binary task, if nothing else is said."""
    said: dict[str, Any] = {"kind": TaskKind.BINARY, "classes": TWO} | named
    found: LabelSet = write(workspace, sets.create, who, name, Definition(**said), project="flights")
    return found


def rows(number: int = 12, **more: Any) -> pa.Table:
    """Rows to label: an id, a text and a number."""
    plain = {"id": list(range(number)), "words": [f"row {n}" for n in range(number)], "size": [n / 2 for n in range(number)]}
    return pa.table(plain | more)


def taken(workspace: Workspace, table: pa.Table, project: str = "flights") -> "Snapshot":
    """Keep rows as a snapshot."""
    return data.take_snapshot(workspace.database, workspace.objects, ADA, table, dataset="flights", project=project)


def filled(workspace: Workspace, table: pa.Table | None = None, name: str = "late", **named: Any) -> LabelSet:
    """Make a label set over rows that are known by their id."""
    made(workspace, name, keys=("id",), **named)
    snapshot = taken(workspace, rows() if table is None else table)
    choosing.choose(workspace.database, workspace.objects, ADA, name, snapshot.id)
    with workspace.database.read() as tx:
        return sets.get(tx, ADA, name)


def ids(workspace: Workspace, name: str = "late") -> dict[int, str]:
    """Return the items of a label set by the number that is their key."""
    with workspace.database.read() as tx:
        return {msgspec.json.decode(item.key)[0]: item.item for item in label_store.items(tx, name, present=None)}


def say(workspace: Workspace, who: Principal, said: dict[str, Any], name: str = "late", **named: Any) -> list[labelling.Kept]:
    """Label some items."""
    found: list[labelling.Kept] = write(
        workspace, labelling.say, who, name, [labelling.Said(item, value) for item, value in said.items()], **named
    )
    return found


def take(workspace: Workspace, who: Principal, count: int = 1, name: str = "late", **named: Any) -> list[str]:
    """Take the next items."""
    _, items = write(workspace, queues.take, who, name, count=count, **named)
    return [item.item for item in items]
