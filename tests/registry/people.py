"""Who acts in the tests of the registry, and versions as they come."""

from typing import Any

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.registry import Evidence, GatePolicy, ReviewPolicy, Verdict, Version, models, registrations, service
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

ADMIN = Principal("root", roles=frozenset(Role))
ADA = Principal("ada", roles=frozenset({Role.CONTRIBUTOR, Role.OWNER}))
VAL = Principal("val", roles=frozenset({Role.VALIDATOR}))
VERA = Principal("vera", roles=frozenset({Role.VALIDATOR, Role.CONTRIBUTOR}))
APPROVER = Principal("abe", roles=frozenset({Role.APPROVER}))
DEPLOYER = Principal("dan", roles=frozenset({Role.DEPLOYER}))
VIEWER = Principal("vic", roles=frozenset({Role.VIEWER}))
ELSEWHERE = Principal("elle", roles=frozenset(Role), projects=frozenset({"other"}))

OUTSIDE = "s3://bucket/model"


def write(workspace: Workspace, work: Any, *arguments: Any, **named: Any) -> Any:
    """Call a use case with a transaction and the rest of what it takes."""
    return workspace.database.write(lambda tx: work(tx, *arguments, **named))


def logged(workspace: Workspace, name: str = "fraud", who: Principal = ADA, source: str = OUTSIDE, **named: Any) -> Version:
    """Register a version as a client does, and its model if there is none."""

    def register(tx: Transaction) -> Version:
        if not models.some(tx, [name]):
            models.create(tx, who, name)
        return registrations.create(tx, who, name, source, **named)

    return workspace.database.write(register)


def packaged(workspace: Workspace, name: str = "late", tree: str = "a", verdict: Verdict = Verdict.PASS) -> Version:
    """Register a version as a round does."""
    return workspace.database.write(
        lambda tx: service.register(
            tx, ADA, model=name, project=name, run="run", tree=tree * 64, reference="b" * 64, snapshot="c" * 64,
            policy=GatePolicy(("objective: auc ≥ 0.6",)), evidence=[Evidence(check="objective: auc ≥ 0.6", verdict=verdict)],
        )
    )  # fmt: skip


def policy(**named: Any) -> ReviewPolicy:
    """A policy on champion that asks one validator, if nothing else is said."""
    said: dict[str, Any] = {
        "name": "prod",
        "aliases": ("champion",),
        "approvals": 1,
        "approvers": ("validator",),
        "outside": True,
    }
    return ReviewPolicy(**(said | named))
