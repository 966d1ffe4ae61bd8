"""What is particular to objects in buckets: URLs, endpoints, credentials, large uploads, trouble on the way."""

import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from tests.relay import Relay
from tests.s3_server import KEY, SECRET, S3Server

from perenne.core.errors import Invalid, PerenneError, Unavailable
from perenne.core.hashing import digest_bytes, digest_file
from perenne.storage import cloud_objects
from perenne.storage.buckets import allows_http, open_bucket, parse_bucket
from perenne.storage.objects import CloudObjects, open_objects

Call = Callable[[], object]
PARTS = 3 * cloud_objects.PART + 1


@pytest.fixture
def objects(s3: str) -> CloudObjects:
    return CloudObjects(s3)


@pytest.fixture
def relay(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, s3: str) -> Iterator[Relay]:
    relay = Relay(s3_server.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{relay.port}")
    yield relay
    relay.close()


def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(b"0123456789abcdef" * (PARTS // 16) + b"!" * (PARTS % 16))
    return path


def keys(server: S3Server, objects: CloudObjects) -> dict[str, int]:
    """Every key of the bucket and its size, uploads in the making included."""
    bucket = server.backend.buckets[objects.bucket.name]
    return {key: found.size for key, found in bucket.keys.items()} | {f"upload {name}": 0 for name in bucket.multiparts}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://user:secret@bucket/x", "user name"),
        ("s3://secret@bucket/x", "user name"),
        ("s3://bucket:9000/x", "port"),
        ("s3://bucket/x?key=secret", "after a ?"),
        ("s3://bucket/x#secret", "after a ?"),
        ("s3://bucket/x?", "after a ?"),
        ("s3:///x", "no bucket"),
        ("s3://a/x", "no bucket"),
        ("s3://buck et/x", "no bucket"),
        ("gs://bucket/../x", "'..'"),
        ("gs://bucket/a//x", "''"),
        ("az://name/a/./x", "'.'"),
        ("az://name/a\\x", "prefix"),
        ("s3://bucket/a%20b", "prefix"),
        ("s3://bucket/ü", "prefix"),
    ],
)
def test_a_url_that_is_wrong_names_what_is_wrong_and_no_secret(url: str, words: str) -> None:
    with pytest.raises(Invalid) as error:
        open_objects(url)
    assert error.value.code == "objects.url"
    assert words in error.value.message
    assert error.value.hint
    assert "secret" not in error.value.message + error.value.hint


def test_urls_are_read_and_written_the_same() -> None:
    for url in ("s3://bucket", "s3://bucket/a/b-c_d.e=f", "gs://some_bucket.example/p", "az://container/x"):
        assert open_objects(url).url == parse_bucket(url).url == url
    assert open_objects("s3://bucket/a/").url == "s3://bucket/a"


def test_plain_http_is_for_loopback_and_for_who_says_so() -> None:
    assert not allows_http("s3", {})
    assert not allows_http("s3", {"AWS_ENDPOINT_URL": "https://s3.example.org"})
    for endpoint in ("http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000", "http://127.8.8.8"):
        assert allows_http("s3", {"AWS_ENDPOINT_URL": endpoint})
    away = {"AWS_ENDPOINT_URL": "http://key:secret@minio.example.org:9000"}
    assert allows_http("s3", {**away, "AWS_ALLOW_HTTP": "true"})
    for scheme, name in (("s3", "AWS_ENDPOINT_URL_S3"), ("gs", "GOOGLE_BASE_URL"), ("az", "AZURE_ENDPOINT")):
        for endpoint in ("http://minio.example.org", "http://127.0.0.1.example.org", "ftp://127.0.0.1", "127.0.0.1:9000"):
            with pytest.raises(Invalid, match=name):
                allows_http(scheme, {name: endpoint})
    with pytest.raises(Invalid) as error:
        allows_http("s3", away)
    assert error.value.code == "objects.endpoint"
    assert "secret" not in error.value.message + error.value.hint


def test_a_wrong_endpoint_is_refused_when_the_store_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio.example.org")
    with pytest.raises(Invalid, match="http to another machine"):
        open_objects("s3://bucket/x")


def test_clients_of_google_and_azure_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stand-in of either is run here; S3 alone is tested over a socket."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    for url in ("gs://bucket/prefix", "az://bucket/prefix"):
        assert open_bucket(parse_bucket(url)).prefix == "prefix"


def test_an_account_that_is_not_named_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(Unavailable, match="no credentials") as error:
        CloudObjects("az://container/x").put(b"x")
    assert "AZURE_STORAGE_ACCOUNT_NAME" in error.value.hint
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/missing/key.json")
    with pytest.raises(Unavailable, match="no credentials"):
        CloudObjects("gs://bucket/x").put(b"x")


def test_keys_are_laid_out_as_files_are(objects: CloudObjects, s3_server: S3Server) -> None:
    digest = objects.put(b"x")
    assert keys(s3_server, objects) == {f"objects/{digest[:2]}/{digest[2:]}": 1}


def test_a_bucket_without_prefix_and_its_neighbours_do_not_mix(objects: CloudObjects) -> None:
    root = CloudObjects(f"s3://{objects.bucket.name}")
    beside = CloudObjects(f"s3://{objects.bucket.name}/object")
    digests = [store.put(data) for store, data in ((objects, b"1"), (root, b"2"), (beside, b"3"))]
    assert [list(store.digests()) for store in (objects, root, beside)] == [[digest] for digest in digests]


def test_thousands_of_objects_are_listed(objects: CloudObjects, s3_server: S3Server) -> None:
    digests = sorted(digest_bytes(str(number).encode()) for number in range(2_500))
    for digest in digests:
        s3_server.backend.put_object(objects.bucket.name, f"objects/{digest[:2]}/{digest[2:]}", b"")
    s3_server.backend.put_object(objects.bucket.name, "objects/notes/of somebody.txt", b"")
    assert list(objects.digests()) == digests


def test_what_is_there_is_not_sent_again_and_what_was_cut_short_is(
    objects: CloudObjects, s3_server: S3Server, tmp_path: Path
) -> None:
    source = large(tmp_path)
    digests = [objects.put(b"whole"), objects.put_file(source)]

    def written() -> dict[str, object]:
        return {key: found.last_modified for key, found in s3_server.backend.buckets[objects.bucket.name].keys.items()}

    before = written()
    assert [objects.put(b"whole"), objects.put_file(source)] == digests
    assert written() == before
    for key in before:
        s3_server.backend.put_object(objects.bucket.name, key, b"who")
    assert [objects.put(b"whole"), objects.put_file(source)] == digests
    assert objects.get(digests[0]) == b"whole"
    assert digest_bytes(objects.get(digests[1])) == digests[1]


def test_a_file_that_changed_between_two_readings_leaves_nothing(
    objects: CloudObjects, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = large(tmp_path)
    with source.open("r+b") as stream:

        def then_change(path: Path) -> str:
            digest = digest_file(path)
            stream.seek(PARTS - 1)
            stream.write(b"?")
            stream.flush()
            return digest

        monkeypatch.setattr(cloud_objects, "digest_file", then_change)
        for grows in (False, True):
            if grows:
                stream.seek(0, 2)
                stream.truncate(PARTS)
            with pytest.raises(Unavailable) as error:
                objects.put_file(source)
            assert error.value.code == "objects.changed"
            assert keys(s3_server, objects) == {}
            source.write_bytes(source.read_bytes()[:-1] + b"!")


def test_an_upload_that_is_cut_off_leaves_nothing_to_be_seen(
    objects: CloudObjects, relay: Relay, s3_server: S3Server, tmp_path: Path
) -> None:
    source = large(tmp_path)
    relay.allowance = PARTS // 2
    puts: list[Call] = [lambda: objects.put_file(source), lambda: objects.put(source.read_bytes())]
    for put in puts:
        with pytest.raises(Unavailable) as error:
            put()
        assert error.value.code == "objects.unavailable"
    relay.allowance = None
    assert list(objects.digests()) == []
    assert objects.exists(objects.put_file(source))


def test_a_download_that_is_cut_off_leaves_nothing(
    objects: CloudObjects, relay: Relay, s3_server: S3Server, tmp_path: Path
) -> None:
    digest = objects.put_file(large(tmp_path))
    relay.allowance = PARTS // 2
    reads: list[Call] = [lambda: objects.fetch(digest, tmp_path / "new" / "target"), lambda: objects.get(digest)]
    for read in reads:
        with pytest.raises(Unavailable) as error:
            read()
        assert error.value.code == "objects.unavailable"
    assert list((tmp_path / "new").iterdir()) == []
    relay.allowance = None
    objects.fetch(digest, tmp_path / "new" / "target")
    assert digest_file(tmp_path / "new" / "target") == digest


def test_a_server_that_takes_the_call_and_says_nothing_is_given_up(
    objects: CloudObjects, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay.silent = True
    monkeypatch.setattr(cloud_objects, "SILENCE_S", 0.2)
    with pytest.raises(Unavailable, match="does not answer in time"):
        objects.get(digest_bytes(b"x"))


def test_a_bucket_that_is_missing_is_said_to_be_missing(objects: CloudObjects, tmp_path: Path) -> None:
    digest = objects.put(b"x")
    astray = CloudObjects("s3://no-such-bucket/x")
    calls: list[Call] = [
        lambda: astray.put(b"x"),
        lambda: astray.get(digest),
        lambda: astray.fetch(digest, tmp_path / "target"),
        lambda: astray.exists(digest),
        lambda: list(astray.digests()),
    ]
    for call in calls:
        with pytest.raises(Unavailable, match="there is no bucket s3://no-such-bucket/x") as error:
            call()
        assert error.value.code == "objects.unavailable"
        assert "PERENNE_OBJECTS" in error.value.hint


@pytest.fixture
def guarded(s3_server: S3Server) -> Iterator[None]:
    """Let the server check who asks."""

    def allow(calls: bytes) -> None:
        url = f"{s3_server.endpoint}/moto-api/reset-auth"
        urllib.request.urlopen(urllib.request.Request(url, calls, {"Content-Type": "text/plain"})).close()

    allow(b"0")
    yield
    allow(b"inf")


@pytest.mark.usefixtures("guarded")
def test_credentials_that_are_refused_are_not_repeated(s3: str, tmp_path: Path) -> None:
    objects = CloudObjects(s3)
    digest = digest_bytes(b"x")
    calls: list[Call] = [
        lambda: objects.put(b"x"),
        lambda: objects.get(digest),
        lambda: objects.exists(digest),
        lambda: list(objects.digests()),
        lambda: objects.delete(digest),
    ]
    for call in calls:
        with pytest.raises(Unavailable, match="refuses these credentials") as error:
            call()
        assert "AWS_ACCESS_KEY_ID" in error.value.hint
        assert_silent(error.value)


def test_without_credentials_the_hint_says_what_to_set(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with socket.create_server(("127.0.0.1", 0)) as nobody:  # a machine that gives out none
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{nobody.getsockname()[1]}")
    with pytest.raises(Unavailable, match="there are no credentials") as error:
        CloudObjects(s3).put(b"x")
    assert "AWS_ACCESS_KEY_ID" in error.value.hint
    assert_silent(error.value)


def assert_silent(error: PerenneError) -> None:
    assert error.__cause__ is None
    assert error.__suppress_context__
    for secret in (KEY, SECRET):
        assert secret not in error.message + error.hint


def test_a_disk_that_is_full_leaves_no_half_file(objects: CloudObjects, tmp_path: Path) -> None:
    digest = objects.put(b"x")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable) as error:
        objects.fetch(digest, tmp_path / "file" / "target")
    assert error.value.code == "objects.unavailable"
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_server_of_ones_own_authority_is_trusted_if_the_environment_says_so(
    s3: str, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    with TlsServer(authority) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{server.port}")
        with pytest.raises(Unavailable, match="cannot be reached"):
            CloudObjects(s3).put(b"x")
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        assert CloudObjects(s3).get(CloudObjects(s3).put(b"x")) == b"x"
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with pytest.raises(Invalid, match="AWS_CA_BUNDLE"):
        CloudObjects(s3).put(b"x")


class TlsServer:
    """Moto's application once more, behind TLS; the objects are the same ones."""

    def __init__(self, authority: trustme.CA) -> None:
        import ssl
        import threading

        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("localhost", 0, app, threaded=True, ssl_context=context)
        self.port = self._server.port
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "TlsServer":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
