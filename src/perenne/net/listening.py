"""Where a server listens, and what it needs to listen there: on loopback nothing, elsewhere tokens and a private line."""

import ipaddress
import ssl
from typing import Any

import msgspec

from perenne.core.errors import Invalid

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where a server listens, and by which names it is reached.

    Attributes
    ----------
    host : str
        The address.
    names : tuple of str
        Further values of `Host` it answers to, with the port or without.
    tls_cert, tls_key : str
        Files of a certificate with its chain, and of its key; both or neither.
    trusted_proxies : tuple of str
        Addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    contained : bool
        Whether it listens in a container, whose network is its own: who runs the container decides who reaches it.
    """

    host: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""
    trusted_proxies: tuple[str, ...] = ()
    contained: bool = False

    @property
    def loopback(self) -> bool:
        """Tell whether only this machine can reach it."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def url(self, port: int) -> str:
        """Return how this machine reaches it.

        >>> Listening(host="::1").url(7373), Listening(host="0.0.0.0").url(7373)
        ('http://[::1]:7373', 'http://127.0.0.1:7373')
        """
        host = _EVERYWHERE.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls_cert else 'http'}://{host}:{port}"

    def page(self, port: int) -> str:
        """Return how a browser reaches it: by its first name, if it has one; a proxy before it speaks TLS at the usual port.

        >>> Listening(host="0.0.0.0", names=("models.example.org",), tls_cert="c").page(7373)
        'https://models.example.org:7373'
        >>> Listening(host="10.0.0.5", names=("models.example.org",), trusted_proxies=("10.0.0.2",)).page(7373)
        'https://models.example.org'
        """
        if not self.names or self.loopback:
            return self.url(port)
        name = self.names[0]
        if self.trusted_proxies and not self.tls_cert:
            return f"https://{name}"
        return f"{'https' if self.tls_cert else 'http'}://{name}" + ("" if ":" in name else f":{port}")

    def options(self) -> dict[str, Any]:
        """Return what uvicorn is told of it."""
        options: dict[str, Any] = {"proxy_headers": bool(self.trusted_proxies), "forwarded_allow_ips": list(self.trusted_proxies)}
        if self.tls_cert:
            options |= {"ssl_certfile": self.tls_cert, "ssl_keyfile": self.tls_key}
        return options


LOOPBACK = Listening()


def needs_tokens(listening: Listening, auth: str) -> bool:
    """Tell whether callers must show a token: always but on loopback, and there if the setting says so."""
    return auth == "tokens" or not listening.loopback


def check_listening(listening: Listening, tokens: int) -> None:
    """Refuse to listen where others could read along or come in.

    Parameters
    ----------
    listening : Listening
        Where.
    tokens : int
        How many tokens are valid.

    Raises
    ------
    Invalid
        If certificate and key do not fit, a proxy is no address, or, elsewhere than on loopback and in a container, there is no
        token, neither a certificate nor a trusted proxy, or no name by which it is reached.
    """
    _check_certificate(listening)
    for proxy in listening.trusted_proxies:
        _check_network(proxy)
    if listening.loopback or listening.contained:
        return
    refusing = f"refusing to listen on {listening.host} without"
    if tokens == 0:
        hint = "`perenne token create NAME --role owner` makes the first token"
        raise Invalid(f"{refusing} authentication", code="listen.auth", hint=hint)
    if not listening.tls_cert and not listening.trusted_proxies:
        hint = "give --tls-cert and --tls-key, or with --trusted-proxy the address of the proxy that has them"
        raise Invalid(f"{refusing} TLS", code="listen.tls", hint=hint)
    if listening.host in _EVERYWHERE and not listening.names:
        raise Invalid(f"{refusing} a name", code="listen.names", hint="say with --names by which names it is reached")


def _check_certificate(listening: Listening) -> None:
    if bool(listening.tls_cert) != bool(listening.tls_key):
        raise Invalid("a certificate and its key are given together", code="listen.certificate", hint="--tls-cert and --tls-key")
    if listening.tls_cert:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(listening.tls_cert, listening.tls_key, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or "not readable"
            raise Invalid(
                f"the certificate and its key cannot be used: {reason}",
                code="listen.certificate",
                hint="--tls-cert names the certificate with its chain, --tls-key its key without a password, both in PEM",
            ) from None


def _check_network(text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        hint = "an address such as 10.0.0.5, or a network such as 10.0.0.0/24"
        raise Invalid(f"{text[:100]!r} is not the address of a proxy", code="listen.proxy", hint=hint) from None
