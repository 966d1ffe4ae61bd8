"""Hostile requests to every route of both servers, over real sockets: governance specification §10.2, 10.3, 10.7 and 10.8.

The routers are walked: a new route is asked the same things on the day it is written. Whatever comes, the answer is one answer,
in JSON, a 4xx or harmless, with no trace of the inside, and the process goes on.
"""

import base64
import gzip
import json
import pickle
import re
import socket
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from tests.app import servers
from tests.app.servers import Answered, RouteAsked
from tests.serving.packages import ReleaseFolder, as_tensors, flights, made_packages

from perenne.core.ids import is_id
from perenne.net.inbound import PAGE_POLICY as POLICY
from perenne.net.inbound import SECURITY_HEADERS

LIMIT = 32 * 1024 * 1024
INSIDE = re.compile(rb"Traceback|site-packages|/tmp/|/home/|/usr/|\.py\b|SELECT |sqlite|psycopg|sqlalchemy|Error\(|0x[0-9a-f]{8}")


class Target(NamedTuple):
    """A running server, and its routes."""

    kind: str
    port: int
    routes: list[RouteAsked]
    alive: Callable[[], bool]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> ReleaseFolder:
    release = ReleaseFolder(tmp_path_factory.mktemp("release") / "delays")
    release.write(release.add(made_packages()["first"], 1))
    return release


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Target]:
    with servers.open_workspace(tmp_path_factory.mktemp("control"), empty_database) as workspace:
        servers.fill(workspace)
        with servers.control_plane(workspace) as port:
            routes = servers.routes_of_control_plane()
            yield Target("control", port, routes, lambda: servers.ask("GET", "/health", port).status == 200)


@pytest.fixture(scope="module")
def model(release: ReleaseFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with servers.model_server(release, tmp_path_factory.mktemp("model")) as running:
        pids = running.pids()
        routes = servers.routes_of_model_server(release)
        yield Target("model", running.port, routes, lambda: running.pids() == pids)


@pytest.fixture(params=["control", "model"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    found: Target = request.getfixturevalue(request.param)
    yield found
    assert found.alive(), "a hostile request ended the process"


def check(answer: bytes, expected: set[int] | None, what: str) -> Answered:
    """One answer, in our form, that says nothing of the inside."""
    got = servers.read(answer)
    assert not got.rest, f"{what}: two answers: {answer[-300:]!r}"
    good = got.status in expected if expected else 200 <= got.status < 300 or 400 <= got.status < 500
    assert good, f"{what}: {got.status} {got.body[:300]!r}"
    assert not INSIDE.search(got.body), f"{what}: {got.body[:300]!r}"
    if got.status >= 400 and not (got.status == 415 and got.headers["content-type"].startswith("text/plain")):  # MLflow's own
        assert got.headers["content-type"] == "application/json", f"{what}: {got.headers}"
        said = json.loads(got.body)
        assert said["error_code"] and said["message"] and len(got.body) < 2_000, what
    page = got.headers["content-type"].startswith("text/html")
    for name, value in SECURITY_HEADERS:
        stated = POLICY if page and name == b"content-security-policy" else value.decode()
        assert got.headers.get(name.decode()) == stated, f"{what}: {got.headers}"
    assert "access-control-allow-origin" not in got.headers
    return got


Attack = Callable[[RouteAsked, int], bytes]
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
WITH_BODY = CHANGING - {"DELETE"}


def with_headers(**headers: str) -> Attack:
    return lambda route, port: servers.request(
        route.method, route.path, port, **{name: value.replace("PORT", str(port)) for name, value in headers.items()}
    )


HEADS: list[tuple[str, set[int] | None, Attack]] = [
    ("h1_foreign_host", {403}, with_headers(host="evil.example")),
    ("h1_host_suffix", {403}, with_headers(host="localhost.evil:PORT")),
    ("h1_host_prefix", {403}, with_headers(host="evil-127.0.0.1:PORT")),
    ("h1_host_user", {403}, with_headers(host="localhost:PORT@evil.example")),
    ("h1_host_fragment", {403}, with_headers(host="localhost:PORT#.evil.example")),
    ("h1_private_host", {403}, with_headers(host="10.0.0.1:PORT")),
    ("h1_other_port", {403}, with_headers(host="localhost:1")),
    ("h1_no_host", {400}, with_headers(host="")),
    (
        "h1_two_hosts",
        {400},
        lambda route, port: servers.request(route.method, route.path, port).replace(b"\r\n\r\n", b"\r\nhost: evil\r\n\r\n", 1),
    ),
    (
        "h1_absolute_target",
        {400},
        lambda route, port: servers.request(route.method, f"http://evil.example{route.path}", port),
    ),
    ("h2_forwarded_host", None, with_headers(x_forwarded_host="evil.example", forwarded="host=evil.example;for=1.2.3.4")),
    ("h2_original_url", None, with_headers(x_original_url="/health", x_rewrite_url="/health", x_http_method_override="DELETE")),
    ("h3_preflight", {405}, lambda route, port: servers.request("OPTIONS", route.path, port, origin="https://evil.example")),
    ("h6_length_and_coding", {400}, with_headers(content_length="4", transfer_encoding="chunked")),
    ("h6_unknown_coding", {400}, with_headers(transfer_encoding="gzip")),
    ("h6_coding_twice", {400}, with_headers(transfer_encoding="chunked, chunked")),
    ("h6_negative_length", {400}, with_headers(content_length="-1")),
    ("h6_signed_length", {400}, with_headers(content_length="+4")),
    ("h6_nul_in_a_header", {400}, with_headers(x_thing="a\0b")),
    (
        "h6_differing_lengths",
        {400},
        lambda route, port: servers.request(route.method, route.path, port, content_length="0").replace(
            b"\r\n\r\n", b"\r\ncontent-length: 4\r\n\r\nabcd", 1
        ),
    ),
    (
        "h6_folded_header",
        {400},
        lambda route, port: servers.request(route.method, route.path, port).replace(b"\r\n\r\n", b"\r\nx: a\r\n b\r\n\r\n", 1),
    ),
    ("d1_long_url", {414}, lambda route, port: servers.request(route.method, f"{route.path}?{'x' * 17_000}", port)),
    (
        "d1_many_headers",
        {431},
        lambda route, port: servers.request(route.method, route.path, port, **{f"x_{count}": "y" for count in range(120)}),
    ),
    ("d1_large_headers", {431}, with_headers(x_long="y" * 70_000)),
    ("b1_announced_too_large", {413}, with_headers(content_length=str(1 << 40))),
]


@pytest.mark.parametrize(("name", "expected", "attack"), HEADS, ids=[name for name, _, _ in HEADS])
def test_heads(target: Target, name: str, expected: set[int] | None, attack: Attack) -> None:
    for route in target.routes:
        if route.method == "HEAD" and expected and not name.startswith("h6"):
            continue  # uvicorn leaves the body of the answer to HEAD out
        got = servers.read(servers.send(target.port, attack(route, target.port)))
        assert b"evil" not in b"".join(value.encode() for value in got.headers.values()), f"{name} is reflected: {got.headers}"
        if route.method != "HEAD":
            check(servers.send(target.port, attack(route, target.port)), expected, f"{name} {route.method} {route.path}")


BROWSERS = {
    "h4_foreign_origin": {"origin": "https://evil.example"},
    "h4_null_origin": {"origin": "null"},
    "h4_own_name_of_another_scheme": {"origin": "https://127.0.0.1:PORT"},
    "h4_own_name_of_another_port": {"origin": "http://127.0.0.1:1"},
    "h4_another_name_of_this_machine": {"origin": "http://localhost:PORT"},
    "h4_cross_site": {"sec_fetch_site": "cross-site"},
    "h4_same_site": {"sec_fetch_site": "same-site"},
    "h4_cross_site_with_own_origin": {"sec_fetch_site": "cross-site", "origin": "http://127.0.0.1:PORT"},
    "h4_foreign_form": {"referer": "https://evil.example/page", "content_type": "application/x-www-form-urlencoded"},
    "h4_foreign_text": {"referer": "http://127.0.0.1:PORT.evil.example/", "content_type": "text/plain"},
    "h4_foreign_without_type": {"referer": "https://evil.example/", "content_type": ""},
}


@pytest.mark.parametrize("name", BROWSERS)
def test_h4_pages_of_other_sites_change_nothing(target: Target, name: str) -> None:
    attack = with_headers(**BROWSERS[name])
    for route in target.routes:
        if route.method in CHANGING:
            got = check(servers.send(target.port, attack(route, target.port)), {403}, f"{name} {route.path}")
            assert got.json["error_code"] == "request.origin"


def test_h4_our_own_page_and_programs_may(target: Target) -> None:
    for headers in ({}, {"origin": "http://127.0.0.1:PORT", "sec_fetch_site": "same-origin"}, {"sec_fetch_site": "none"}):
        for route in target.routes:
            if route.method in CHANGING:
                got = servers.read(servers.send(target.port, with_headers(**headers)(route, target.port)))
                assert got.status != 403, (headers, route, got.body)


NUL_LABEL = json.dumps([{"prediction_id": "a\0b", "label": "\0"}]).encode()
LONG_FIELD = b'{"approve": true, "' + b"x" * 5_000 + b'": 1}'
BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "b1_empty": (b"", {}),
    "b2_unknown_encoding": (b"{}", {"content_encoding": "br"}),
    "b2_stacked_encodings": (gzip.compress(gzip.compress(b"{}")), {"content_encoding": "gzip, gzip"}),
    "b2_damaged": (b"not gzip", {"content_encoding": "gzip"}),
    "b2_truncated": (gzip.compress(b"{}" * 100)[:-4], {"content_encoding": "gzip"}),
    "b2_bomb": (gzip.compress(bytes(20_000_000)), {"content_encoding": "gzip"}),
    "b2_bomb_deflate": (zlib.compress(b"[" * 20_000_000), {"content_encoding": "deflate"}),
    "b3_deep_list": (b"[" * 100_000, {}),
    "b3_deep_and_closed": (b"[" * 5_000 + b"]" * 5_000, {}),
    "b3_deep_object": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, {}),
    "b3_deep_in_a_field": (b'{"inputs": ' + b"[" * 70 + b"]" * 70 + b', "approve": true}', {}),
    "b4_infinite": (b'[{"prediction_id": "a-0", "label": 1e999}]', {}),
    "b4_many_digits": (b'[{"prediction_id": "a-0", "label": ' + b"9" * 5_000 + b"}]", {}),
    "b4_beyond_int64": (b'[{"prediction_id": "a-0", "label": 1, "time": 99999999999999999999}]', {}),
    "b4_nan": (b'[{"prediction_id": "a-0", "label": NaN}]', {}),
    "b4_dangling": (b'{"inputs": -', {}),
    "b5_null": (b"null", {}),
    "b5_true": (b"true", {}),
    "b5_text": (b'"text"', {}),
    "b5_number": (b"1", {}),
    "b5_nulls_in_a_list": (b"[null, null]", {}),
    "b5_nulls_in_fields": (b'{"approve": null, "reason": null, "inputs": null, "instances": null}', {}),
    "b5_lists_in_fields": (b'{"approve": [], "reason": {}, "inputs": {}, "dataframe_split": []}', {}),
    "b5_bad_utf8": (b'{"reason": "\xff\xfe", "approve": true}', {}),
    "b5_overlong_utf8": (b'{"reason": "\xc0\xaf", "approve": true}', {}),
    "b5_lone_surrogate": (rb'{"reason": "\ud800", "approve": "x"}', {}),
    "b5_nul": (NUL_LABEL, {}),
    "b5_raw_nul": (b'[{"prediction_id": "a\0b", "label": 1}]', {}),
    "b5_utf16": ('{"approve": true}'.encode("utf-16"), {}),
    "o4_long_field": (LONG_FIELD, {}),
    "b6_form": (b"approve=true", {"content_type": "application/x-www-form-urlencoded"}),
    "b6_text": (b'{"approve": "x"}', {"content_type": "text/plain"}),
    "b6_multipart": (b"--x\r\n\r\n--x--", {"content_type": "multipart/form-data; boundary=x"}),
    "b6_xml": (b"<a/>", {"content_type": "application/xml"}),
    "b6_other_charset": (b"{}", {"content_type": "application/json; charset=utf-16"}),
    "b6_two_types": (b"{}", {"content_type": "application/json, text/plain"}),
    "b6_malformed_type": (b"{}", {"content_type": ";;;"}),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(target: Target, name: str) -> None:
    body, headers = BODIES[name]
    for route in target.routes:
        if route.method in WITH_BODY:
            sent = servers.request(route.method, route.path, target.port, body, **headers)
            expected = {400, 413, 415}
            if name == "b1_empty" or (name.endswith(("_fields", "_field")) and name != "b3_deep_in_a_field"):
                expected |= {200} if route.path == "/v2/repository/index" else {404, 409}  # a body as good as any other
            check(servers.send(target.port, sent), expected, f"{name} {route.path}")
        elif route.method in ("GET", "DELETE"):  # no body is read
            sent = servers.request(route.method, route.path, target.port, body, **headers)
            check(servers.send(target.port, sent), None, f"{name} {route.method} {route.path}")


class Opened:
    """What, unpickled, would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


TYPES = ["application/json", "application/octet-stream", "application/x-python-pickle", "application/x-pickle", "text/csv"]


@pytest.mark.parametrize(
    "kind", [*TYPES, "application/vnd.apache.arrow.stream", "application/x-numpy", "application/cloudpickle", ""]
)
def test_x1_no_body_is_unpickled(target: Target, tmp_path: Path, kind: str) -> None:
    """Neither as it is, nor in base 64 inside of JSON, whatever the type or the headers say."""
    plain = pickle.dumps(Opened(tmp_path / "opened"))
    inside = json.dumps(
        {"inputs": {"b64": base64.b64encode(plain).decode()}, "payload": base64.b64encode(plain).decode()}
    ).encode()
    for route in target.routes:
        if route.method in WITH_BODY:
            for body in (plain, inside, b"\x93NUMPY\x01\x00" + plain):
                sent = servers.request(route.method, route.path, target.port, body, content_type=kind, payload_container="pickle")
                good_json = {200, 404, 409} if body is inside else set()
                check(servers.send(target.port, sent), {400, 415} | good_json, f"{kind} {route.path}")
    assert not (tmp_path / "opened").exists()
    pickle.loads(plain).close()
    assert (tmp_path / "opened").exists(), "unpickled, it would have shown"


def test_s5_inputs_and_locations_are_never_fetched(model: Target, control: Target, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        tensors = as_tensors(flights(4))
        for tensor in tensors:
            if tensor["name"] == "carrier":
                tensor["data"] = [url, f"file://{tmp_path}/x", "s3://bucket/key", "/etc/passwd"]
        answer = servers.ask("POST", "/v2/models/delays/infer", model.port, json.dumps({"inputs": tensors}).encode())
        assert answer.status == 200 and b"root:" not in answer.body
        for body in ({"image_url": url}, {"inputs": url}, {"dataframe_split": url}, [{"prediction_id": url, "label": url}]):
            for target in (model, control):
                for route in target.routes:
                    if route.method in CHANGING:
                        servers.ask(route.method, route.path, target.port, json.dumps(body).encode())
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_b1_a_chunked_body_is_stopped_at_the_limit(target: Target) -> None:
    chunks = b"".join([b"100000\r\n" + b"x" * 0x100000 + b"\r\n"] * (LIMIT // 0x100000 + 2)) + b"0\r\n\r\n"
    for route in target.routes:
        if route.method in WITH_BODY:
            head = servers.request(route.method, route.path, target.port, transfer_encoding="chunked", content_length="")
            check(servers.send(target.port, head + chunks), {413}, route.path)


SPELLINGS: list[Callable[[str], str]] = [
    lambda path: path.upper(),
    lambda path: f"/{path}",
    lambda path: f"{path}/",
    lambda path: path.replace("/", "//", 1) if path.count("/") < 2 else path[0] + path[1:].replace("/", "//", 1),
    lambda path: f"/.{path}",
    lambda path: f"/x/..{path}",
    lambda path: f"/x/%2e%2e{path}",
    lambda path: f"{path};x=1",
    lambda path: f"{path}%20",
    lambda path: f"{path}%00",
    lambda path: f"{path}%0a",
    lambda path: f"{path}.json",
    lambda path: f"/static/..{path}",
    lambda path: path[0] + path[1:].replace("/", "%2f") + "%2f",
    lambda path: "\\" + path[1:],
    lambda path: f"{path}%23x",
    lambda path: f"{path}%3fx",
]


@pytest.mark.parametrize("spelling", range(len(SPELLINGS)))
def test_a1_no_other_spelling_leads_to_a_route(target: Target, spelling: int) -> None:
    known = {route.path for route in target.routes}
    for route in target.routes:
        path = SPELLINGS[spelling](route.path)
        if route.method == "HEAD" or path in known or servers.is_page(path):
            continue
        got = check(servers.send(target.port, servers.request(route.method, path, target.port)), {400, 404, 405}, path)
        assert "location" not in got.headers


HOSTILE_NAMES = [
    "..%2f..%2fetc%2fpasswd", "%2e%2e", "..", "%5c..%5cwindows", "%00", "a%00b", "%0d%0ax-evil:1", "%ff", "%c0%af", "%ed%a0%80",
    "%e2%80%ae", "x" * 4_000, "';DROP TABLE token;--", "1%27%20OR%20%271%27=%271", "%25", "%24%7B7*7%7D", "{{7*7}}",
    "file:%2f%2fx", "churn@99999999999999999999", "-1", "1e999", "null", "%F0%9F%92%A9", "<script>alert(1)</script>",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_p4_names_in_paths_are_data(target: Target, name: str) -> None:
    """Whatever stands where a name is due finds nothing, and comes back neither whole nor as a header."""
    for route in target.routes:
        for known in ("churn@1", "churn", "delays", "01ARZ3NDEKTSV4RRFFQ69G5FAV-0"):
            if f"/{known}" in route.path and route.method != "HEAD":
                path = route.path.replace(f"/{known}", f"/{name}")
                body = b'{"approve": true}' if route.path.endswith("decision") else b"{}"
                sent = servers.request(route.method, path, target.port, body if route.method in CHANGING else b"")
                got = check(servers.send(target.port, sent), None, path)
                assert got.status >= 400 or servers.is_page(path), path
                assert "x-evil" not in got.headers and b"<script>" not in got.body and b"x" * 200 not in got.body


def test_o4_an_unknown_path_and_method_answer_json(target: Target) -> None:
    for method, path, status in (
        ("GET", "/nothing/here", 404),
        ("POST", "/", 404),
        ("DELETE", "/health", 405),
        ("BREW", "/health", 400),
    ):
        check(servers.send(target.port, servers.request(method, path, target.port)), {status, 405}, path)


@pytest.mark.parametrize(
    "sent", [b"", b"\0\0\0", b"\x16\x03\x01\x02\0\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /health\r\n\r\n"]
)
def test_h6_what_is_not_http_is_answered_or_closed(target: Target, sent: bytes) -> None:
    answer = servers.send(target.port, sent + b"\r\n\r\n") if sent else b""
    assert not answer or servers.read(answer).status == 400
    assert target.alive()


def test_d1_half_open_requests_keep_nobody_waiting(target: Target) -> None:
    route = next(route for route in target.routes if route.method == "POST")
    half = servers.request("POST", route.path, target.port, content_length="100")
    waiting = [socket.create_connection(("127.0.0.1", target.port)) for _ in range(300)]
    try:
        for count, connection in enumerate(waiting):
            connection.sendall(half if count % 2 else half[:20])
        for _ in range(20):
            assert servers.ask("GET", "/health", target.port).status == 200
    finally:
        for connection in waiting:
            connection.close()


def test_o4_a_defect_is_told_by_a_fixed_text_and_the_log_has_the_rest(
    tmp_path: Path, empty_database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with servers.open_workspace(tmp_path, empty_database) as workspace, servers.control_plane(workspace) as port:
        workspace.database.write(lambda tx: tx.execute(sa.text("ALTER TABLE version RENAME TO moved")))
        answer = check(servers.send(port, servers.request("GET", "/api/model/churn", port)), {500}, "a table is gone")
    assert answer.json["message"] == "something went wrong here; the log has it" and is_id(answer.headers["x-request-id"])
    assert any(record.getMessage() == "GET /api/model/churn failed" and record.exc_info for record in caplog.records)


PAGES = [
    "limit=-1",
    "limit=0",
    "limit=99999999999999999999",
    "limit=1e9",
    "limit=",
    "limit=%F0%9F%92%A9",
    "before=-1",
    "before=%2e%2e",
]
PAGES += [
    "before=' OR 1=1",
    "state=%27%3BDROP%20TABLE%20job",
    "kind=" + "x" * 3_000,
    "before=%80%04K%2E",
    "limit=1&limit=x",
    "%ff=%ff",
]


@pytest.mark.parametrize("query", [page.replace(" ", "%20") for page in PAGES])
def test_b9_hostile_pages_are_refused_or_harmless(target: Target, query: str) -> None:
    for route in target.routes:
        if route.method == "GET":
            check(servers.send(target.port, servers.request("GET", f"{route.path}?{query}", target.port)), None, query)
