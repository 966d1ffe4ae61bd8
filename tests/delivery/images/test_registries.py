"""Pushing and pulling, against a real registry: Debian's `docker-registry`, and skopeo to look at what came."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trustme
from tests.delivery.images.registry_server import RegistryServer
from tests.delivery.images.strict_registry import StrictRegistry
from tests.delivery.images.token_server import TokenServer

from perenne.core.errors import Denied, Invalid, NotFound, Unavailable
from perenne.delivery.images import credentials, pushing, registries
from perenne.delivery.images.layering import from_bytes, write_layer
from perenne.delivery.images.layout import Layout
from perenne.delivery.images.model import LayerRole
from perenne.delivery.images.registries import Registry, Way
from perenne.formats import oci

SIZE = 300_000
Server: TypeAlias = RegistryServer | StrictRegistry


def quiet(_: str) -> None:
    """Hear nothing."""


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the passwords of whoever runs the tests out of them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(registries, "_PAUSE", 0.001)


@pytest.fixture
def image(layout: Layout) -> oci.Descriptor:
    """An image with one layer of incompressible bytes, and something that refers to it."""
    data = b"".join(oci.digest_of(number.to_bytes(4, "big")).encode() for number in range(SIZE // 71))
    layer = write_layer(layout, LayerRole.MODEL, [from_bytes("model/data", data)], compressed=False)
    config = oci.write(oci.Config(architecture="amd64", os="linux", rootfs=oci.RootFiles("layers", (layer.diff_id,))))
    layout.put(config)
    pointer = oci.Descriptor(media_type=layer.media_type, digest=layer.digest, size=layer.size)
    manifest = oci.write(
        oci.Manifest(schema_version=2, media_type=oci.MANIFEST, config=oci.describe(oci.CONFIG, config), layers=(pointer,))
    )
    found = oci.describe(oci.MANIFEST, manifest)
    referrer = oci.write(oci.artifact(oci.BOM, found, b'{"bomFormat":"CycloneDX"}', oci.BOM, {}))
    for blob in (manifest, b'{"bomFormat":"CycloneDX"}', oci.EMPTY_BYTES, referrer):
        layout.put(blob)
    layout.name(found, "it")
    layout.refer(oci.describe(oci.MANIFEST, referrer, artifact_type=oci.BOM))
    return found


def at(server: Server, name: str, way: Way = Way()) -> Registry:  # noqa: B008
    return Registry(oci.parse_reference(f"{server.address}/{name}"), way)


def log_in(monkeypatch: pytest.MonkeyPatch, folder: Path, address: str, user: str, password: str) -> None:
    secret = base64.b64encode(f"{user}:{password}".encode()).decode()
    (folder / "auth.json").write_text(json.dumps({"auths": {address: {"auth": secret}}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(folder / "auth.json"))


def test_what_is_pushed_can_be_pulled_and_looked_at(
    registry_server: Server, layout: Layout, image: oci.Descriptor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "CHUNK", 100_000)
    reference = pushing.push(layout, image, at(registry_server, "models/churn:3"), quiet)
    assert str(reference) == f"{registry_server.address}/models/churn:3@{image.digest}"
    pulled = Layout(tmp_path / "pulled")
    assert pushing.pull(at(registry_server, "models/churn:3"), pulled, quiet) == image
    assert pushing.pull(at(registry_server, f"models/churn@{image.digest}"), pulled, quiet) == image
    listed = at(registry_server, "models/churn").ask(
        "GET", f"manifests/{image.digest.replace(':', '-')}", (200,), headers={"Accept": oci.INDEX}
    )
    assert [one.artifact_type for one in oci.read(listed.body, oci.Index, "referrers").manifests] == [oci.BOM]
    if shutil.which("skopeo"):
        seen = subprocess.run(
            ["skopeo", "inspect", "--tls-verify=false", f"docker://{registry_server.address}/models/churn:3"],
            capture_output=True, check=True,
        )  # fmt: skip
        assert json.loads(seen.stdout)["Digest"] == image.digest


def test_a_second_push_sends_nothing_and_a_neighbour_is_mounted(
    registry_server: Server, layout: Layout, image: oci.Descriptor
) -> None:
    sent: list[str] = []
    pushing.push(layout, image, at(registry_server, "one/a:1"), sent.append)
    assert sum(text.startswith("sending") for text in sent) == 4
    again: list[str] = []
    pushing.push(layout, image, at(registry_server, "one/a:2"), again.append)
    pushing.push(layout, image, at(registry_server, "two/b:1"), again.append, siblings=["none/there", "one/a"])
    assert not [text for text in again if text.startswith("sending")]


def test_a_broken_upload_goes_on_where_it_was(
    registry_server: Server, layout: Layout, image: oci.Descriptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "CHUNK", 60_000)
    with Breaking(registry_server.port, after=150_000, times=2) as proxy:
        registry = Registry(oci.parse_reference(f"127.0.0.1:{proxy.port}/broken/a:1"))
        pushing.push(layout, image, registry, quiet)
    assert proxy.broken == 2
    found = at(registry_server, "broken/a").ask("GET", "manifests/1", (200,), headers={"Accept": oci.MANIFEST})
    assert oci.digest_of(found.body) == image.digest


class Breaking:
    """A way to a registry that is cut off in the middle of what is sent, some times."""

    def __init__(self, port: int, after: int, times: int) -> None:
        self._target, self._after, self._times = port, after, times
        self.broken = 0
        self._passed = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Breaking":
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._copy, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, False), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        try:
            while data := source.recv(8_192):
                self._passed += len(data) if counts else 0
                if counts and self._passed > self._after and self.broken < self._times:
                    self.broken, self._passed = self.broken + 1, 0
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()


def test_a_password_is_shown_where_it_is_asked_for(
    tmp_path: Path, layout: Layout, image: oci.Descriptor, monkeypatch: pytest.MonkeyPatch, real_registry: None
) -> None:
    with RegistryServer(tmp_path, "ada", "secret") as server:
        with pytest.raises(Denied, match="may not be") as caught:
            pushing.push(layout, image, at(server, "a/b:1"), quiet)
        assert "podman login" in caught.value.hint
        log_in(monkeypatch, tmp_path, server.address, "ada", "wrong")
        with pytest.raises(Denied):
            pushing.push(layout, image, at(server, "a/b:1"), quiet)
        log_in(monkeypatch, tmp_path, server.address, "ada", "secret")
        pushing.push(layout, image, at(server, "a/b:1"), quiet)


def test_a_token_is_fetched_where_the_registry_says(
    tmp_path: Path, layout: Layout, image: oci.Descriptor, monkeypatch: pytest.MonkeyPatch, real_registry: None
) -> None:
    with TokenServer(tmp_path, "ada", "secret") as tokens, RegistryServer(tmp_path, more=tokens.settings) as server:
        monkeypatch.setattr("perenne.delivery.images.registries.Egress", tokens.reachable)
        log_in(monkeypatch, tmp_path, server.address, "ada", "secret")
        pushing.push(layout, image, at(server, "a/b:1"), quiet)
        pushing.push(layout, image, at(server, "c/d:1"), quiet, siblings=["a/b"])
        assert tokens.scopes[0] == ["repository:a/b:pull"] or "repository:a/b:pull,push" in tokens.scopes[0]
        log_in(monkeypatch, tmp_path, server.address, "ada", "wrong")
        with pytest.raises(Denied):
            pushing.push(layout, image, at(server, "a/b:2"), quiet)


def test_what_is_not_there_or_not_an_image_is_told(registry_server: Server, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not there"):
        pushing.pull(at(registry_server, "no/such:1"), Layout(tmp_path / "x"), quiet)
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    monkey = Registry(oci.parse_reference(f"127.0.0.1:{port}/a:1"))
    with pytest.raises(Unavailable):
        monkey.ask("GET", "manifests/1", (200,))


@pytest.fixture
def liar(image: oci.Descriptor, layout: Layout) -> Iterator[str]:
    """A registry that sends another layer than its manifest names."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, name = self.path.rsplit("/", 2)[1:]
            data = layout.get(image.digest) if kind == "manifests" else layout.blob(name).read_bytes()
            if kind == "blobs" and len(data) > 100_000:
                data = bytes(len(data))
            self.send_response(200)
            self.send_header("Content-Type", oci.MANIFEST if kind == "manifests" else "application/octet-stream")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_another_blob_than_its_digest_says_is_not_kept(liar: str, tmp_path: Path, image: oci.Descriptor, layout: Layout) -> None:
    pulled = Layout(tmp_path / "pulled")
    with pytest.raises(Invalid, match="another blob"):
        pushing.pull(Registry(oci.parse_reference(f"{liar}/a:1")), pulled, quiet)
    manifest = oci.read(layout.get(image.digest), oci.Manifest, "manifest")
    assert not pulled.has(manifest.layers[0].digest)
    with pytest.raises(Invalid, match="not what its digest"):
        pushing.pull(Registry(oci.parse_reference(f"{liar}/a@sha256:{'0' * 64}")), pulled, quiet)


def test_tls_by_an_authority_of_ones_own(tmp_path: Path, image: oci.Descriptor, layout: Layout, real_registry: None) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    settings = f", tls: {{certificate: {tmp_path}/server.pem, key: {tmp_path}/server.pem}}"
    with RegistryServer(tmp_path, tls=settings) as server:
        reference = oci.parse_reference(f"localhost:{server.port}/a:1")
        with pytest.raises(NotFound):
            Registry(reference, Way(ca=tmp_path / "ca.pem")).ask("GET", "manifests/1", (200,))
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
        with pytest.raises(Unavailable):
            Registry(reference, Way(ca=tmp_path / "other.pem")).ask("GET", "manifests/1", (200,))


def test_elsewhere_it_is_tls_unless_allowed() -> None:
    reference = oci.parse_reference("registry.invalid:5000/a:1")
    with pytest.raises(Unavailable):
        Registry(reference).ask("GET", "manifests/1", (200,))
    assert Registry(reference)._scheme == "https" and Registry(reference, Way(plain=True))._scheme == "http"


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ({"auths": {"r.example": {"auth": base64.b64encode(b"ada:pass:word").decode()}}}, ("ada", "pass:word", "")),
        ({"auths": {"r.example/team": {"username": "bob", "password": "x"}, "r.example": {"username": "no"}}}, ("bob", "x", "")),
        ({"auths": {"https://r.example/v2/": {"identitytoken": "t"}}}, ("", "", "t")),
        ({"auths": {"other.example": {"auth": "YTpi"}}}, None),
        ({}, None),
    ],
)
def test_what_logging_in_left_is_found(
    kept: dict[str, Any], expected: tuple[str, str, str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(kept))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    found = credentials.find("r.example", "team/model")
    assert (None if found is None else tuple(found)) == expected
    assert found is None or "x" not in repr(found).replace("Credentials(user=", "")


def test_a_program_that_keeps_passwords_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-tests"
    helper.write_text('#!/bin/sh\nread server\necho "{\\"Username\\": \\"ada\\", \\"Secret\\": \\"for $server\\"}"\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {"r.example": "tests"}}))
    assert credentials.find("r.example", "a") == credentials.Credentials("ada", "for r.example")


@pytest.mark.parametrize("text", ["not json", '{"auths": {"r.example": {"auth": "%%%"}}}'])
def test_a_damaged_file_of_passwords_is_named_and_not_quoted(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "auth.json").write_text(text)
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    with pytest.raises(Invalid, match=r"auth\.json") as caught:
        credentials.find("r.example", "a")
    assert "%%%" not in caught.value.message
