"""The ways to reach people: the log, a signed webhook, mail, and whatever apprise knows."""

import logging
import os
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import urlsplit

from perenne.core.errors import Invalid, Unavailable
from perenne.monitoring.alerting.messages import Message
from perenne.monitoring.alerting.targets import Mailbox, Target, filled, kind_of, mailbox_of
from perenne.monitoring.model import Severity

_log = logging.getLogger("perenne.alerts")


class Notifier(Protocol):
    """A way to reach people."""

    def send(self, message: Message) -> None:
        """Deliver a message, or raise; it may be called again with the same message."""
        ...


class LogNotifier:
    """Writes messages to the log."""

    def send(self, message: Message) -> None:
        """Write one line per alert."""
        level = logging.INFO if message.severity is Severity.INFO else logging.WARNING
        for line in message.lines:
            _log.log(level, "%s: %s", message.version or message.deployment or "perenne", line)


class WebhookNotifier:
    """Posts messages as signed JSON.

    Parameters
    ----------
    url : str
        Where to; private addresses and plain http are refused.
    secret : str
        The key of the signature.
    allow : frozenset of str
        `host:port` that may be private and may be asked by plain http.
    """

    def __init__(self, url: str, secret: str, allow: frozenset[str] = frozenset()) -> None:
        self._url = url
        self._secret = secret
        self._allow = allow

    def send(self, message: Message) -> None:
        """Post the message. Raises Unavailable if the receiver does not take it, Invalid or Denied if it may not be asked."""
        from perenne.net.egress import post_json

        post_json(self._url, message, secret=self._secret, identity=message.key, allow=self._allow)


class MailNotifier:
    """Sends messages by mail; those about one alert belong together in a mail program.

    Parameters
    ----------
    box : Mailbox
        Through which server, and to whom.
    allow : frozenset of str
        `host:port` of servers that may be private.
    """

    def __init__(self, box: Mailbox, allow: frozenset[str] = frozenset()) -> None:
        self._box = box
        self._allow = allow

    def send(self, message: Message) -> None:
        """Hand the message to the mail server. Raises Unavailable, Invalid or Denied as `send_mail` does."""
        from perenne.net.mail import Server, send_mail

        box = self._box
        server = Server(
            host=box.host, port=box.port, security=box.security, user=box.user, password=box.password, ca=box.ca
        )  # fmt: skip
        send_mail(server, self._mail(message), allow=self._allow)

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self._box.sender, ", ".join(self._box.recipients), message.subject
        mail["Date"], mail["Message-ID"] = formatdate(), f"<{message.key}@perenne>"
        mail["X-Perenne-Delivery"] = message.key
        mail["Auto-Submitted"] = "auto-generated"
        if message.alerts:
            mail["References"] = f"<{message.alerts[0]}@perenne>"
        mail.set_content(message.text + "\n")
        return mail


class AppriseNotifier:
    """Hands messages to apprise, which knows more than a hundred services by their URLs.

    Parameters
    ----------
    url : str
        As apprise has it, such as `slack://…`.
    allow : frozenset of str
        `host:port` that may be private.
    """

    def __init__(self, url: str, allow: frozenset[str] = frozenset()) -> None:
        self._url = url
        self._allow = allow

    def send(self, message: Message) -> None:
        """Notify. Raises Unavailable if the service did not take it, Invalid if apprise is not there or cannot read the URL."""
        apprise = _apprise()
        self._check_host()
        service = apprise.Apprise()
        if not service.add(self._url):
            scheme = self._url.partition("://")[0][:40]
            raise Invalid(
                f"apprise cannot read an address of {scheme}", code="channel.target", hint="its documentation has the form"
            )
        kinds = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}
        kind = "success" if message.what == "resolved" else kinds[message.severity]
        text = f"{message.text}\n\n({message.key[:12]})"
        if not service.notify(title=message.subject, body=text, notify_type=kind, body_format="text"):
            raise Unavailable(
                "the service did not take it", code="channel.refused", hint="its address, token and limits may say why"
            )

    def _check_host(self) -> None:
        """Refuse a private host, where the URL names a host; of many services it names a token instead."""
        parts = urlsplit(self._url)
        try:
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return
        if host != "localhost" and "." not in host and ":" not in host:
            return
        from perenne.net.egress import Egress

        known = port or (443 if parts.scheme.endswith("s") else 80)
        place = f"[{host}]:{known}" if ":" in host else f"{host}:{known}"
        Egress(self._allow).check(f"https://{place}/")


def _apprise() -> Any:
    try:
        import apprise
    except ImportError:
        raise Invalid("apprise is not installed", code="channel.apprise", hint="pip install 'perenne[alerts]'") from None
    return apprise


def allowed(environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return each `host:port` that may be private, as `PERENNE_ALERT_ALLOW` lists them with commas.

    >>> sorted(allowed({"PERENNE_ALERT_ALLOW": "127.0.0.1:9000, mail.internal:25"}))
    ['127.0.0.1:9000', 'mail.internal:25']
    """
    return frozenset(part.strip().lower() for part in environment.get("PERENNE_ALERT_ALLOW", "").split(",") if part.strip())


def notifier_of(target: Target, environment: Mapping[str, str] = os.environ) -> Notifier:
    """Return what reaches the people at a target, with the secrets filled in.

    Raises
    ------
    Invalid, Unavailable
        If it leads nowhere, or a secret is not there.
    """
    kind, allow = kind_of(target.url), allowed(environment)
    if kind == "log":
        return LogNotifier()
    if kind == "mail":
        return MailNotifier(mailbox_of(filled(target.url, environment, quoted=True)), allow)
    if kind == "apprise":
        return AppriseNotifier(filled(target.url.removeprefix("apprise:"), environment), allow)
    return WebhookNotifier(filled(target.url, environment), filled(target.secret, environment), allow)


def channels_from(environment: Mapping[str, str]) -> dict[str, Notifier]:
    """Return the log and, if `PERENNE_ALERT_WEBHOOK` names its URL, the webhook.

    `PERENNE_ALERT_SECRET` signs what it gets; `PERENNE_ALERT_ALLOW` lists, with commas, each `host:port` that may be private.

    >>> sorted(channels_from({"PERENNE_ALERT_WEBHOOK": "https://example.org/hook"}))
    ['log', 'webhook']
    """
    channels: dict[str, Notifier] = {"log": LogNotifier()}
    if url := environment.get("PERENNE_ALERT_WEBHOOK"):
        channels["webhook"] = WebhookNotifier(url, environment.get("PERENNE_ALERT_SECRET", ""), allowed(environment))
    return channels
