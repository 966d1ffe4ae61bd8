"""Log-in of a browser over real sockets: cookie, page token, origin, log-out, throttling; and tokens over REST."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.app import servers
from tests.app.servers import Answered, bearer

from perenne.auth.roles import Role
from perenne.auth.tokens import revoke_token
from perenne.core.clock import HOUR
from perenne.storage.workspace import Workspace


@pytest.fixture
def home(tmp_path: Path, empty_database: Path) -> Iterator[Workspace]:
    """An installation whose control plane asks for tokens on loopback too."""
    with servers.open_workspace(tmp_path, empty_database, auth="tokens") as workspace:
        servers.fill(workspace)
        yield workspace


@pytest.fixture
def port(home: Workspace) -> Iterator[int]:
    with servers.control_plane(home) as port:
        yield port


class Browser:
    """What a browser sends by itself, and what our page adds."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.origin = f"http://127.0.0.1:{port}"
        self.cookie = ""
        self.page = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answered:
        sent = {"cookie": self.cookie, "x_perenne_page": self.page, "origin": "" if method == "GET" else self.origin}
        data = b"" if body is None else json.dumps(body).encode()
        answer = servers.ask(method, path, self.port, data, **{**sent, **headers})
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer

    def log_in(self, text: str) -> Answered:
        answer = self.ask("POST", "/api/session", {"token": text})
        self.page = answer.json.get("page") or ""
        return answer


def test_a_token_becomes_a_session_and_the_session_ends(home: Workspace, port: int) -> None:
    _, text = servers.token(home, Role.OWNER, person="ada")
    browser = Browser(port)
    assert browser.ask("GET", "/api/session").json == {
        "asked": True, "name": None, "kind": None, "roles": [], "projects": [], "may": [], "session": False,
        "expires": None, "page": None,
    }  # fmt: skip
    answer = browser.log_in(text)
    assert answer.status == 201 and answer.json["name"] == "ada" and "deploy" in answer.json["may"]
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith(f"perenne-session-{port}=") and len(name.partition("=")[2]) == 43
    assert attributes == ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]
    assert browser.ask("GET", "/api/status").status == 200
    assert browser.ask("GET", "/api/session").json == answer.json
    kept = browser.cookie
    assert browser.ask("DELETE", "/api/session").headers["set-cookie"].partition("; ")[2].startswith("Path=/; Max-Age=0")
    assert browser.ask("GET", "/api/status").status == 401
    assert browser.ask("GET", "/api/status", cookie=kept).status == 401, "nor with the cookie that was kept"


def test_h4_a_cookie_alone_changes_nothing(home: Workspace, port: int) -> None:
    _, text = servers.token(home, Role.OWNER, Role.APPROVER, person="ops")
    browser = Browser(port)
    browser.log_in(text)
    change = ("POST", "/api/model/version/churn@1/decision", {"approve": True})
    for headers in (
        {"x_perenne_page": ""},
        {"x_perenne_page": "1"},
        {"x_perenne_page": browser.page[:-1]},
        {"origin": ""},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
    ):
        refused = browser.ask(*change, **headers)
        assert refused.status == 403 and refused.json["error_code"] in ("session.page", "request.origin"), headers
    assert browser.ask("DELETE", "/api/session", x_perenne_page="").status == 403, "nor logs somebody out"
    assert browser.ask(*change).status == 201


def test_h4_another_sites_page_logs_nobody_in(home: Workspace, port: int) -> None:
    _, text = servers.token(home, Role.OWNER)
    browser = Browser(port)
    assert browser.ask("POST", "/api/session", {"token": text}, origin="https://evil.example").status == 403
    assert browser.ask("POST", "/api/session", {"token": text}, content_type="text/plain").status == 415
    assert browser.cookie == ""


def test_revoking_the_token_ends_the_session_at_once(home: Workspace, port: int) -> None:
    token, text = servers.token(home, Role.OWNER)
    browser = Browser(port)
    browser.log_in(text)
    home.database.write(lambda tx: revoke_token(tx, servers.ROOT, token.id, now=home.clock.now()))
    answer = browser.ask("GET", "/api/status")
    assert (answer.status, answer.json["error_code"]) == (401, "session.ended") and answer.json["hint"]
    for _ in range(12):
        assert browser.ask("GET", "/api/status").status == 401, "an ended session is no guess"
    _, other = servers.token(home, Role.OWNER, name="other")
    assert browser.log_in(other).status == 201


def test_a5_guessing_sessions_and_log_ins_is_slowed(home: Workspace, port: int) -> None:
    _, text = servers.token(home, Role.OWNER)
    known, guesser = Browser(port), Browser(port)
    known.log_in(text)
    name = known.cookie.partition("=")[0]
    answers = [guesser.ask("GET", "/api/status", cookie=f"{name}={count:043}") for count in range(6)]
    answers += [guesser.log_in(f"{text[:-4]}{count:04x}") for count in range(6)]
    assert {answer.status for answer in answers[:10]} == {401} and answers[-1].status == 429
    assert guesser.log_in(servers.token(home, Role.OWNER, name="new")[1]).status == 429
    assert known.ask("GET", "/api/status").status == 200, "who was here before goes on"


def test_malformed_cookies_are_none(home: Workspace, port: int) -> None:
    _, text = servers.token(home, Role.OWNER)
    browser = Browser(port)
    browser.log_in(text)
    name, _, value = browser.cookie.partition("=")
    for cookie in (f"{name}=", f"{name}=" + "x" * 4_000, f"other={value}", name, f"{name}={value[:-1]}", "=", ";;;"):
        assert browser.ask("GET", "/api/status", cookie=cookie).status == 401, cookie
    assert browser.ask("GET", "/api/status", cookie=f"{name}={value}; {name}=planted").status == 400
    assert browser.ask("GET", "/api/status", cookie=f"theme=dark; {name}={value}").status == 200


def test_the_header_goes_before_the_cookie(home: Workspace, port: int) -> None:
    _, viewer = servers.token(home, Role.VIEWER, person="eve")
    _, owner = servers.token(home, Role.OWNER, person="ada")
    browser = Browser(port)
    browser.log_in(owner)
    assert browser.ask("GET", "/api/session", authorization=bearer(viewer)).json["name"] == "eve"
    assert browser.ask("GET", "/api/status", authorization=bearer("prn_none")).status == 401


def test_without_log_in_everybody_is_the_local_person(tmp_path: Path, empty_database: Path) -> None:
    with servers.open_workspace(tmp_path, empty_database) as workspace, servers.control_plane(workspace) as port:
        browser = Browser(port)
        answer = browser.ask("GET", "/api/session").json
        assert answer["asked"] is False and answer["name"] and "administer" in answer["may"]
        assert browser.ask("POST", "/api/session", {"token": "x"}).status == 409
        assert browser.ask("DELETE", "/api/session").status == 409


def test_tokens_over_rest_allow_no_more_than_their_maker(home: Workspace, port: int) -> None:
    _, admin = servers.token(home, Role.ADMIN, Role.OWNER, Role.VIEWER, name="admin")
    _, limited = servers.token(home, Role.VIEWER, name="limited", person="eve", projects=frozenset({"churn"}))

    def post(text: str, path: str, body: Any) -> Answered:
        return servers.ask("POST", path, port, json.dumps(body).encode(), authorization=bearer(text))

    made = post(admin, "/api/token", {"name": "ci", "roles": ["viewer"], "projects": ["churn"], "lifetime": "7d"})
    assert made.status == 201 and made.json["text"].startswith("prn_")
    assert servers.ask("GET", "/api/session", port, authorization=bearer(made.json["text"])).json["projects"] == ["churn"]
    assert post(limited, "/api/token", {"name": "x", "roles": ["owner"], "projects": ["churn"]}).status == 403
    assert post(limited, "/api/token", {"name": "x", "roles": ["viewer"]}).json["error_code"] == "token.projects"
    assert post(limited, "/api/token", {"name": "x", "roles": ["viewer"], "projects": ["churn"]}).status == 201
    assert post(admin, "/api/token", {"name": "x", "roles": ["king"]}).status == 400
    assert post(admin, "/api/token", {"name": "x", "roles": ["viewer"], "lifetime": "soon"}).status == 400
    identity = made.json["token"]["id"]
    assert post(limited, f"/api/token/{identity}/revoke", {}).status == 404, "another's is as if it were not there"
    rotated = post(admin, f"/api/token/{identity}/rotate", {"overlap": "0s"})
    assert rotated.status == 200 and rotated.json["text"] != made.json["text"]
    assert post(admin, f"/api/token/{identity}/revoke", {"reason": "test"}).json["revoked"]
    listed = servers.ask("GET", "/api/token", port, authorization=bearer(limited)).json
    assert {item["principal"] for item in listed} == {"eve"}
    assert b"secret" not in servers.ask("GET", "/api/token", port, authorization=bearer(admin)).body
    assert rotated.json["token"]["expires"] - rotated.json["token"]["rotated"] == 7 * 24 * HOUR
