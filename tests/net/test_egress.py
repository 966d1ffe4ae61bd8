"""The outbound client against real servers on loopback, and against every spelling of an address that it must not ask."""

import hashlib
import hmac
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from perenne.core.errors import Denied, Invalid, PerenneError, Unavailable
from perenne.net import egress
from perenne.net.egress import Egress, is_public, post_json, signature


class Receiver(ThreadingHTTPServer):
    """A server that remembers what it was asked and answers as the path says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def allow(self) -> frozenset[str]:
        return frozenset({f"127.0.0.1:{self.server_port}"})

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    """Answers; `/status/N`, `/size/N`, `/redirect` and the rest."""

    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        _, kind, *rest = self.path.split("/")
        status = int(rest[0]) if kind == "status" else 302 if kind == "redirect" else 200
        data = b"x" * int(rest[0]) if kind == "size" else b"thanks\0\x1b[31m<b>\n"
        self.send_response(status)
        if kind == "redirect":
            self.send_header("Location", self.server.url("/secret"))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving(server: Receiver) -> Iterator[Receiver]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with serving(Receiver()) as server:
        yield server


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve one connection with a function of its socket, and give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)

        def serve() -> None:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(30)
                try:
                    answer(connection)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.close()
        thread.join()


def to(*addresses: str) -> tuple[egress.Resolver, list[str]]:
    """Give a resolver that knows one answer, and the names it was asked for."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return addresses

    return resolve, asked


def test_signed_json_arrives_and_the_receiver_can_check_it(receiver: Receiver) -> None:
    answer = post_json(receiver.url("/hook?x=1"), {"b": 1, "a": ["ü", None]}, secret="key", identity="m1", allow=receiver.allow)
    ((method, path, headers, body),) = receiver.seen
    assert (method, path, json.loads(body)) == ("POST", "/hook?x=1", {"b": 1, "a": ["ü", None]})
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == f"127.0.0.1:{receiver.server_port}"
    assert headers["X-Perenne-Delivery"] == "m1"
    signed = b"m1." + headers["X-Perenne-Timestamp"].encode() + b"." + body
    assert headers["X-Perenne-Signature"] == "sha256=" + hmac.new(b"key", signed, hashlib.sha256).hexdigest()
    assert abs(int(headers["X-Perenne-Timestamp"]) - time.time()) < 600
    assert answer.status == 200


def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    post_json(receiver.url(), {}, allow=receiver.allow)
    assert "X-Perenne-Signature" not in receiver.seen[0][2]


def test_every_part_counts_for_the_signature() -> None:
    parts = [("key", "id", "1", b"{}"), ("kex", "id", "1", b"{}"), ("key", "ix", "1", b"{}"), ("key", "id", "2", b"{}")]
    assert len({signature(*part) for part in [*parts, ("key", "id", "1", b"[]")]}) == 5


def test_no_credentials_of_the_environment_are_sent(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    post_json(receiver.url(), {}, allow=receiver.allow)
    assert {"authorization", "cookie", "proxy-authorization"}.isdisjoint(name.lower() for name in receiver.seen[0][2])


def test_an_answer_is_its_status_and_a_few_escaped_letters(receiver: Receiver) -> None:
    answer = Egress(receiver.allow).request("GET", receiver.url("/status/418"))
    assert (answer.status, answer.excerpt) == (418, "thanks\\x00\\x1b[31m<b>\\x0a")
    assert len(Egress(receiver.allow).request("GET", receiver.url("/size/5000")).excerpt) == 200


@pytest.mark.parametrize("status", [301, 400, 404, 500])
def test_a_receiver_that_does_not_take_it_is_an_error_that_may_pass(receiver: Receiver, status: int) -> None:
    with pytest.raises(Unavailable) as error:
        post_json(receiver.url(f"/status/{status}"), {}, allow=receiver.allow)
    assert error.value.code == "egress.status"
    assert str(status) in error.value.message


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    assert Egress(receiver.allow).request("GET", receiver.url("/redirect")).status == 302
    assert [path for _, path, _, _ in receiver.seen] == ["/redirect"]


def test_an_answer_of_a_mebibyte_is_read_and_one_byte_more_refused(receiver: Receiver) -> None:
    client = Egress(receiver.allow)
    assert client.request("GET", receiver.url(f"/size/{egress.MAX_ANSWER}")).status == 200
    with pytest.raises(Unavailable) as error:
        client.request("GET", receiver.url(f"/size/{egress.MAX_ANSWER + 1}"))
    assert error.value.code == "egress.size"


def test_a_private_host_is_asked_only_if_it_is_allowed_by_name_and_port(receiver: Receiver) -> None:
    secure = receiver.url().replace("http:", "https:")
    for allow in (frozenset[str](), frozenset({"127.0.0.1:1"}), frozenset({"127.0.0.1"}), frozenset({"localhost"})):
        with pytest.raises(Invalid) as plain:
            Egress(allow).request("GET", receiver.url())
        assert plain.value.code == "egress.scheme"
        with pytest.raises(Denied) as private:
            Egress(allow).request("GET", secure)
        assert private.value.code == "egress.private"
    assert receiver.seen == []


HOSTILE = """
https://127.0.0.1/ https://127.1/ https://127.0.1/ https://2130706433/ https://0x7f000001/ https://0x7f.0.0.1/ https://0177.0.0.1/
https://017700000001/ https://127.0.0.1./ https://localhost./ https://0/ https://0.0.0.0/ https://[::]/ https://[::1]/
https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/ https://[::127.0.0.1]/ https://[64:ff9b::7f00:1]/ https://[64:ff9b:1::a00:1]/
https://[2002:7f00:1::]/ https://[fe80::1]/ https://[fe80::1%25eth0]/ https://[fc00::1]/ https://[fd00:ec2::254]/ https://[ff02::1]/
https://[2001:db8::1]/ https://[2001::1]/ https://[fec0::1]/ https://[100::1]/ https://10.1.2.3/ https://172.16.0.1/
https://172.31.255.255/ https://192.168.0.1/ https://169.254.169.254/latest/meta-data https://100.64.0.1/ https://100.127.255.255/
https://192.0.0.1/ https://198.18.0.1/ https://203.0.113.9/ https://224.0.0.1/ https://239.255.255.250/ https://240.0.0.1/
https://255.255.255.255/ https://user@example.org/ https://example.org@127.0.0.1/ https://user:pass@example.org/
https://127.0.0.1#@example.org/ https://127.0.0.1?@example.org/ https://example.org\\@127.0.0.1/ https:\\\\127.0.0.1/
https:///127.0.0.1/ https:127.0.0.1 //127.0.0.1/ https:// https://:443/ https://example.org:/ https://example.org:0/
https://example.org:65536/ https://example.org:-1/ https://example.org:80:90/ https://example.org:4x/ https://[::1/ https://::1/
https://%31%32%37.0.0.1/ https://127%2e0%2e0%2e1/ https://example%00.org/ https://-x.org/ https://x..org/ https://.org/
file:///etc/passwd FILE:///etc/passwd gopher://example.org/ ftp://example.org/ javascript:alert(1) data:text/plain,x
http://example.org/ HTTP://example.org/ ws://example.org/ https+unix://x/ https://１２７.0.0.1/ https://ⓔxample.org/
https://exa\u200bmple.org/ https://example\u3002org/
"""
WITH_SPACES = [
    "https://exam\tple.org/",
    "https://example.org/\r\nX: y",
    " https://example.org/",
    "https://example.org/ x",
    "\0",
    "",
]


@pytest.mark.parametrize("url", [*HOSTILE.split(), *WITH_SPACES, "https://" + "a." * 200 + "org/", "https://a/" + "x" * 9_000])
def test_a_hostile_spelling_is_refused_before_anything_is_sent(url: str) -> None:
    def no_resolving(host: str, port: int) -> Sequence[str]:
        return [host]

    with pytest.raises((Invalid, Denied)) as error:
        Egress(resolve=no_resolving).request("GET", url)
    assert error.value.code in {"egress.url", "egress.scheme", "egress.private"}


@pytest.mark.parametrize("url", ["https://localhost/", "https://ip6-localhost/"])
def test_a_name_of_this_machine_is_refused(url: str) -> None:
    with pytest.raises(PerenneError) as error:
        Egress().request("GET", url)
    assert error.value.code in {"egress.private", "egress.unresolved"}


@pytest.mark.parametrize("addresses", [("9.9.9.9", "127.0.0.1"), ("::1", "9.9.9.9"), ("::ffff:9.9.9.9",), ("169.254.169.254",)])
def test_one_bad_address_of_a_name_is_enough(addresses: tuple[str, ...]) -> None:
    resolve, _ = to(*addresses)
    with pytest.raises(Denied):
        Egress(resolve=resolve).request("GET", "https://public.example/")


def test_a_name_is_resolved_once_and_the_connection_goes_there(receiver: Receiver) -> None:
    """A second resolution could give another answer: there is none, not even for the name in the Host header."""
    resolve, asked = to("127.0.0.1")
    name = f"hook.example:{receiver.server_port}"
    answer = Egress(frozenset({name}), resolve=resolve).request("GET", f"http://{name}/hook")
    assert answer.status == 200
    assert asked == ["hook.example"]
    assert receiver.seen[0][2]["Host"] == name


def test_the_next_address_is_tried_if_one_does_not_answer(receiver: Receiver) -> None:
    resolve, _ = to("127.1.2.3", "127.0.0.1")
    name = f"hook.example:{receiver.server_port}"
    assert Egress(frozenset({name}), resolve=resolve).request("GET", f"http://{name}/").status == 200


def test_a_name_without_an_address_is_unavailable() -> None:
    def fails(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "unknown")

    for resolve in (fails, to()[0]):
        with pytest.raises(Unavailable) as error:
            Egress(resolve=resolve).request("GET", "https://nowhere.example/")
        assert error.value.code == "egress.unresolved"


def test_a_port_nobody_listens_on_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unavailable) as error:
        Egress(frozenset({f"127.0.0.1:{port}"})).request("GET", f"http://127.0.0.1:{port}/")
    assert error.value.code == "egress.unavailable"


def dripping(part: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(10_000)
        for _ in range(1_000):
            connection.sendall(part)
            time.sleep(0.02)

    return answer


ENDLESS = [
    lambda connection: connection.recv(1),  # answers nothing, closes
    dripping(b"H"),
    dripping(b"HTTP/1.1 100 Continue\r\n\r\n"),
    dripping(b"HTTP/1.1 200 OK\r\n\r\nx"),
    lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000),
    lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000),
    lambda connection: connection.sendall(b"\x16\x03\x01\0\0"),
    lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
]


@pytest.mark.parametrize("answer", ENDLESS)
def test_a_server_that_drips_lies_or_floods_ends_in_time(
    answer: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "SECONDS", 0.3)
    with answering(answer) as port, pytest.raises(Unavailable) as error:
        Egress(frozenset({f"127.0.0.1:{port}"})).request("GET", f"http://127.0.0.1:{port}/")
    assert error.value.code in {"egress.unavailable", "egress.size"}


def test_a_resolver_that_hangs_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def hangs(host: str, port: int) -> Sequence[str]:
        go_on.wait(60)
        return []

    monkeypatch.setattr(egress, "SECONDS", 0.1)
    with pytest.raises(Unavailable) as error:
        Egress(resolve=hangs).request("GET", "https://slow.example/")
    assert error.value.code == "egress.unresolved"
    go_on.set()


@pytest.mark.parametrize("headers", [{"X": "a\r\nHost: b"}, {"X\n": "a"}, {"X": "\0"}])
def test_a_header_that_would_start_another_is_refused(receiver: Receiver, headers: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        Egress(receiver.allow).request("GET", receiver.url(), b"", headers)
    assert receiver.seen == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for `hook.example`, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=hook.example"
    files = ["-addext", "subjectAltName=DNS:hook.example", "-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    (folder / "both").write_bytes((folder / "key").read_bytes() + (folder / "certificate").read_bytes())
    return folder / "both"


def secure_receiver(certificate: Path) -> Any:
    server = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return serving(server)


def test_tls_is_checked_against_the_name_asked_for(certificate: Path) -> None:
    trusted = ssl.create_default_context(cafile=str(certificate))
    resolve, _ = to("127.0.0.1")
    with secure_receiver(certificate) as server:
        for name, context, answers in (
            ("hook.example", trusted, True),
            ("other.example", trusted, False),
            ("hook.example", None, False),
        ):
            authority = f"{name}:{server.server_port}"
            client = Egress(frozenset({authority}), context, resolve)
            if answers:
                assert client.post_json(f"https://{authority}/hook", {"a": 1}, secret="key").status == 200
            else:
                with pytest.raises(Unavailable) as error:
                    client.post_json(f"https://{authority}/hook", {"a": 1}, secret="key")
                assert "certificate" in error.value.hint.lower()
        assert len(server.seen) == 1


@pytest.mark.parametrize("address", ["1.1.1.1", "9.9.9.9", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2620:fe::fe", "2a00::1"])
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)
