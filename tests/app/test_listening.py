"""Both servers behind TLS and behind proxies, over real sockets; and the commands that refuse to listen."""

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
from tests.app import servers
from tests.app.servers import Answered, bearer
from tests.serving.packages import ReleaseFolder, made_packages

from perenne.app.control import application
from perenne.auth import audit
from perenne.auth.roles import Role
from perenne.net import processes
from perenne.net.listening import Listening
from perenne.storage.workspace import Workspace


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def secure(authority: trustme.CA, tmp_path: Path) -> Listening:
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for part in issued.cert_chain_pems:
        part.write_to_path(tmp_path / "cert.pem", append=True)
    return Listening(names=("models.example.org",), tls_cert=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem"))


@pytest.fixture
def home(tmp_path: Path, empty_database: Path) -> Iterator[Workspace]:
    with servers.open_workspace(tmp_path, empty_database, auth="tokens") as workspace:
        yield workspace


@pytest.fixture
def release(tmp_path: Path) -> ReleaseFolder:
    release = ReleaseFolder(tmp_path / "release")
    release.write(release.add(made_packages()["first"], 1))
    return release


def check_secure(port: int, path: str, text: str, context: ssl.SSLContext) -> None:
    """Over TLS it answers to whoever trusts the certificate, with HSTS; without TLS, or without trust, to nobody."""

    def ask(**headers: str) -> Answered:
        return servers.read(servers.send(port, servers.request("GET", path, port, **headers), context))

    assert ask().status == 401
    answer = ask(authorization=bearer(text))
    assert answer.status == 200 and answer.headers["strict-transport-security"].startswith("max-age=")
    assert ask(authorization=bearer(text), host="models.example.org").status == 200
    assert ask(authorization=bearer(text), host="models.example.org.evil").status == 403
    assert servers.read(servers.send(port, b"GET  / HTTP/9\r\n\r\n", context)).status == 400
    with pytest.raises(ssl.SSLCertVerificationError):
        servers.send(port, b"GET / HTTP/1.1\r\n\r\n", ssl.create_default_context())
    with pytest.raises((AssertionError, OSError)):
        servers.ask("GET", path, port)


def test_the_control_plane_speaks_tls(home: Workspace, secure: Listening, trusting: ssl.SSLContext) -> None:
    _, text = servers.token(home, Role.VIEWER)
    with servers.control_plane(home, secure) as port:
        check_secure(port, "/api/status", text, trusting)
        own = servers.request("POST", "/api/monitor/labels", port, b"[]", origin=f"https://127.0.0.1:{port}")
        assert servers.read(servers.send(port, own, trusting)).status == 401, "its own page may ask, and must say who it is"
        foreign = own.replace(b"https:", b"http:")
        assert servers.read(servers.send(port, foreign, trusting)).status == 403
        assert processes.ask(secure.url(port), "/ready")[0] in (200, 503), "what shows the state of processes reaches it"


def test_the_model_server_speaks_tls(
    home: Workspace, release: ReleaseFolder, secure: Listening, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    _, text = servers.token(home, Role.CALLER)
    with servers.model_server(release, tmp_path, where=secure, tokens=home.settings.keyring) as running:
        assert running.url == f"https://127.0.0.1:{running.port}"
        check_secure(running.port, "/v2/models", text, trusting)


def refusals(workspace: Workspace) -> set[str]:
    workspace.database.write(lambda tx: None)
    with workspace.database.read() as tx:
        return {record.entity_id for record in audit.trail(tx, entity="address")}


FORWARDED = {"x_forwarded_for": "203.0.113.7, 198.51.100.4", "x_forwarded_proto": "https"}


@pytest.mark.parametrize(
    ("proxies", "addresses", "strict"),
    [
        ((), {"127.0.0.1"}, False),
        (("10.0.0.0/8",), {"127.0.0.1"}, False),
        (("127.0.0.1",), {"198.51.100.4"}, True),
        (("127.0.0.0/8", "198.51.100.0/24"), {"203.0.113.7"}, True),
    ],
)
def test_h2_forwarded_headers_are_believed_from_a_trusted_proxy_only(
    home: Workspace, proxies: tuple[str, ...], addresses: set[str], strict: bool
) -> None:
    with servers.control_plane(home, Listening(trusted_proxies=proxies)) as port:
        answer = servers.ask(
            "GET", "/api/status", port, authorization="Bearer prn_x", **FORWARDED, x_forwarded_host="evil.example"
        )
    assert answer.status == 401
    assert ("strict-transport-security" in answer.headers) == strict
    assert refusals(home) == addresses


def test_h2_the_model_server_believes_a_trusted_proxy_only(home: Workspace, release: ReleaseFolder, tmp_path: Path) -> None:
    _, text = servers.token(home, Role.CALLER)
    for proxies, strict in (((), False), (("127.0.0.1",), True)):
        where = Listening(trusted_proxies=proxies)
        with servers.model_server(release, tmp_path, where=where, tokens=home.settings.keyring) as running:
            answer = servers.ask("GET", "/v2/models", running.port, authorization=bearer(text), **FORWARDED)
            assert (answer.status, "strict-transport-security" in answer.headers) == (200, strict)


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 200), ("10.0.0.5", 401), ("0.0.0.0", 401)])
def test_a1_off_loopback_a_token_is_asked_for_without_any_setting(
    tmp_path: Path, empty_database: Path, host: str, status: int
) -> None:
    async def ask(workspace: Workspace) -> int:
        app = application(workspace, port=80, listening=Listening(host=host, names=("models.example.org",)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://models.example.org") as client:
            assert (await client.get("/health")).status_code == 200
            return (await client.get("/api/status")).status_code

    with servers.open_workspace(tmp_path, empty_database) as workspace:
        assert asyncio.run(ask(workspace)) == status


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("up", "--host", "0.0.0.0"), "refusing to listen on 0.0.0.0 without authentication"),
        (("up", "--tls-cert", "nothing.pem"), "a certificate and its key are given together"),
        (("up", "--trusted-proxy", "*"), "is not the address of a proxy"),
        (("serve", "churn", "--host", "0.0.0.0"), "refusing to listen on 0.0.0.0 without authentication"),
    ],
)
def test_a_command_refuses_before_it_listens(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path("src").resolve()), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "perenne", *arguments, "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 1 and says in done.stderr and "Traceback" not in done.stderr, done.stderr
