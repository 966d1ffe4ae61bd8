"""Channels: declared once, their secrets shown nowhere; mail by real SMTP, apprise to a real receiver; private hosts refused."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.asked import ask, seen
from tests.monitoring.alerting.mail_server import MailServer

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.auth.sealing import seal_of
from perenne.cli.monitor import alert
from perenne.core.clock import MINUTE
from perenne.core.errors import Conflict, Denied, Invalid, NotFound, PerenneError, Unavailable
from perenne.monitoring.alerting import channels, store
from perenne.monitoring.alerting.delivering import AlertDelivery
from perenne.monitoring.alerting.messages import Message
from perenne.monitoring.alerting.model import Channel, Options
from perenne.monitoring.alerting.notifiers import AppriseNotifier, MailNotifier, notifier_of
from perenne.monitoring.alerting.targets import Target, check_remote, filled, kind_of, mailbox_of, masked
from perenne.monitoring.model import Severity
from perenne.storage.workspace import Workspace

MESSAGE = Message(
    key="k" * 32, deployment="churn", version="churn@1", window_start=0, severity=Severity.CRITICAL,
    subject="[critical] churn@1: firing", lines=("firing: naïve <b>", ".a line that begins with a dot"), alerts=("01A",),
    link="https://perenne.example.org/alert/01A",
)  # fmt: skip
SECRET = "hunter2-in-the-url"


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailServer]:
    server = MailServer(tmp_path, password="p/w")
    yield server
    server.close()


def box(server: MailServer, more: str = "", scheme: str = "smtp", user: str = "ada:$PW@") -> str:
    return f"{scheme}://{user}{server.place}?to=ops@example.org,ada@example.org&from=perenne@example.org&ca={server.ca}{more}"


def send(url: str, server: MailServer) -> None:
    notifier_of(Target(url), {"PW": "p/w", "PERENNE_ALERT_ALLOW": server.place}).send(MESSAGE)


def test_mail_goes_by_starttls_with_a_log_in_and_comes_as_it_was_written(mail: MailServer) -> None:
    send(box(mail), mail)
    (got,) = mail.mails
    assert (mail.logged_in, mail.was_secure) == (["ada"], [True])
    assert (got["To"], got["From"], got["Subject"]) == (
        "ops@example.org, ada@example.org",
        "perenne@example.org",
        MESSAGE.subject,
    )
    assert (got["Message-ID"], got["X-Perenne-Delivery"]) == (f"<{MESSAGE.key}@perenne>", MESSAGE.key)
    body = got.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().replace("\r\n", "\n").strip() == MESSAGE.text


def test_mail_goes_by_tls_from_the_start(tmp_path: Path) -> None:
    server = MailServer(tmp_path, tls=True)
    send(box(server, scheme="smtps", user=""), server)
    server.close()
    assert server.was_secure == [True] and len(server.mails) == 1


@pytest.mark.parametrize(
    ("server", "url", "kind"),
    [
        ({"starttls": False}, "", Unavailable),
        ({"password": "other"}, "", Unavailable),
        ({"refuse": "nobody here"}, "", Unavailable),
        ({}, "&tls=none", None),
    ],
)
def test_mail_without_tls_a_wrong_password_and_no_recipient_fail(
    tmp_path: Path, server: dict[str, object], url: str, kind: type[PerenneError] | None
) -> None:
    made = MailServer(tmp_path, **server)  # type: ignore[arg-type]
    user = "ada:$PW@" if "password" in server else ""
    if kind is None:
        send(box(made, url, user=user), made)
        assert made.was_secure == [False], "a host that is allowed by name may be spoken to without TLS"
    else:
        with pytest.raises(kind) as told:
            send(box(made, url, user=user), made)
        assert "p/w" not in str(told.value) + told.value.hint
    made.close()


def test_mail_to_a_private_host_or_one_with_another_certificate_is_refused(mail: MailServer, tmp_path: Path) -> None:
    with pytest.raises(Denied):
        notifier_of(Target(box(mail)), {"PW": "p/w"}).send(MESSAGE)
    with pytest.raises(Invalid, match="TLS only"):
        notifier_of(Target(box(mail, "&tls=none")), {"PW": "p/w"}).send(MESSAGE)
    with pytest.raises(Unavailable):
        send(box(mail).partition("&ca=")[0], mail)
    assert mail.mails == []


@pytest.mark.parametrize(
    "url",
    [
        "smtp://mail", "smtp://?to=a@b.org", "smtp://mail?to=a@b.org%0d%0aBcc:x@y.org", "smtp://mail?to=a@b.org&x=1",
        "smtp://mail?to=a@b.org&tls=yes", "smtp://mail:port?to=a@b.org", "ftp://x", "apprise:slack", "", "file:///etc/passwd",
        "smtp://mail?to=" + ",".join(["a@b.org"] * 51),
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        kind_of(url)


def test_secrets_come_from_the_environment_or_a_file_when_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("from a file\n")
    assert filled(f"${{{path}}}", {}) == "from a file"
    assert mailbox_of(filled("smtp://ada:${PW}@mail?to=a@b.org", {"PW": "p@:/w"}, quoted=True)).password == "p@:/w"
    for missing in ("$NOT_THERE", f"${{{tmp_path}/nothing}}"):
        with pytest.raises(Unavailable):
            filled(missing, {})
    for text in ("https://x/$AWS_SECRET_ACCESS_KEY", "${/etc/passwd}", "https://x/${HOME}"):
        with pytest.raises(Invalid):
            check_remote(text)


def add(workspace: Workspace, actor: Principal, name: str, url: str, *, replace: bool = False, **options: object) -> Channel:
    made = Options(**options)  # type: ignore[arg-type]
    target, seal = Target(url, SECRET), seal_of(workspace.settings.home)
    return workspace.database.write(
        lambda tx: channels.add(tx, actor, name, target, made, seal=seal, now=workspace.clock.now(), replace=replace)
    )


def test_a_channel_is_declared_once_and_its_secrets_are_shown_nowhere(workspace: Workspace, actor: Principal) -> None:
    add(workspace, actor, "ops", f"https://hooks.example.org/{SECRET}?x={SECRET}")
    add(workspace, actor, "post", f"smtp://ada:{SECRET}@mail.example.org?to=ops@example.org")
    add(workspace, actor, "chat", f"apprise:slack://{SECRET}/a/b", escalate_to="ops", escalate_after=MINUTE)
    with pytest.raises(Conflict):
        add(workspace, actor, "ops", "https://other.example.org/")
    add(workspace, actor, "ops", f"https://other.example.org/{SECRET}", replace=True)
    for name in ("log", "A b"):
        with pytest.raises(Invalid):
            add(workspace, actor, name, "log:")
    with pytest.raises(Invalid):
        add(workspace, actor, "x", "log:", escalate_to="gone", escalate_after=1)
    shown = json.dumps(seen(workspace, actor, "/api/alert/channels")) + json.dumps(seen(workspace, actor, "/api/view/alert"))
    with workspace.database.read() as tx:
        trail = str(audit.trail(tx, entity="channel"))
        sealed = [store.sealed_of(tx, name) or "" for name in ("ops", "post", "chat")]
    assert SECRET not in shown + trail + "".join(sealed)
    assert '"https://other.example.org/\\u2026"' in shown and "smtp://ada:" in shown
    with pytest.raises(Conflict, match="chat escalates to ops"):
        workspace.database.write(lambda tx: channels.remove(tx, actor, "ops", 0))
    for name in ("chat", "ops"):
        workspace.database.write(partial(channels.remove, actor=actor, name=name, now=0))
    with pytest.raises(NotFound):
        workspace.database.write(lambda tx: channels.remove(tx, actor, "ops", 0))


def test_only_an_administrator_declares_channels(workspace: Workspace) -> None:
    body = {"name": "ops", "target": "https://hooks.example.org/x", "quiet": "22:00-07:00", "escalate_after": ""}
    for role in set(Role) - {Role.ADMIN}:
        actor = Principal("eve", roles=frozenset({role}))
        assert ask(workspace, actor, "POST", "/api/alert/channels", json=body).status_code == 403, role
        assert ask(workspace, actor, "DELETE", "/api/alert/channels/ops").status_code == 403, role
    admin = Principal("ada", roles=frozenset({Role.ADMIN}))
    assert ask(workspace, admin, "POST", "/api/alert/channels", json=body).status_code == 201
    stolen = body | {"name": "x", "target": "https://evil.example.org/$HOME"}
    assert ask(workspace, admin, "POST", "/api/alert/channels", json=stolen).json()["error_code"] == "channel.secret"
    assert ask(workspace, admin, "DELETE", "/api/alert/channels/ops").json() == {"removed": "ops"}


def test_a_channel_is_tried_and_says_how_it_went(
    workspace: Workspace, actor: Principal, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PW", "p/w")
    monkeypatch.setenv("PERENNE_ALERT_ALLOW", mail.place)
    add(workspace, actor, "post", box(mail))
    delivery = AlertDelivery.of(workspace)
    assert channels.try_out(workspace, actor, delivery, "post").taken
    assert mail.mails[0]["Subject"] == "[info] perenne: this is a test"
    monkeypatch.setenv("PW", "wrong")
    tried = channels.try_out(workspace, actor, delivery, "post")
    assert not tried.taken and "mail.unavailable" in tried.error and "wrong" not in tried.error


def test_commands_of_channels(workspace: Workspace) -> None:
    def run(*words: str) -> Any:
        done = CliRunner().invoke(alert, words, obj=workspace, standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return getattr(done.return_value, "value", done.return_value)

    run("channel", "add", "ops", f"https://hooks.example.org/{SECRET}", "--at-least", "warning", "--quiet", "22:00-07:00")
    assert [(item.name, item.target) for item in run("channel", "list")] == [
        ("log", "log:"), ("ops", "https://hooks.example.org/…"),
    ]  # fmt: skip
    assert run("channel", "test", "log").taken
    for words, kind in (
        (("channel", "test", "gone"), NotFound),
        (("channel", "add", "ops", "https://x.example.org"), Conflict),
        (("channel", "add", "x", "gopher://x"), Invalid),
        (("silence", "--reason", "everything"), Invalid),
    ):
        with pytest.raises(kind):
            run(*words)
    run("channel", "remove", "ops")
    assert [(item.channel, item.taken) for item in run("test")] == [("log", True)]
    run("silence", "--match", "project=churn", "--reason", "moving")
    (lasting,) = run("silences")
    run("unsilence", lasting["silence"])
    assert run("silences") == [] and run("digest").open == ()


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def receiver() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.got, server.status = [], 200  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own
def test_apprise_delivers_what_was_said(receiver: ThreadingHTTPServer) -> None:
    pytest.importorskip("apprise")
    place = f"127.0.0.1:{receiver.server_port}"
    target = Target(f"apprise:json://{place}/hook/$TOKEN")
    notifier_of(target, {"TOKEN": "t", "PERENNE_ALERT_ALLOW": place}).send(MESSAGE)
    (got,) = receiver.got  # type: ignore[attr-defined]
    assert (got["title"], got["type"]) == (MESSAGE.subject, "failure")
    assert got["message"].startswith(MESSAGE.lines[0]) and MESSAGE.key[:12] in got["message"]
    with pytest.raises(Denied):
        AppriseNotifier(f"json://{place}/hook").send(MESSAGE)
    receiver.status = 500  # type: ignore[attr-defined]
    with pytest.raises(Unavailable):
        notifier_of(target, {"TOKEN": "t", "PERENNE_ALERT_ALLOW": place}).send(MESSAGE)
    with pytest.raises(Invalid):
        AppriseNotifier("nothing-known://x").send(MESSAGE)


def test_without_apprise_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(Invalid) as told:
        AppriseNotifier("slack://x").send(MESSAGE)
    assert told.value.hint == "pip install 'perenne[alerts]'"


def test_a_mail_refuses_a_header_of_another() -> None:
    hostile = MESSAGE.__class__(
        **{name: getattr(MESSAGE, name) for name in MESSAGE.__struct_fields__} | {"subject": "a\r\nBcc: x@y"}
    )
    with pytest.raises(ValueError, match="linefeed"):
        MailNotifier(mailbox_of("smtp://mail?to=a@b.org"))._mail(hostile)
    assert masked("mailto:x") == "mailto:…"
