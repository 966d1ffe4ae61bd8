"""Sessions: they end by time, with their token, and when another takes their place; only digests are kept."""

from typing import Any

import pytest
import sqlalchemy as sa

from perenne.auth import audit, sessions, tokens
from perenne.auth.errors import SessionEnded, Unauthenticated
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.auth.sessions import IDLE, LIFETIME, MOST, Session
from perenne.auth.tokens import Token
from perenne.core.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from perenne.core.errors import Denied
from perenne.storage.workspace import Workspace

ROOT = Principal("root", roles=frozenset(Role))


def make_token(workspace: Workspace, *roles: Role, **more: Any) -> tuple[Token, str]:
    now, given = workspace.clock.now(), frozenset(roles or {Role.OWNER})
    return workspace.database.write(lambda tx: tokens.create_token(tx, ROOT, "laptop", given, now=now, person="ada", **more))


def log_in(workspace: Workspace, text: str, before: str = "") -> tuple[Session, str]:
    now = workspace.clock.now()
    return workspace.database.write(lambda tx: sessions.open_session(tx, text, now=now, address="::1", before=before))


def look(workspace: Workspace, identity: str) -> Session:
    return sessions.resume(workspace.database, identity, workspace.clock.now())


def test_a_session_stands_for_who_its_token_stands_for(workspace: Workspace) -> None:
    token, text = make_token(workspace, Role.OWNER, projects=frozenset({"churn"}))
    session, identity = log_in(workspace, text)
    assert session.principal == Principal("ada", roles=frozenset({Role.OWNER}), projects=frozenset({"churn"}))
    assert look(workspace, identity) == session and session.expires - session.created == LIFETIME
    with workspace.database.read() as tx:
        (row,) = tx.execute(sa.select(sessions.table)).all()
        trail = [record.action for record in audit.trail(tx, entity="token", entity_id=token.id)]
    assert identity.encode() not in row.id_hash and text.encode() not in row.secret_hash
    assert len(identity) == 43 and trail == ["session.open", "token.create"]


def test_it_ends_after_an_hour_without_a_request_and_after_twelve_with(workspace: Workspace, clock: ManualClock) -> None:
    _, text = make_token(workspace)
    begun, (_, idle), (_, busy) = clock.now(), log_in(workspace, text), log_in(workspace, text)
    while clock.now() < begun + LIFETIME - 30 * MINUTE:
        clock.advance_to(clock.now() + 30 * MINUTE)
        look(workspace, busy)
        workspace.database.write(lambda tx: None)  # that it was used is written by then
        if clock.now() == begun + IDLE:
            with pytest.raises(SessionEnded):
                look(workspace, idle)
    clock.advance_to(begun + LIFETIME - SECOND)
    look(workspace, busy)
    clock.advance_to(begun + LIFETIME)
    with pytest.raises(SessionEnded):
        look(workspace, busy)


def test_it_ends_no_later_than_its_token(workspace: Workspace, clock: ManualClock) -> None:
    token, text = make_token(workspace, lifetime=10 * MINUTE)
    session, identity = log_in(workspace, text)
    assert session.expires == token.expires
    clock.advance_to(token.expires)
    with pytest.raises(SessionEnded):
        look(workspace, identity)


@pytest.mark.parametrize("change", ["revoke", "rotate"])
def test_it_ends_with_its_token_and_with_its_tokens_secret(workspace: Workspace, change: str) -> None:
    token, text = make_token(workspace)
    _, identity = log_in(workspace, text)
    now = workspace.clock.now()
    if change == "revoke":
        workspace.database.write(lambda tx: tokens.revoke_token(tx, ROOT, token.id, now=now))
    else:
        workspace.database.write(lambda tx: tokens.rotate_token(tx, ROOT, token.id, now=now, overlap=DAY))
    with pytest.raises(SessionEnded):
        look(workspace, identity)
    with pytest.raises(Unauthenticated) as refused:
        log_in(workspace, text)
    assert refused.value.code == ("auth.token" if change == "revoke" else "session.rotated")


def test_a_log_in_ends_the_session_before_and_a_log_out_this_one(workspace: Workspace) -> None:
    _, text = make_token(workspace)
    session, first = log_in(workspace, text)
    _, second = log_in(workspace, text, before=first)
    with pytest.raises(Unauthenticated):
        look(workspace, first)
    assert workspace.database.write(lambda tx: sessions.log_out(tx, session.principal, second))
    with pytest.raises(Unauthenticated) as refused:
        look(workspace, second)
    assert not isinstance(refused.value, SessionEnded), "what was logged out is as if it had never been"
    assert not workspace.database.write(lambda tx: sessions.log_out(tx, session.principal, second))


def test_services_and_those_who_may_not_read_get_none(workspace: Workspace) -> None:
    now = workspace.clock.now()
    _, service = workspace.database.write(
        lambda tx: tokens.create_token(tx, ROOT, "nightly", frozenset({Role.OWNER}), now=now, service=True)
    )
    _, caller = make_token(workspace, Role.CALLER)
    for text, code in ((service, "session.service"), (caller, "auth.denied")):
        with pytest.raises(Denied) as refused:
            log_in(workspace, text)
        assert refused.value.code == code and refused.value.hint
    with workspace.database.read() as tx:
        assert tx.scalar(sa.select(sa.func.count()).select_from(sessions.table)) == 0


def test_sessions_are_few_and_old_ones_go(workspace: Workspace, clock: ManualClock) -> None:
    _, text = make_token(workspace)
    opened = []
    for _ in range(MOST + 3):
        clock.advance_to(clock.now() + SECOND)
        opened.append(log_in(workspace, text)[1])
    with pytest.raises(Unauthenticated):
        look(workspace, opened[2])
    look(workspace, opened[3])
    clock.advance_to(clock.now() + DAY + HOUR)
    log_in(workspace, text)
    with workspace.database.read() as tx:
        assert tx.scalar(sa.select(sa.func.count()).select_from(sessions.table)) == 1
