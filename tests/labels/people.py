"""Who labels in the tests, and label sets as they come."""

from typing import Any

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.labels import sets
from perenne.labels.model import Definition, LabelClass, LabelSet, TaskKind
from perenne.storage.workspace import Workspace

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
