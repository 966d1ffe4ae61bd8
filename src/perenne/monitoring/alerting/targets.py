"""Where a channel leads: a text such as `https://…`, `smtps://…`, `apprise:slack://…` or `log:`, read, masked and filled in.

A secret need not stand in it: `$NAME` and `${NAME}` are taken from the environment, and `${/path}` from a file, each time that
something is sent. What was declared is kept sealed and shown only masked.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import msgspec

from perenne.core.errors import Invalid, Unavailable

_PLACE = re.compile(r"\$(?:\{(?P<file>/[^}]+)\}|\{(?P<braced>[A-Za-z_]\w*)\}|(?P<name>[A-Za-z_]\w*))")
OWN = "PERENNE_ALERT_"
"""How the variables are called that a channel declared over the network may use: no other secret leaves by it."""

LONGEST = 4_000
MOST_RECIPIENTS = 50
_ADDRESS = re.compile(r"[^@\s<>,;:\"\\]{1,64}@[A-Za-z0-9.-]{1,255}")


class Target(msgspec.Struct, frozen=True):
    """What is sealed: where it leads, and the key that signs what a webhook gets."""

    url: str
    secret: str = ""


class Mailbox(msgspec.Struct, frozen=True, kw_only=True):
    """A mail server, and who gets mail by it. `security` is `tls`, `starttls` or `none`; `ca` a file of certificates to trust."""

    host: str
    port: int
    security: str
    user: str
    password: str
    sender: str
    recipients: tuple[str, ...]
    ca: str = ""


def kind_of(url: str) -> str:
    """Tell what kind of channel a text leads to. Raises Invalid.

    >>> [kind_of(url) for url in ("https://hooks.example.org/x", "smtps://mail.example.org?to=a@b.org", "apprise:slack://a/b/c")]
    ['webhook', 'mail', 'apprise']
    """
    scheme = url.partition(":")[0].lower()
    kinds = {"https": "webhook", "http": "webhook", "smtp": "mail", "smtps": "mail", "apprise": "apprise", "log": "log"}
    if scheme not in kinds or len(url) > LONGEST:
        hint = "https://…, smtp://user@host:587?to=…, smtps://…, apprise:SCHEME://… or log:"
        raise Invalid(f"{masked(url)!r} leads nowhere that is known", code="channel.target", hint=hint)
    if kinds[scheme] == "mail":
        mailbox_of(_PLACE.sub("x", url))
    rest = url.removeprefix("apprise:")
    if kinds[scheme] == "apprise" and "://" not in rest and not _PLACE.fullmatch(rest):
        raise Invalid("apprise: no address follows", code="channel.target", hint="such as apprise:slack://$SLACK_TOKENS")
    return kinds[scheme]


def masked(url: str) -> str:
    """Return a target as it may be shown: paths and queries of webhooks, and all that follows a scheme of apprise, are secrets.

    >>> masked("https://hooks.slack.com/services/T0/B0/abc"), masked("smtp://ada:pw@mail.example.org:587?to=ops@example.org")
    ('https://hooks.slack.com/…', 'smtp://ada:…@mail.example.org:587?to=ops@example.org')
    >>> masked("apprise:slack://abc/def")
    'apprise:slack://…'
    """
    if url.startswith("apprise:$"):
        return url if _PLACE.fullmatch(url.removeprefix("apprise:")) else "apprise:…"
    if url.startswith("apprise:"):
        return f"apprise:{url.removeprefix('apprise:').partition('://')[0][:40]}://…"
    try:
        parts = urlsplit(url)
        host, user = parts.hostname or "", parts.username or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "…"
    if parts.scheme in ("smtp", "smtps"):
        to = ",".join(parse_qs(parts.query).get("to", ()))
        who = f"{user}:…@" if parts.password else f"{user}@" if user else ""
        return f"{parts.scheme}://{who}{host}{port}?to={to}"
    if parts.scheme in ("http", "https"):
        return f"{parts.scheme}://{host}{port}/…" if parts.path.strip("/") or parts.query else f"{parts.scheme}://{host}{port}/"
    return f"{parts.scheme}:" if parts.scheme == "log" else f"{parts.scheme[:20]}:…"


def filled(text: str, environment: Mapping[str, str] = os.environ, *, quoted: bool = False) -> str:
    """Put in what stands in the environment or in a file.

    Parameters
    ----------
    quoted : bool
        Whether it is put into a URL.

    Raises
    ------
    Unavailable
        If a variable or a file is not there.

    >>> filled("smtp://ada:$PW@mail", {"PW": "a/b"}, quoted=True)
    'smtp://ada:a%2Fb@mail'
    """

    def value(match: re.Match[str]) -> str:
        found = _read(match["file"]) if match["file"] else environment.get(match["braced"] or match["name"])
        if found is None:
            what = match["file"] or f"${match['braced'] or match['name']}"
            raise Unavailable(f"{what} is not there", code="channel.secret", hint="set it where the control plane runs")
        return quote(found, safe="") if quoted else found

    whole = _PLACE.fullmatch(text)
    return value(whole) if whole and not quoted else _PLACE.sub(value, text)


def check_remote(text: str) -> str:
    """Return a text from over the network, if what it takes from the environment was meant for channels; files never are.

    >>> check_remote("https://hooks.example.org/$PERENNE_ALERT_OPS")
    'https://hooks.example.org/$PERENNE_ALERT_OPS'
    """
    for match in _PLACE.finditer(text):
        if not (match["braced"] or match["name"] or "").startswith(OWN):
            raise Invalid(
                f"{match[0][:80]} may not be read from here",
                code="channel.secret",
                hint=f"variables whose names begin with {OWN}; others, and files, from `perenne alert channel add`",
            )
    return text


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def mailbox_of(url: str) -> Mailbox:
    """Read `smtp[s]://user:password@host:port?to=…&from=…&tls=none&ca=…`. Raises Invalid, naming what is wrong."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _wrong("it is no address") from None
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    recipients = tuple(part.strip() for part in options.get("to", "").split(",") if part.strip())
    user, sender = unquote(parts.username or ""), options.get("from", "")
    sender = sender or (user if _ADDRESS.fullmatch(user) else f"perenne@{host}")
    checks = (
        (not host, "it names no host"),
        (not recipients, "it names nobody: ?to=ops@example.org"),
        (len(recipients) > MOST_RECIPIENTS, f"it names more than {MOST_RECIPIENTS} people"),
        (not all(_ADDRESS.fullmatch(name) for name in (*recipients, sender)), "a mail address cannot be read"),
        (bool(options.keys() - {"to", "from", "tls", "ca"}), "beside to, from, tls and ca it says nothing"),
        (options.get("tls", "none") != "none", "tls is none, or not given"),
    )
    for wrong, problem in checks:
        if wrong:
            raise _wrong(problem)
    security = "tls" if parts.scheme == "smtps" else "none" if "tls" in options else "starttls"
    return Mailbox(
        host=host,
        port=port or (465 if security == "tls" else 587),
        security=security,
        user=user,
        password=unquote(parts.password or ""),
        sender=sender,
        recipients=recipients,
        ca=options.get("ca", ""),
    )


def _wrong(problem: str) -> Invalid:
    return Invalid(
        f"mail: {problem}", code="channel.target", hint="smtp://user:$SMTP_PASSWORD@mail.example.org?to=ops@example.org"
    )
