"""The page of the audit trail: windows of it, what filters it, one record whole, and a chain that is not read twice."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from perenne.auth import audit, checking
from perenne.auth.checking import ChainCheck
from perenne.auth.principals import Principal
from perenne.auth.views import audit_view, record_view
from perenne.core.errors import NotFound
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

ACTIONS = ("version.approve", "version.reject", "project.state", "run.start")
Shown = Callable[..., list[int]]


@pytest.fixture
def trail(workspace: Workspace) -> None:
    def fill(tx: Transaction) -> None:
        for number in range(20):
            who = Principal("ada" if number % 2 else "ken_1")
            action = ACTIONS[number % 4]
            audit.record(tx, who, action, action.partition(".")[0], f"t{number}", reason="100 %" if number == 7 else "")

    workspace.database.write(fill)


@pytest.fixture
def shown(workspace: Workspace, trail: None) -> Shown:
    check = ChainCheck()

    def show(actor: str = "", entity: str = "", text: str = "", offset: int = 0, limit: int = 200) -> list[int]:
        with workspace.database.read() as tx:
            view = audit_view(tx, check, actor=actor, entity=entity, text=text, offset=offset, limit=limit)
        assert len(view.rows) <= view.total
        return [row.seq for row in view.rows]

    return show


def test_windows_go_through_the_trail_from_its_end(shown: Shown) -> None:
    assert shown(limit=3) == [20, 19, 18]
    assert shown(offset=18) == [2, 1]
    assert shown(offset=99) == []
    assert [seq for offset in range(0, 20, 6) for seq in shown(offset=offset, limit=6)] == list(range(20, 0, -1))
    assert [seq for offset in (0, 4, 8) for seq in shown(actor="ada", offset=offset, limit=4)] == list(range(20, 0, -2))


def test_filters_take_part_of_a_name_and_no_wildcards(shown: Shown) -> None:
    assert shown(actor="AD") == list(range(20, 0, -2))
    assert shown(actor="_") == list(range(19, 0, -2))
    assert shown(entity="run") == [20, 16, 12, 8, 4]
    assert shown(text="approve", actor="ken") == [17, 13, 9, 5, 1]
    assert shown(text="%") == [8]
    assert shown(text="t13") == [14]


def test_a_record_is_shown_whole(workspace: Workspace, trail: None) -> None:
    with workspace.database.read() as tx:
        view = record_view(tx, ChainCheck(), 8)
        assert (view.record.reason, view.told.did, view.good) == ("100 %", "started", True)
        with pytest.raises(NotFound):
            record_view(tx, ChainCheck(), 21)


def test_the_chain_is_checked_in_steps_and_nothing_twice(
    workspace: Workspace, trail: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "STEP", 8)
    check, read = ChainCheck(), list[int]()
    stream = audit._stream

    def noted(tx: Transaction, after: int, limit: int | None) -> object:
        read.append(after)
        return stream(tx, after, limit)

    monkeypatch.setattr(audit, "_stream", noted)

    def far() -> int:
        with workspace.database.read() as tx:
            state = check.advance(tx)
        assert (state.bad, state.head) == (None, audit_head)
        return state.good

    audit_head = 20
    assert [far() for _ in range(5)] == [8, 16, 20, 20, 20]
    workspace.database.write(lambda tx: audit.record(tx, Principal("ada"), "run.start", "run", "r"))
    audit_head = 21
    assert far() == 21
    assert read == [0, 8, 16, 20]


def test_a_bad_record_is_named_and_so_is_one_that_was_good_before(
    workspace: Workspace, trail: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "STEP", 10)
    ahead, behind = ChainCheck(), ChainCheck()
    with workspace.database.read() as tx:
        assert [behind.advance(tx).good for _ in range(2)] == [10, 20]
    forge(workspace, 15, "eve")
    forge(workspace, 20, "eve")
    with workspace.database.read() as tx:
        assert (first := ahead.advance(tx)).bad is None and first.good == 10
        state = ahead.advance(tx)
        assert (state.bad, state.problem, state.good) == (15, "edited", 14)
        assert ahead.advance(tx) == state
        assert behind.advance(tx).bad is None, "what is good by its hash is not read again"


def forge(workspace: Workspace, seq: int, actor: str) -> None:
    """Change a record behind the program's back."""

    def change(tx: Transaction) -> Any:
        if tx.connection.dialect.name == "sqlite":
            tx.execute(sa.text("DROP TRIGGER IF EXISTS audit_no_update"))
        else:
            tx.execute(sa.text("ALTER TABLE audit DISABLE TRIGGER USER"))
        return tx.execute(sa.text("UPDATE audit SET actor = :actor WHERE seq = :seq"), {"actor": actor, "seq": seq}).rowcount

    assert workspace.database.write(change) == 1
