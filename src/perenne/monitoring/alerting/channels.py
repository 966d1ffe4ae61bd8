"""Channels are declared once: added, looked at, tried, removed; where they lead is kept sealed and shown masked."""

from typing import Any

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.auth.sealing import Seal
from perenne.core.errors import Conflict, Invalid, NotFound, PerenneError
from perenne.core.ids import new_id
from perenne.core.redaction import redact_text
from perenne.monitoring import alert_store
from perenne.monitoring.alerting import store
from perenne.monitoring.alerting.delivering import AlertDelivery, channels_from
from perenne.monitoring.alerting.messages import Message
from perenne.monitoring.alerting.model import NAME, Channel, Options, check_options
from perenne.monitoring.alerting.routing import DEAD
from perenne.monitoring.alerting.targets import Target, kind_of, masked
from perenne.monitoring.alerts import resolve_alert
from perenne.monitoring.model import Severity
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

GIVEN = ("log", "webhook")
"""Names of channels that the environment may give."""

MOST_CHANNELS = 200


class Tried(msgspec.Struct, frozen=True):
    """How trying a channel went."""

    channel: str
    taken: bool
    error: str = ""


def add(
    tx: Transaction,
    actor: Principal,
    name: str,
    target: Target,
    options: Options,
    *,
    seal: Seal,
    now: int,
    replace: bool = False,
) -> Channel:
    """Declare a channel.

    Parameters
    ----------
    target : Target
        With its secrets, or with `$NAME` in their places; it is kept sealed.
    replace : bool
        Whether one of that name may be there already.

    Raises
    ------
    Invalid, Conflict
        If the name, the target or an option will not do, or there is a channel of that name.
    """
    require(actor, Action.ADMINISTER)
    if not NAME.fullmatch(name) or name in GIVEN:
        hint = "lower-case letters, digits, - and _; `log` and `webhook` are the environment's"
        raise Invalid(f"channel name {name[:80]!r} cannot be used", code="channel.name", hint=hint)
    known = {channel.name: channel for channel in store.channels(tx)}
    before = known.get(name)
    if before is not None and not replace:
        raise Conflict(f"there is a channel {name}", code="channel.exists", hint="--replace it, or choose another name")
    if before is None and len(known) >= MOST_CHANNELS:
        raise Conflict(f"there are {MOST_CHANNELS} channels already", code="channel.many", hint="remove one that nobody reads")
    check_options(name, options)
    if options.escalate_to and options.escalate_to not in {*known, *GIVEN}:
        hint = "declare it first; `perenne alert channel list` shows those there are"
        raise Invalid(f"escalate_to: there is no channel {options.escalate_to!r}", code="channel.options", hint=hint)
    made = Channel(
        name=name, kind=kind_of(target.url), target=masked(target.url), options=options, created=now, created_by=actor.name,
        digested=now,
    )  # fmt: skip
    sealed = seal.seal(msgspec.json.encode(target).decode())
    store.delete_channel(tx, name)
    store.insert_channel(tx, made, sealed)
    audit.record(
        tx, actor, "channel.add" if before is None else "channel.change", "channel", name, before=_said(before), after=_said(made)
    )
    return made


def remove(tx: Transaction, actor: Principal, name: str, now: int) -> None:
    """Forget a channel, and the alert about it; one that others escalate to stays. Raises NotFound, Conflict."""
    require(actor, Action.ADMINISTER)
    channel = get(tx, name)
    users = [other.name for other in store.channels(tx) if other.options.escalate_to == name]
    if users:
        raise Conflict(f"{users[0]} escalates to {name}", code="channel.used", hint="change or remove that one first")
    store.delete_channel(tx, name)
    dead = alert_store.open_alert(tx, "", "", DEAD + name)
    if dead is not None:
        resolve_alert(tx, actor, dead, "the channel was removed", now)
    audit.record(tx, actor, "channel.remove", "channel", name, before=_said(channel))


def get(tx: Transaction, name: str) -> Channel:
    """Read a channel. Raises NotFound."""
    found = store.find_channel(tx, name)
    if found is None:
        raise NotFound(
            f"there is no channel {name[:80]!r}", code="channel.not_found", hint="`perenne alert channel list` shows them"
        )
    return found


def listed(tx: Transaction, environment: "dict[str, str] | Any") -> list[Channel]:
    """Read the channels, those that the environment gives first."""
    given = channels_from(environment)
    url = environment.get("PERENNE_ALERT_WEBHOOK", "")
    targets = {"log": "log:", "webhook": masked(url)}
    return [Channel(name=name, kind=name, target=targets[name], created_by="environment") for name in given] + store.channels(tx)


def try_out(workspace: Workspace, actor: Principal, delivery: AlertDelivery, name: str) -> Tried:
    """Send an example to a channel now, once, and say how it went. Raises NotFound, Denied."""
    require(actor, Action.ADMINISTER)
    if name not in GIVEN:
        with workspace.database.read() as tx:
            get(tx, name)
    try:
        delivery.send(workspace, name, _example(name))
    except PerenneError as error:
        return Tried(name, taken=False, error=redact_text(f"{error.message} ({error.code}); {error.hint}"))
    except Exception as error:  # what a service's own client raises says nothing that may be shown
        return Tried(name, taken=False, error=type(error).__name__)
    return Tried(name, taken=True)


def _example(name: str) -> Message:
    return Message(
        key=new_id(),
        deployment="",
        version="",
        window_start=0,
        severity=Severity.INFO,
        subject="[info] perenne: this is a test",
        lines=(f"channel {name} works: alerts would come here.",),
        alerts=(),
        what="test",
    )


def _said(channel: Channel | None) -> dict[str, Any] | None:
    if channel is None:
        return None
    options: dict[str, Any] = msgspec.to_builtins(channel.options)
    return {"kind": channel.kind, "target": channel.target, **options}
