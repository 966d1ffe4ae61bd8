"""`perenne token create|list|rotate|revoke`."""

from typing import Any

import pytest
from click.testing import CliRunner

from perenne.auth.commands import token
from perenne.auth.errors import Unauthenticated
from perenne.auth.keyring import count_valid
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Role
from perenne.auth.tokens import create_token, rotate_token, verify_token
from perenne.core.clock import DAY, HOUR
from perenne.core.errors import Conflict, Denied, Invalid
from perenne.core.results import Result
from perenne.storage.workspace import Workspace

ADA = Principal("ada", roles=frozenset({Role.CONTRIBUTOR}))


def call(workspace: Workspace, *arguments: str) -> Any:
    return CliRunner().invoke(token, list(arguments), obj=workspace, standalone_mode=False, catch_exceptions=False).return_value


def create(workspace: Workspace, *arguments: str) -> tuple[str, str]:
    made = call(workspace, "create", *arguments)
    assert isinstance(made, Result) and "only time" in made.note
    return made.value["id"], made.value["token"]


def holder(workspace: Workspace, text: str) -> Principal:
    with workspace.database.read() as tx:
        return verify_token(tx, text, workspace.clock.now())[1]


def test_a_token_is_made_listed_rotated_and_revoked(workspace: Workspace) -> None:
    identity, text = create(workspace, "laptop", "--role", "viewer", "--role", "caller", "--project", "churn", "--person", "ada")
    assert holder(workspace, text) == Principal("ada", roles=frozenset({Role.VIEWER, Role.CALLER}), projects=frozenset({"churn"}))
    (row,) = call(workspace, "list")
    assert (row["id"], row["stands_for"], row["roles"], row["projects"], row["state"]) == (
        identity,
        "ada",
        "caller viewer",
        "churn",
        "valid",
    )
    assert text not in str(row)
    new = call(workspace, "rotate", identity).value["token"]
    assert holder(workspace, new) == holder(workspace, text)
    assert call(workspace, "revoke", identity, "--reason", "lost")["state"] == "revoked"
    for ended in (text, new):
        with pytest.raises(Unauthenticated):
            holder(workspace, ended)


def test_every_change_reaches_the_file_of_the_model_servers(workspace: Workspace) -> None:
    path = workspace.settings.keyring
    identity, _ = create(workspace, "nightly", "--role", "caller", "--service", "--for", "1d")
    first = path.read_bytes()
    call(workspace, "rotate", identity, "--overlap", "1h")
    second = path.read_bytes()
    call(workspace, "revoke", identity)
    assert len({first, second, path.read_bytes()}) == 3 and count_valid(path) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("x", "--role", "viewer", "--for", "400d"),
        ("x", "--role", "viewer", "--for", "soon"),
        ("x", "--role", "viewer", "--person", "service:x"),
        ("x", "--role", "viewer", "--person", "a b"),
        ("x", "--role", "viewer", "--person", "ada", "--service"),
        (" x", "--role", "viewer"),
    ],
)
def test_bad_input_makes_nothing(workspace: Workspace, arguments: tuple[str, ...]) -> None:
    with pytest.raises(Invalid):
        call(workspace, "create", *arguments)
    assert call(workspace, "list") == []


def test_a_token_gives_nothing_away_that_its_holder_lacks(workspace: Workspace) -> None:
    now = workspace.clock.now()
    identity, _ = create(workspace, "strong", "--role", "owner", "--person", "ada")
    limited = Principal("ada", roles=frozenset(Role) - {Role.ADMIN}, projects=frozenset({"churn"}))

    def attempt(work: Any) -> None:
        with pytest.raises(Denied):
            workspace.database.write(work)

    attempt(lambda tx: rotate_token(tx, ADA, identity, now=now))
    attempt(lambda tx: rotate_token(tx, limited, identity, now=now))
    attempt(lambda tx: create_token(tx, limited, "x", frozenset({Role.VIEWER}), now=now))
    attempt(lambda tx: create_token(tx, limited, "x", frozenset({Role.VIEWER}), now=now, projects=frozenset({"churn", "other"})))
    attempt(lambda tx: create_token(tx, ADA, "x", frozenset({Role.CONTRIBUTOR}), now=now, person="eve"))


def test_rotating_renews_the_life_and_not_of_what_has_ended(workspace: Workspace) -> None:
    root, now = Principal("root", PrincipalKind.USER, frozenset(Role)), workspace.clock.now()
    identity, _ = create(workspace, "x", "--role", "viewer", "--for", "2d")

    def rotate(at: int, overlap: int = HOUR) -> int:
        return workspace.database.write(lambda tx: rotate_token(tx, root, identity, now=at, overlap=overlap))[0].expires

    assert rotate(now + DAY) == now + 3 * DAY
    assert rotate(now + 2 * DAY) == now + 4 * DAY
    for overlap in (-1, 31 * DAY):
        with pytest.raises(Invalid):
            rotate(now, overlap)
    with pytest.raises(Conflict):
        rotate(now + 5 * DAY)
    call(workspace, "revoke", identity)
    with pytest.raises(Conflict):
        rotate(now)
