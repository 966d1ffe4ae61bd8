"""Log-in by tokens at both servers over real sockets: governance specification §5.3, 5.4 and 10.4."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Mount, Route
from tests.app import servers
from tests.app.servers import Answered, bearer
from tests.serving.packages import ReleaseFolder, made_packages

from perenne.app.control import control_routes
from perenne.app.door import Undeclared, guarded
from perenne.auth import audit
from perenne.auth.publishing import publish
from perenne.auth.roles import PERMISSIONS, Action, Role
from perenne.auth.tokens import revoke_token, rotate_token
from perenne.core.clock import HOUR
from perenne.net.inbound import Room
from perenne.storage.workspace import Workspace

PUBLIC = {"/health", "/ready", "/version", "/api/session", "/ping", "/v2/health/live", "/v2/health/ready", "/docs"}


@pytest.fixture
def home(tmp_path: Path, empty_database: Path) -> Iterator[Workspace]:
    """An installation whose servers ask for tokens on loopback too, with the project `churn` in it."""
    with servers.open_workspace(tmp_path, empty_database, auth="tokens") as workspace:
        servers.fill(workspace)
        yield workspace


@pytest.fixture
def control(home: Workspace) -> Iterator[int]:
    with servers.control_plane(home) as port:
        yield port


@pytest.fixture
def model(home: Workspace, tmp_path: Path) -> Iterator[int]:
    release = ReleaseFolder(tmp_path / "release")
    release.write(release.add(made_packages()["first"], 1))
    publish(home.database, home.settings.keyring, home.clock.now())
    with servers.model_server(release, tmp_path, tokens=home.settings.keyring) as running:
        yield running.port


def shown(port: int, text: str, method: str = "GET", path: str = "/api/status", body: bytes = b"") -> Answered:
    return servers.ask(method, path, port, body, authorization=bearer(text))


def roles_for(action: Action) -> Role:
    return sorted(PERMISSIONS[action])[0]


def stranger_to(action: Action) -> Role | None:
    return next((role for role in Role if role not in PERMISSIONS[action]), None)


def test_a1_a6_every_route_refuses_who_is_unknown_or_may_not_and_answers_who_may(
    home: Workspace, control: int, model: int, tmp_path: Path
) -> None:
    """Both routers are walked: as nobody, as somebody without a role for it, and as one who has one."""
    texts = {role: servers.token(home, role)[1] for role in Role}
    folder = ReleaseFolder(tmp_path / "other")
    folder.write(folder.add(made_packages()["first"], 1))
    walked = [(control, route) for route in servers.routes_of_control_plane()]
    walked += [(model, route) for route in servers.routes_of_model_server(folder)]
    servers.until(lambda: shown(model, texts[Role.VIEWER], path="/metrics").status == 200)
    for port, route in walked:
        nobody = servers.ask(route.method, route.path, port)
        if route.action is None:
            assert route.path in PUBLIC or servers.is_page(route.path) or route.path.startswith("/static/"), route
            assert nobody.status == (404 if "/static/" in route.path else 400 if route.method == "POST" else 200), route
            continue
        assert nobody.status == 401 and nobody.headers["www-authenticate"].startswith("Bearer"), route
        stranger = stranger_to(route.action)
        if stranger is not None:
            assert shown(port, texts[stranger], route.method, route.path).status == 403, (route, stranger)
        assert shown(port, texts[roles_for(route.action)], route.method, route.path).status not in (401, 403), route


def test_a1_who_is_unknown_learns_no_path(control: int, model: int) -> None:
    for port in (control, model):
        for path in (
            "/nothing",
            "/api/model/version/nobody@1",
            "/v2/models/nobody",
            "/health/",
            "//health",
            "/HEALTH",
            "/health%20",
        ):
            assert servers.ask("GET", path, port).status == 401, path
        assert servers.ask("DELETE", "/api/status", port).status == 401


def test_a_route_that_declares_nothing_keeps_the_server_from_starting() -> None:
    async def open_door(_: Any) -> None: ...

    for route in (Route("/x", open_door), Mount("/y", routes=[Route("/x", open_door)])):
        with pytest.raises(Undeclared):
            guarded([route], 1, Room(1))
    assert len(control_routes()) > 5


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_a_token_is_shown_as_bearer_or_as_a_password(home: Workspace, control: int, model: int) -> None:
    _, text = servers.token(home, Role.OWNER)
    servers.until(lambda: shown(model, text, path="/v2/models").status == 200)
    for port, path in ((control, "/api/status"), (model, "/metrics")):
        for header in (bearer(text), f"bearer {text}", basic("ada", text), basic("", text)):
            assert servers.ask("GET", path, port, authorization=header).status == 200, header


MALFORMED = [
    "Bearer", "Bearer ", "Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Digest username=x", "prn_x", "Bearer null",
    "Negotiate YII=", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.", "Bearer " + "x" * 5_000, "Basic " + "A" * 5_000,
    "Basic /////w==", "Bearer prn_01ARZ3NDEKTSV4RRFFQ69G5FAV_" + "a" * 43 + "_00000000", "Basic YQBiOmM=",
]  # fmt: skip


def test_a3_malformed_credentials_are_refused_alike(home: Workspace, control: int, model: int) -> None:
    """Some are 429 by then: too many bad ones came from here."""
    for port in (control, model):
        answers = [servers.ask("GET", "/metrics", port, authorization=header) for header in MALFORMED]
        assert {answer.status for answer in answers} <= {401, 429}
        assert len({answer.body for answer in answers if answer.status == 401}) == 1
        two = servers.request("GET", "/metrics", port, authorization="Bearer a").replace(
            b"\r\n\r\n", b"\r\nauthorization: b\r\n\r\n"
        )
        assert servers.read(servers.send(port, two)).status == 400


def test_a_token_in_the_url_is_none(home: Workspace, control: int) -> None:
    _, text = servers.token(home, Role.OWNER)
    assert servers.ask("GET", f"/api/status?token={text}&access_token={text}", control).status == 401


def test_a5_guessing_is_slowed_while_those_who_are_known_go_on(home: Workspace, control: int, model: int) -> None:
    _, text = servers.token(home, Role.OWNER)
    _, fresh = servers.token(home, Role.OWNER, name="fresh")
    servers.until(lambda: shown(model, text, path="/v2/models").status == 200)
    for port, path in ((control, "/api/status"), (model, "/v2/models")):
        assert shown(port, text, path=path).status == 200
        guesses = [shown(port, f"{text[:-4]}{count:04x}", path=path) for count in range(30)]
        assert {401, 429} == {guess.status for guess in guesses[:11] + guesses[-1:]}
        slowed = [guess for guess in guesses if guess.status == 429]
        assert all(1 <= int(guess.headers["retry-after"]) <= 60 for guess in slowed)
        assert shown(port, fresh, path=path).status == 429, "a token not seen before waits like the guesses"
        assert shown(port, text, path=path).status == 200, "one that was good before does not"
        assert servers.ask("GET", "/health", port).status == 200


def test_d2_both_servers_keep_the_pace_of_a_token(tmp_path: Path, empty_database: Path) -> None:
    release = ReleaseFolder(tmp_path / "release")
    release.write(release.add(made_packages()["first"], 1))
    with servers.open_workspace(tmp_path, empty_database, auth="tokens", rate="0.01") as home:
        _, text = servers.token(home, Role.OWNER)
        with servers.control_plane(home) as control:
            answers = [shown(control, text) for _ in range(3)]
        more = {"tokens": home.settings.keyring, "token_rate": home.settings.token_rate}
        with servers.model_server(release, tmp_path, **more) as running:
            answers += [shown(running.port, text, path="/v2/models") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 429, 429, 200, 429, 429]
    assert {answer.headers["retry-after"] for answer in answers if answer.status == 429} <= {"99", "100"}


def test_refused_and_first_uses_are_in_the_trail_and_few(home: Workspace, control: int) -> None:
    token, text = servers.token(home, Role.OWNER)
    for _ in range(3):
        assert shown(control, text).status == 200
    for _ in range(15):
        shown(control, "prn_nonsense")
    home.database.write(lambda tx: None)
    with home.database.read() as tx:
        uses, refusals = audit.trail(tx, entity="token", entity_id=token.id), audit.trail(tx, entity="address")
    assert [record.action for record in uses] == ["token.use", "token.create"]
    assert [(record.action, record.entity_id) for record in refusals] == [("token.refuse", "127.0.0.1")]


def test_a_revoked_token_is_refused_at_once_by_every_server(home: Workspace, control: int, model: int) -> None:
    token, text = servers.token(home, Role.OWNER)
    servers.until(lambda: shown(model, text, path="/v2/models").status == 200)
    assert shown(control, text).status == 200
    with servers.control_plane(home) as second:
        assert shown(second, text).status == 200
        home.database.write(lambda tx: revoke_token(tx, servers.ROOT, token.id, now=home.clock.now()))
        assert shown(control, text).status == shown(second, text).status == 401
    publish(home.database, home.settings.keyring, home.clock.now())
    servers.until(lambda: shown(model, text, path="/v2/models").status == 401)


def test_a_rotated_token_has_two_secrets_for_a_while(home: Workspace, control: int, model: int) -> None:
    token, first = servers.token(home, Role.OWNER)

    def rotate(overlap: int) -> str:
        now = home.clock.now()
        text = home.database.write(lambda tx: rotate_token(tx, servers.ROOT, token.id, now=now, overlap=overlap))[1]
        publish(home.database, home.settings.keyring, now)
        return text

    second = rotate(HOUR)
    servers.until(lambda: shown(model, second, path="/v2/models").status == 200)
    for port, path in ((control, "/api/status"), (model, "/v2/models")):
        assert [shown(port, text, path=path).status for text in (first, second)] == [200, 200]
    third = rotate(0)
    servers.until(lambda: shown(model, third, path="/v2/models").status == 200)
    for port, path in ((control, "/api/status"), (model, "/v2/models")):
        assert [shown(port, text, path=path).status for text in (first, second, third)] == [401, 401, 200]


def test_without_a_list_nobody_comes_in(home: Workspace, tmp_path: Path) -> None:
    release = ReleaseFolder(tmp_path / "release")
    release.write(release.add(made_packages()["first"], 1))
    with servers.model_server(release, tmp_path, tokens=tmp_path / "missing") as running:
        _, text = servers.token(home, Role.OWNER)
        assert shown(running.port, text, path="/v2/models").status == 401
        assert servers.ask("GET", "/v2/health/ready", running.port).status == 200


def test_the_list_of_tokens_holds_no_secret_and_only_its_owner_reads_it(home: Workspace) -> None:
    _, text = servers.token(home, Role.OWNER)
    path = home.settings.keyring
    assert text[31:74].encode() not in path.read_bytes() and b"prn_" not in path.read_bytes()
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_token_for_one_project_sees_nothing_of_the_others(home: Workspace, control: int, tmp_path: Path) -> None:
    _, inside = servers.token(home, Role.OWNER, Role.APPROVER, projects=frozenset({"churn"}), person="ops")
    _, outside = servers.token(home, Role.OWNER, Role.APPROVER, projects=frozenset({"other"}), person="eve")
    for path in ("/api/model/churn", "/api/model/version/churn@1"):
        assert shown(control, inside, path=path).status == 200
        hidden, missing = shown(control, outside, path=path), shown(control, outside, path=path.replace("churn", "nobody"))
        assert hidden.status == missing.status == 404 and hidden.body == missing.body
    assert shown(control, outside).json == {"needs": [], "stages": [], "more_needs": 0, "rest": []}
    labels = shown(control, inside, "POST", "/api/monitor/labels", b"[]")
    assert (labels.status, labels.json["error_code"]) == (403, "auth.scope"), "labels concern the installation"
    decision = ("POST", "/api/model/version/churn@1/decision", b'{"approve": true}')
    assert shown(control, outside, *decision).status == 404
    assert shown(control, inside, *decision).status == 201


def test_the_model_server_refuses_a_token_of_another_project(home: Workspace, model: int) -> None:
    _, inside = servers.token(home, Role.CALLER, projects=frozenset({"flights"}))
    _, outside = servers.token(home, Role.CALLER, projects=frozenset({"churn"}))
    servers.until(lambda: shown(model, inside, path="/v2/models").status == 200)
    refused = shown(model, outside, path="/v2/models")
    assert (refused.status, refused.json["error_code"]) == (403, "auth.scope")


@pytest.mark.parametrize(
    ("person", "roles", "status"),
    [
        ("ops", {Role.APPROVER}, 201),
        ("eve", {Role.APPROVER}, 403),
        ("ops", {Role.OWNER, Role.ADMIN}, 403),
        ("", {Role.APPROVER}, 403),
    ],
)
def test_who_must_approve_is_compared_with_who_does(
    home: Workspace, control: int, person: str, roles: set[Role], status: int
) -> None:
    """The version asks `ops`; a service never approves, whatever it is called."""
    more: dict[str, Any] = {"person": person} if person else {"service": True, "name": "ops"}
    _, text = servers.token(home, *roles, **more)
    answer = shown(control, text, "POST", "/api/model/version/churn@1/decision", b'{"approve": true}')
    assert answer.status == status, answer.body
    if status == 201:
        assert (answer.json["approver"], answer.json["solo"]) == ("ops", False)
