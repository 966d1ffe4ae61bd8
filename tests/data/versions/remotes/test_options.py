"""What becomes of DVC's keys of remotes: honoured, or refused by name."""

import contextlib
import json
from pathlib import Path

import pytest
from tests.sftp_server import PASSWORD, USER, SftpServer
from tests.web_server import WebServer

from perenne.core.errors import Denied, Invalid, NotFound, PerenneError, Unavailable
from perenne.data.versions.remotes import clouds
from perenne.data.versions.remotes.opening import kind_of, open_named, open_url, resolve
from perenne.data.versions.remotes.options import SCHEMES, TABLE, read_options
from perenne.data.versions.remotes.profiles import profile_options


@pytest.mark.parametrize("kind", TABLE)
def test_an_unknown_key_is_refused(kind: str) -> None:
    with pytest.raises(Invalid) as error:
        read_options("r", kind, {"shred": "all"})
    assert error.value.code == "data.remote_option"
    assert "'r'" in error.value.message
    assert "shred" in error.value.message


@pytest.mark.parametrize(
    ("url", "key", "value"),
    [
        ("s3://b/p", "acl", "public-read"),
        ("s3://b/p", "grant_read", "id=1"),
        ("s3://b/p", "use_ssl", "false"),
        ("s3://b/p", "use_ssl", "perhaps"),
        ("s3://b/p", "sse_customer_algorithm", "DES"),
        ("s3://b/p", "read_timeout", "soon"),
        ("s3://b/p", "ssl_verify", "/no/such/file"),
        ("s3://b/p", "endpointurl", "host:9000"),
        ("s3://b/p", "profile", "nobody-of-this-name"),
        ("gs://b/p", "credentialpath", "/no/such/file"),
        ("azure://c/p", "exclude_environment_credential", "true"),
        ("http://h/p", "auth", "digest"),
        ("http://h/p", "ask_password", "true"),
        ("webdavs://h/p", "bearer_token_command", "rm -rf /"),
        ("webdavs://h/p", "cert_path", "/x"),
        ("ssh://h/p", "gss_auth", "true"),
        ("ssh://h/p", "port", "many"),
        ("webhdfs://h/p", "ssl_verify", "false"),
        ("/srv/store", "shared", "everybody"),
    ],
)
def test_what_cannot_be_honoured_is_refused(url: str, key: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    with pytest.raises(Invalid) as error:
        open_url(url, {key: value})
    assert error.value.code == "data.remote_option"
    assert key in error.value.message


def test_every_scheme_has_its_keys() -> None:
    assert set(SCHEMES.values()) | {"local"} == set(TABLE)
    assert kind_of("file:///srv/x") == "local"
    with pytest.raises(Invalid):
        kind_of("carrier-pigeon://x")


def test_options_reach_the_store() -> None:
    options = read_options(
        "r",
        "s3",
        {
            "region": "eu-north-1",
            "endpointurl": "https://h",
            "sse": "AES256",
            "allow_anonymous_login": "true",
            "read_timeout": "7",
        },
    )
    assert options.store == {
        "region": "eu-north-1",
        "endpoint": "https://h",
        "server_side_encryption": "AES256",
        "skip_signature": True,
    }
    assert options.client["read_timeout"].total_seconds() == 7


VALUES = {
    "allow_anonymous_login": "true",
    "sse": "AES256",
    "account_key": "c2VjcmV0",
    "sse_customer_key": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
}
ACCOUNTS = {
    "s3": {"access_key_id": "a", "secret_access_key": "b"},
    "gs": {"allow_anonymous_login": "true"},
    "azure": {"account_name": "ada", "account_key": "c2VjcmV0"},
}


def test_every_option_of_a_store_is_one_that_it_knows(tmp_path: Path) -> None:
    """Each is handed to the real client, which refuses what it does not know."""
    for kind, keys in {"s3": TABLE["s3"], "gs": TABLE["gs"], "azure": TABLE["azure"]}.items():
        for key, use in keys.items():
            if use.place not in ("store", "client"):
                continue
            value = VALUES.get(key, "https://127.0.0.1:9" if "url" in key else "7")
            more = ACCOUNTS[kind]
            remote = open_url(f"{'azure' if kind == 'azure' else kind}://place/p", {**more, key: value})
            assert remote._store is not None  # type: ignore[attr-defined]


def test_profiles_of_aws_are_read(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[team]\naws_access_key_id = AKID\naws_secret_access_key = hush\n")
    (tmp_path / "config").write_text("[profile team]\nregion = eu-north-1\n[profile sso]\nsso_start_url = https://x\n")
    own = {"profile": "team", "credentialpath": str(tmp_path / "credentials"), "configpath": str(tmp_path / "config")}
    assert profile_options("r", own, {}) == {"access_key_id": "AKID", "secret_access_key": "hush", "region": "eu-north-1"}
    assert profile_options("r", {}, {"AWS_ACCESS_KEY_ID": "other"}) == {}
    with pytest.raises(Invalid, match="sso_start_url") as error:
        profile_options("r", {**own, "profile": "sso"}, {})
    assert "hush" not in repr(error.value)


def test_a_remote_may_lie_in_another() -> None:
    known = {"a": {"url": "s3://b/p", "region": "x"}, "c": {"url": "remote://a/d", "jobs": "2"}, "e": {"url": "remote://c/f"}}
    assert resolve(known, "e") == ({"url": "s3://b/p", "region": "x", "jobs": "2"}, "s3://b/p/d/f")
    wrongs: list[dict[str, dict[str, str]]] = [{"a": {"url": "remote://a/x"}}, {"a": {"url": "remote://gone/x"}}, {"a": {}}]
    for wrong in wrongs:
        with pytest.raises(Invalid):
            resolve(wrong, "a")


def test_a_remote_is_found_by_its_name() -> None:
    settings = {"core": {"remote": "Store"}, 'remote "store"': {"url": "/srv/store", "jobs": "3"}}
    named = open_named(settings)
    assert (named.name, named.jobs, named.remote.shown) == ("store", 3, "/srv/store")
    with pytest.raises(NotFound, match="there is no remote 'x'") as error:
        open_named(settings, "x")
    assert "store" in error.value.hint


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://ada:hush-hush@127.0.0.1:9/p?token=hush-hush"
    remote = open_url(url, {"connect_timeout": "1"})
    assert "hush" not in remote.shown
    with pytest.raises(PerenneError) as error:
        open_url("ssh://ada:hush-hush@127.0.0.1:9/p", {"timeout": "1"}).about("x")
    assert "hush" not in f"{error.value} {error.value.hint} {error.value!r}"
    with pytest.raises(Invalid) as refused:
        open_url("s3://b", {"secret_access_key": "hush-hush", "acl": "public-read"})
    assert "hush" not in f"{refused.value} {refused.value.hint}"


def test_a_web_server_that_asks_for_a_password_gets_it() -> None:
    server = WebServer()
    try:
        server.files["/p/x"] = b"x"
        server.password = "Basic YWRhOmh1c2g="
        assert open_url(f"{server.url}/p", {"auth": "basic", "user": "ada", "password": "hush"}).about("x") is not None
        assert open_url(server.url.replace("//", "//ada:hush@") + "/p").about("x") is not None
        server.password = "hush"
        custom = {"auth": "custom", "custom_auth_header": "X-Pass", "password": "hush"}
        assert open_url(f"{server.url}/p", custom).about("x") is not None
        with pytest.raises(Denied) as error:
            open_url(f"{server.url}/p", custom | {"password": "wrong"}).about("x")
        assert error.value.code == "data.remote_denied"
    finally:
        server.stop()


def test_trouble_that_passes_is_waited_out(tmp_path: Path) -> None:
    server = WebServer()
    try:
        server.files["/x"] = b"x"
        server.answers = [503, 429, 500]
        assert open_url(server.url).get("x", str(tmp_path / "x")) == "9dd4e461268c8034f5c8564e155c67a6"
        assert len(server.seen) == 4
    finally:
        server.stop()


def test_a_host_whose_key_is_not_known_is_refused(sftp: SftpServer, tmp_path: Path) -> None:
    url = f"ssh://{USER}@127.0.0.1:{sftp.port}/deep"
    (tmp_path / "home/.ssh/known_hosts").write_text("")
    with pytest.raises(Denied, match="key is not known"):
        open_url(url, {"password": PASSWORD}).about("x")
    other = SftpServer(tmp_path)
    other.port = sftp.port
    (tmp_path / "home/.ssh/known_hosts").write_text(other.known_host)
    with pytest.raises(Denied, match="another key"):
        open_url(url, {"password": PASSWORD}).about("x")


def test_keys_and_aliases_of_ssh_are_taken(sftp: SftpServer, tmp_path: Path) -> None:
    import paramiko

    key = paramiko.ECDSAKey.generate(bits=256)
    key.write_private_key_file(str(tmp_path / "key"), password="hush")
    sftp.allowed_key = key.get_base64()
    (tmp_path / "home/.ssh/config").write_text(f"Host backup\n  HostName 127.0.0.1\n  Port {sftp.port}\n  User {USER}\n")
    remote = open_url("ssh://backup/deep", {"keyfile": str(tmp_path / "key"), "passphrase": "hush", "allow_agent": "false"})
    assert list(remote.listing("")) == []
    remote.close()
    with pytest.raises(Denied):
        open_url("ssh://backup/deep", {"password": "wrong", "allow_agent": "false"}).about("x")


def test_a_connection_that_broke_is_made_again(sftp: SftpServer, tmp_path: Path) -> None:
    remote = open_url(f"ssh://{USER}@127.0.0.1:{sftp.port}/deep", {"password": PASSWORD, "allow_agent": "false"})
    (tmp_path / "source").write_bytes(b"x" * 100)
    remote.put(str(tmp_path / "source"), "one")
    sftp.cut()
    with contextlib.suppress(Unavailable):  # the first to see that the connection is gone
        remote.about("one")
    assert remote.about("one") is not None
    remote.close()


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(Unavailable, match="pydrive2") as error:
        open_url("gdrive://root/x", {"gdrive_client_id": "a", "gdrive_client_secret": "b"}).about("y")
    assert error.value.code == "data.extra_needed"


def test_a_connection_string_of_azure_is_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "DefaultEndpointsProtocol=https;AccountName=ada;AccountKey=aHVzaA==;EndpointSuffix=core.windows.net"
    config = clouds._azure_config("r", read_options("r", "azure", {"connection_string": text}))
    assert config == {"account_name": "ada", "account_key": "aHVzaA==", "endpoint": "https://ada.blob.core.windows.net"}
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "BlobEndpoint=https://x;SharedAccessSignature=sig")
    assert clouds._azure_config("r", read_options("r", "azure", {})) == {"endpoint": "https://x", "sas_key": "sig"}


def test_a_file_of_google_credentials_tells_its_kind(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    for kind, option in (("service_account", "service_account"), ("authorized_user", "application_credentials")):
        file.write_text(json.dumps({"type": kind}))
        read = read_options("r", "gs", {"credentialpath": str(file)})
        assert clouds._gs_account("r", read) == {option: str(file)}
