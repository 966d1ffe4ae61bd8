"""The list of tokens as a server without a database keeps it."""

import time
from pathlib import Path

import pytest

from perenne.auth.errors import Unauthenticated
from perenne.auth.keyring import Keyring, count_valid
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.publishing import publish
from perenne.auth.roles import Role
from perenne.auth.tokens import create_token, revoke_token, rotate_token
from perenne.core.clock import HOUR
from perenne.storage.database import Database

ROOT = Principal("root", roles=frozenset(Role))


def now() -> int:
    return time.time_ns() // 1_000


def make(database: Database, *, projects: frozenset[str] = frozenset(), lifetime: int = HOUR) -> tuple[str, str]:
    token, text = database.write(
        lambda tx: create_token(tx, ROOT, "x", frozenset({Role.CALLER}), now=now(), projects=projects, lifetime=lifetime)
    )
    return token.id, text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "releases" / ".tokens.json"


def read(path: Path) -> Keyring:
    keyring = Keyring(path)
    keyring.refresh()
    return keyring


def test_it_knows_whom_a_token_stands_for(database: Database, path: Path) -> None:
    _, text = make(database, projects=frozenset({"churn"}))
    assert publish(database, path, now()) == count_valid(path) == 1
    assert read(path).verify(text) == Principal(
        "root", PrincipalKind.USER, frozenset({Role.CALLER}), projects=frozenset({"churn"})
    )
    for other in ("", text[:-1], text.upper(), make(database)[1]):
        with pytest.raises(Unauthenticated):
            read(path).verify(other)


def test_it_follows_the_file_and_a_revoked_token_is_gone(database: Database, path: Path) -> None:
    identity, text = make(database)
    publish(database, path, now())
    keyring = read(path)
    database.write(lambda tx: revoke_token(tx, ROOT, identity, now=now()))
    publish(database, path, now())
    assert keyring.verify(text), "as long as it has not looked"
    keyring.refresh()
    with pytest.raises(Unauthenticated):
        keyring.verify(text)


@pytest.mark.parametrize("damage", [b"", b"{", b'[{"id": 1}]', b"\xff", b"[" * 5_000, None])
def test_what_cannot_be_read_leaves_the_last_list_in_force(database: Database, path: Path, damage: bytes | None) -> None:
    _, text = make(database)
    publish(database, path, now())
    keyring = read(path)
    path.unlink() if damage is None else path.write_bytes(damage)
    keyring.refresh()
    assert keyring.verify(text)
    _, later = make(database)
    publish(database, path, now())
    keyring.refresh()
    assert keyring.verify(later)


def test_both_secrets_count_during_the_overlap_and_none_after_the_end(database: Database, path: Path) -> None:
    identity, first = make(database)
    second = database.write(lambda tx: rotate_token(tx, ROOT, identity, now=now(), overlap=HOUR))[1]
    publish(database, path, now())
    assert read(path).verify(first) == read(path).verify(second)
    third = database.write(lambda tx: rotate_token(tx, ROOT, identity, now=now() - 1, overlap=0))[1]
    publish(database, path, now())
    assert read(path).verify(third)
    for gone in (first, second):
        with pytest.raises(Unauthenticated):
            read(path).verify(gone)
    publish(database, path, now() + 2 * HOUR)
    assert path.read_bytes() == b"[]" and count_valid(path) == 0


def test_without_a_file_no_token_counts(database: Database, path: Path) -> None:
    _, text = make(database)
    assert count_valid(path) == count_valid(None) == 0
    with pytest.raises(Unauthenticated):
        read(path).verify(text)
