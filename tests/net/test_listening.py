"""Where a server may listen: on loopback as it likes, elsewhere only with tokens, a private line and a name."""

from pathlib import Path
from typing import Any

import pytest
import trustme

from perenne.core.config import load_settings
from perenne.core.errors import Invalid
from perenne.net.listening import Listening, check_listening, needs_tokens


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    for name in ("one", "other"):
        issued = authority.issue_cert("models.example.org")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        for part in issued.cert_chain_pems:
            part.write_to_path(folder / f"{name}.pem", append=True)
    (folder / "empty").write_text("")
    return {name: str(folder / name) for name in ("one.key", "one.pem", "other.key", "other.pem", "empty")}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_loopback_nothing_is_needed(host: str) -> None:
    where = Listening(host=host)
    check_listening(where, 0)
    assert where.loopback and not needs_tokens(where, "") and needs_tokens(where, "tokens")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "192.168.1.1", "models.example.org", "localhost.evil", ""])
def test_elsewhere_tokens_and_a_private_line_are(host: str, files: dict[str, str]) -> None:
    secure: dict[str, Any] = {"tls_cert": files["one.pem"], "tls_key": files["one.key"], "names": ("models.example.org",)}
    refused = [(Listening(host=host, **secure), 0, "authentication"), (Listening(host=host, names=("x",)), 1, "TLS")]
    for where, tokens, lacking in refused:
        with pytest.raises(Invalid, match=f"refusing to listen on {host} without {lacking}"):
            check_listening(where, tokens)
        assert needs_tokens(where, "")
    check_listening(Listening(host=host, **secure), 1)
    check_listening(Listening(host=host, trusted_proxies=("10.0.0.0/24",), names=("x",)), 1)


def test_everywhere_a_name_is_needed_too(files: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="without a name"):
        check_listening(Listening(host="0.0.0.0", tls_cert=files["one.pem"], tls_key=files["one.key"]), 1)


@pytest.mark.parametrize(
    ("cert", "key"),
    [
        ("one.pem", ""),
        ("", "one.key"),
        ("one.pem", "other.key"),
        ("one.key", "one.pem"),
        ("empty", "empty"),
        ("missing", "one.key"),
    ],
)
def test_certificate_and_key_must_fit(files: dict[str, str], cert: str, key: str) -> None:
    where = Listening(tls_cert=files.get(cert, cert), tls_key=files.get(key, key))
    with pytest.raises(Invalid) as error:
        check_listening(where, 0)
    assert error.value.code == "listen.certificate"


@pytest.mark.parametrize("proxy", ["*", "proxy.example", "10.0.0.0/33", "10.0.0.5/24", ""])
def test_a_proxy_is_an_address_or_a_network(proxy: str) -> None:
    with pytest.raises(Invalid) as error:
        check_listening(Listening(trusted_proxies=(proxy,)), 0)
    assert error.value.code == "listen.proxy"


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    given = {"PERENNE_AUTH": "tokens", "PERENNE_NAMES": "a.example, b.example:8443,", "PERENNE_TRUSTED_PROXIES": "10.0.0.5"}
    settings = load_settings(tmp_path, given | {"PERENNE_TLS_CERT": "c", "PERENNE_TLS_KEY": "k"})
    assert (settings.auth, settings.names, settings.trusted_proxies) == ("tokens", ("a.example", "b.example:8443"), ("10.0.0.5",))
    assert (settings.tls_cert, settings.tls_key) == ("c", "k")
    assert load_settings(tmp_path, {"PERENNE_TOKEN_RATE": "0.5"}).token_rate == 0.5
    for name, bad in (("AUTH", "off"), ("TOKEN_RATE", "-1"), ("TOKEN_RATE", "nan"), ("TOKEN_RATE", "inf"), ("TOKEN_RATE", "x")):
        with pytest.raises(Invalid, match=f"PERENNE_{name}"):
            load_settings(tmp_path, {f"PERENNE_{name}": bad})
