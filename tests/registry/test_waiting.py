"""The mark of versions that wait for a person: right after every change, and set by the upgrade on what was there before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.registry import Evidence, GatePolicy, Verdict, approvals, service, store, summary
from perenne.storage.database import Database
from perenne.storage.migrations import VERSIONS, revisions, upgrade
from perenne.storage.workspace import Workspace


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database as it was before the mark."""
    local = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/old.db" if local else request.getfixturevalue("postgres").database()
    (script,) = VERSIONS.glob("*_scale.py")
    known = revisions()
    with Database(url) as database:
        database.backend.prepare()
        upgrade(database.backend, to=known[known.index(script.name[:4]) - 1])
        yield database
    if not local:
        request.getfixturevalue("postgres").drop(url)


def row(number: int, state: str, approve_by: str) -> dict[str, object]:
    policy = f'{{"required":[],"approve_by":"{approve_by}"}}'
    texts = {
        "model": "m",
        "project": "m",
        "run": "r",
        "tree": f"t{number}",
        "reference": "f",
        "snapshot": "s",
        "created_by": "ada",
    }
    return texts | {"id": f"m@{number}", "number": number, "state": f'"{state}"', "policy": policy, "created": number}


def test_the_upgrade_marks_what_may_wait(old: Database) -> None:
    rows = [row(1, "candidate", "ops"), row(2, "candidate", ""), row(3, "approved", "ops"), row(4, "candidate", "ops")]
    names = ", ".join(rows[0])
    insert = sa.text(f"INSERT INTO version ({names}) VALUES ({', '.join(f':{name}' for name in rows[0])})")
    old.write(lambda tx: tx.execute(insert, rows).rowcount)
    upgrade(old.backend)
    with old.read() as tx:
        assert [waits.version.id for waits in summary.waiting(tx)] == ["m@4", "m@1"]
        assert [version.id for version in service.versions(tx)] == ["m@4", "m@3", "m@2", "m@1"]


def test_each_change_of_the_gate_moves_the_mark(workspace: Workspace, actor: Principal) -> None:
    def marked() -> list[str]:
        with workspace.database.read() as tx:
            assert summary.waiting(tx, "other") == []
            found = [version.id for version in store.waiting_versions(tx, None)]
            assert [waits.version.id for waits in summary.waiting(tx, "m")] == found
            return found

    def add(identity: str, verdict: Verdict) -> None:
        facts = [Evidence(check="auc", verdict=verdict)]
        workspace.database.write(lambda tx: approvals.add_evidence(tx, actor, identity, facts, produced_by="test"))

    def decide(identity: str, *, approve: bool) -> None:
        workspace.database.write(lambda tx: approvals.decide(tx, actor, identity, approve=approve))

    for letter in "abc":
        workspace.database.write(
            lambda tx, letter=letter: service.register(  # type: ignore[misc]
                tx, actor, model="m", project="m", run="r", tree=letter * 64, reference=letter * 64, snapshot=letter * 64,
                policy=GatePolicy(("auc",), "ops"),
            )
        )  # fmt: skip
    assert marked() == [], "there is no evidence yet"
    for identity in ("m@1", "m@2", "m@3"):
        add(identity, Verdict.PASS)
    assert marked() == ["m@3", "m@2", "m@1"]
    add("m@3", Verdict.FAIL)
    decide("m@1", approve=True)
    assert marked() == ["m@2"]
    add("m@3", Verdict.PASS)
    decide("m@2", approve=False)
    assert marked() == ["m@3"]
    workspace.database.write(lambda tx: approvals.bar(tx, actor, "m@3", reason="test"))
    assert marked() == []
