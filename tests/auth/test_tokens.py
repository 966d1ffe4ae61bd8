"""Tokens: made once, shown once, checked in constant time, and dead when expired or revoked."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from perenne.auth import audit, tokens
from perenne.auth.errors import Unauthenticated
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Role
from perenne.auth.secret import PATTERN, check_sum
from perenne.auth.tokens import (
    PERSONAL_LIFETIME,
    SERVICE_LIFETIME,
    Token,
    authenticate,
    create_token,
    revoke_token,
    verify_token,
)
from perenne.core.clock import DAY, HOUR
from perenne.core.errors import Denied, Invalid, NotFound
from perenne.storage.database import Database

NOW = 1_000 * DAY
ADA = Principal("ada", roles=frozenset({Role.CONTRIBUTOR, Role.DEPLOYER}))
ADMIN = Principal("root", roles=frozenset({Role.ADMIN}))
ONE = frozenset({Role.CONTRIBUTOR})


def make(database: Database, actor: Principal = ADA, name: str = "laptop", **options: Any) -> tuple[Token, str]:
    return database.write(lambda tx: create_token(tx, actor, name, ONE, now=NOW, **options))


def check(database: Database, text: str, now: int = NOW) -> Principal:
    with database.read() as tx:
        return verify_token(tx, text, now)[1]


def test_a_token_stands_for_its_owner_with_fewer_roles(database: Database) -> None:
    token, text = make(database)
    assert PATTERN.fullmatch(text)
    assert check(database, text) == Principal("ada", PrincipalKind.USER, ONE)
    assert token.expires == NOW + PERSONAL_LIFETIME


def test_a_service_has_a_name_of_its_own_and_is_made_by_an_administrator(database: Database) -> None:
    token, text = make(database, ADMIN, "nightly", service=True)
    assert check(database, text) == Principal("service:nightly", PrincipalKind.SERVICE, ONE)
    assert token.expires == NOW + SERVICE_LIFETIME
    with pytest.raises(Denied):
        make(database, ADA, "nightly", service=True)


def test_nobody_gives_away_what_he_lacks(database: Database) -> None:
    with pytest.raises(Denied) as error:
        database.write(lambda tx: create_token(tx, ADA, "x", frozenset({Role.APPROVER}), now=NOW))
    assert error.value.code == "token.roles"


@pytest.mark.parametrize("name", ["", " x", "x\n", "x" * 101])
def test_a_bad_name_is_refused(database: Database, name: str) -> None:
    with pytest.raises(Invalid):
        make(database, ADA, name)


@pytest.mark.parametrize("lifetime", [-1, SERVICE_LIFETIME + 1])
def test_a_token_does_not_live_for_ever(database: Database, lifetime: int) -> None:
    with pytest.raises(Invalid):
        make(database, lifetime=lifetime)


def test_a_token_without_roles_is_refused(database: Database) -> None:
    with pytest.raises(Invalid):
        database.write(lambda tx: create_token(tx, ADA, "x", frozenset(), now=NOW))


def flip(text: str, place: int) -> str:
    return text[:place] + ("a" if text[place] != "a" else "b") + text[place + 1 :]


def test_every_changed_letter_makes_it_invalid(database: Database) -> None:
    _, text = make(database)
    for place in range(len(text)):
        with pytest.raises(Unauthenticated):
            check(database, flip(text, place))


MALFORMED: list[Callable[[str], str]] = [
    lambda text: "",
    lambda text: text.upper(),
    lambda text: text + "\n",
    lambda text: " " + text,
    lambda text: text[:-9],
    lambda text: f"Bearer {text}",
    lambda text: text.replace("_", "-"),
    lambda text: "\0" * len(text),
    lambda text: text * 10_000,
    lambda text: "prn_" + "é" * 26 + text[30:],
]


@pytest.mark.parametrize("spoil", MALFORMED)
def test_malformed_tokens_are_refused_alike(database: Database, spoil: Callable[[str], str]) -> None:
    _, text = make(database)
    with pytest.raises(Unauthenticated) as error:
        check(database, spoil(text))
    assert (error.value.status, error.value.code, error.value.message) == (401, "auth.token", "the token is not valid")


def test_the_right_id_with_another_tokens_secret_is_refused(database: Database) -> None:
    (_, one), (_, other) = make(database), make(database)
    body = one[:31] + other[31:74]
    forged = f"{body}_{check_sum(body)}"
    assert PATTERN.fullmatch(forged)
    with pytest.raises(Unauthenticated):
        check(database, forged)


def test_a_token_dies_when_it_expires_or_is_revoked(database: Database) -> None:
    token, text = make(database, lifetime=HOUR)
    assert check(database, text, NOW + HOUR - 1).name == "ada"
    with pytest.raises(Unauthenticated):
        check(database, text, NOW + HOUR)
    database.write(lambda tx: revoke_token(tx, ADA, token.id, now=NOW + 1, reason="lost"))
    with pytest.raises(Unauthenticated):
        check(database, text)
    again = database.write(lambda tx: revoke_token(tx, ADMIN, token.id, now=NOW + 2))
    assert again.revoked == NOW + 1


def test_only_its_owner_or_an_administrator_sees_and_ends_a_token(database: Database) -> None:
    token, _ = make(database)
    eve = Principal("eve", roles=frozenset({Role.OWNER}))
    with pytest.raises(NotFound):
        database.write(lambda tx: revoke_token(tx, eve, token.id, now=NOW))
    with database.read() as tx:
        assert tokens.tokens(tx, eve) == []
        assert tokens.tokens(tx, ADA) == tokens.tokens(tx, ADMIN) == [token]


def test_use_is_noted_about_once_an_hour(database: Database) -> None:
    token, text = make(database)

    def last_used() -> int | None:
        database.write(lambda tx: None)  # waits for what is queued before
        with database.read() as tx:
            return tokens.tokens(tx, ADA)[0].last_used

    assert token.last_used is None
    for now, noted in ((NOW, NOW), (NOW + HOUR, NOW), (NOW + HOUR + 1, NOW + HOUR + 1)):
        assert authenticate(database, text, now).name == "ada"
        assert last_used() == noted


def test_the_trail_names_the_token_and_nothing_holds_its_secret(database: Database) -> None:
    token, text = make(database)
    database.write(lambda tx: revoke_token(tx, ADA, token.id, now=NOW, reason="lost"))
    with database.read() as tx:
        trail = audit.trail(tx, entity="token", entity_id=token.id)
        row = tx.execute(sa.select(tokens.table)).one()
    assert [(record.action, record.reason) for record in trail] == [("token.revoke", "lost"), ("token.create", "")]
    secret = text[31:74]
    assert secret not in "".join(f"{record.before}{record.after}" for record in trail)
    assert secret not in str(row)
