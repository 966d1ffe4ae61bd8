"""Sending mail: like everything that leaves of its own accord, only to hosts that may be asked, and to the addresses checked.

TLS is asked for, from the start or by STARTTLS, and the certificate is checked; without it mail goes only to a host that is
allowed by name.
"""

import smtplib
import socket
import ssl
from email.message import EmailMessage

import msgspec

from perenne.core.errors import Invalid, Unavailable
from perenne.net.egress import Egress

SECONDS = 20.0


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A mail server: `security` is `tls` from the start, `starttls`, or `none`; `ca` is a file of certificates to trust."""

    host: str
    port: int
    security: str = "starttls"
    user: str = ""
    password: str = ""
    ca: str = ""


def send_mail(server: Server, message: EmailMessage, *, allow: frozenset[str] = frozenset(), seconds: float = SECONDS) -> None:
    """Hand a message to a mail server.

    Parameters
    ----------
    allow : frozenset of str
        `host:port` of servers that may be private, and may be spoken to without TLS.

    Raises
    ------
    Invalid, Denied
        If the server may not be asked.
    Unavailable
        If it cannot be reached, does not offer TLS, or takes the message for none of its recipients.
    """
    place = f"[{server.host}]:{server.port}" if ":" in server.host else f"{server.host}:{server.port}"
    if server.security == "none" and place.lower() not in allow:
        raise Invalid(f"{server.host} is sent mail by TLS only", code="mail.tls", hint="or allow this host and port by name")
    found: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found.extend(dict.fromkeys(str(address[0]) for *_, address in known))
        return found

    Egress(allow, resolve=resolve).check(f"https://{place}/")
    try:
        context = ssl.create_default_context(cafile=server.ca or None)
        with _Connection(server, found, context, seconds) as connection:
            connection.ehlo()
            if server.security == "starttls":
                connection.starttls(context=context)
            if server.user:
                connection.login(server.user, server.password)
            connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise Unavailable(
            f"mail server {server.host} did not take it: {type(error).__name__}", code="mail.unavailable", hint=_said(error)
        ) from error


def _said(error: Exception) -> str:
    """Return what a server said of why, without what it was sent."""
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
        return f"{error.smtp_code} {text}"[:200]
    return "" if isinstance(error, smtplib.SMTPRecipientsRefused) else str(error)[:200]


class _Connection(smtplib.SMTP):
    """A connection to one of the addresses that were checked."""

    def __init__(self, server: Server, addresses: list[str], context: ssl.SSLContext, seconds: float) -> None:
        self._addresses = addresses
        self._tls = context if server.security == "tls" else None
        super().__init__(server.host, server.port, timeout=seconds)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        failure: OSError = OSError("no address")
        for address in self._addresses:
            try:
                opened = socket.create_connection((address, port), timeout)
            except OSError as error:
                failure = error
                continue
            return self._tls.wrap_socket(opened, server_hostname=host) if self._tls else opened
        raise failure
