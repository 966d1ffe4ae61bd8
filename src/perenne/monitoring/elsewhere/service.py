"""What people do about deployments that others serve: add them, pause, remove and bring them back, and look."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perenne import data, serving
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.auth.sealing import seal_of
from perenne.core.clock import MINUTE
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.monitoring import alert_store
from perenne.monitoring.alerts import resolve_alert
from perenne.monitoring.elsewhere import learning, store
from perenne.monitoring.elsewhere.keeping import begin_watch
from perenne.monitoring.elsewhere.model import Foreign, calendar
from perenne.monitoring.elsewhere.rows import plain_rows
from perenne.storage import schedules
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

PREFIX = "foreign/"
TAKEN = ("foreign", "labels")
"""Names that are parts of addresses."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_KSERVE = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}/[a-z0-9][a-z0-9.-]{0,252}")


def add(workspace: Workspace, actor: Principal, new: Foreign, *, reference: Any = None) -> Foreign:
    """Begin to watch what others serve.

    Parameters
    ----------
    new : Foreign
        `uri` with its secret, if it has one: it is sealed, and shown nowhere.
    reference : optional
        Rows of a time when all was well: whatever `perenne.data` reads. If not given, the first seven days are taken.

    Raises
    ------
    Invalid, Conflict, NotFound
        If something does not go together, the name is taken, or the reference cannot be read.
    """
    require(actor, Action.DEPLOY, new.project)
    _check(new)
    draft = _sealed(workspace, new)
    if reference is not None:
        rows = plain_rows(data.ingest.following.rows_at(reference), new.roles)
        made, signature = learning.learn(draft, rows)
        digest = workspace.objects.put(made.to_bytes())
        draft = msgspec.structs.replace(draft, signature=msgspec.structs.replace(signature, reference=digest))
    now = workspace.clock.now()
    return workspace.database.write(lambda tx: declare(tx, actor, draft, now=now))


def _check(new: Foreign) -> None:
    if not _NAME.fullmatch(new.name) or new.name in TAKEN:
        raise Invalid(f"{new.name[:60]!r} cannot be a name", code="monitor.name", hint="letters, digits, dots, dashes")
    if new.kserve is not None and not _KSERVE.fullmatch(new.kserve):
        raise Invalid(f"{new.kserve[:60]!r} is no inference service", code="monitor.kserve", hint="as namespace/name")
    if not MINUTE <= new.window <= 31 * 24 * 60 * MINUTE:
        raise Invalid("a window is between a minute and a month", code="monitor.window", hint="such as --window 1d")
    calendar(new.name, new.every)


def _sealed(workspace: Workspace, new: Foreign) -> Foreign:
    if not new.uri:
        return new
    uri = data.ingest.following.absolute(new.uri)
    shown = data.ingest.following.without_secrets(uri)
    sealed = seal_of(workspace.settings.home).seal(uri) if shown != uri else ""
    return msgspec.structs.replace(new, uri=shown, sealed=sealed)


def declare(tx: Transaction, actor: Principal, new: Foreign, *, now: int) -> Foreign:
    """Write down what others serve; one that was removed is taken up anew.

    Raises
    ------
    Conflict
        If the name, or the inference service, is another's.
    """
    require(actor, Action.DEPLOY, new.project)
    _check_free(tx, new)
    known = store.find(tx, new.name)
    made = msgspec.structs.replace(new, created=now, created_by=actor.name)
    if known is None:
        store.add(tx, made)
    else:
        store.forget_watches(tx, new.name)
        store.change(tx, known, msgspec.structs.replace(made, version=_next_version(known)))
    found = get(tx, actor, new.name)
    if found.signature.reference:
        begin_watch(tx, actor, found)
    _keep_schedule(tx, found, now)
    told = {"uri": found.uri, "version": found.version, "every": found.every, "kserve": found.kserve}
    audit.record(tx, actor, "monitor.add", "deployment", found.name, after=told)
    return found


def _next_version(known: Foreign) -> str:
    name, _, number = known.version.rpartition("@")
    return f"{name}@{int(number) + 1}" if number.isdecimal() else f"{known.version}.1"


def _check_free(tx: Transaction, new: Foreign) -> None:
    known = store.find(tx, new.name)
    if known is not None and not known.removed:
        raise Conflict(f"{new.name!r} is watched already", code="monitor.exists", hint="remove it first, or take another name")
    if serving.service.named(tx, [new.name]):
        raise Conflict(f"{new.name!r} is served here, and watched by itself", code="monitor.served", hint="take another name")
    other = store.find_kserve(tx, new.kserve) if new.kserve else None
    if other is not None and other.name != new.name:
        raise Conflict(f"the events of {new.kserve} are those of {other.name!r}", code="monitor.kserve_taken", hint="remove that")


def get(tx: Transaction, actor: Principal, name: str) -> Foreign:
    """Read one that is not removed. Raises NotFound, also for one of a project that may not be seen."""
    found = store.find(tx, name)
    if found is None or found.removed or not sees(actor, found.project):
        raise NotFound(
            f"nothing that others serve is called {name[:100]!r}",
            code="monitor.foreign_not_found",
            hint="`perenne monitor list` shows what is watched",
        )
    return found


def listed(tx: Transaction, actor: Principal) -> list[Foreign]:
    """Read those that may be seen, by name."""
    return [item for item in store.every(tx) if sees(actor, item.project)]


def names_among(tx: Transaction, names: Sequence[str]) -> set[str]:
    """Tell which of some deployments others serve."""
    return store.names_among(tx, names)


def pause(tx: Transaction, actor: Principal, name: str, *, paused: bool, now: int) -> Foreign:
    """Hold the readings, or let them go on; what is sent meanwhile waits."""
    known = get(tx, actor, name)
    require(actor, Action.DEPLOY, known.project)
    if known.paused != paused:
        _change(tx, known, msgspec.structs.replace(known, paused=paused))
        _keep_schedule(tx, get(tx, actor, name), now)
        audit.record(tx, actor, "monitor.pause" if paused else "monitor.resume", "deployment", name)
    return get(tx, actor, name)


def remove(tx: Transaction, actor: Principal, name: str, *, now: int) -> Foreign:
    """Watch it no longer; what was found stays, and it can be brought back."""
    known = get(tx, actor, name)
    require(actor, Action.DEPLOY, known.project)
    service = {"kserve": known.kserve} if known.kserve else {}
    _change(tx, known, msgspec.structs.replace(known, removed=True, kserve=None, state=known.state | service))
    store.forget_watches(tx, name)
    schedules.drop_schedule(tx, PREFIX + name)
    for alert in alert_store.list_alerts(tx, name, only_open=True, limit=1_000):
        resolve_alert(tx, actor, alert, f"{name} is no longer watched", now)
    before = {"uri": known.uri, "version": known.version, "kserve": known.kserve}
    audit.record(tx, actor, "monitor.remove", "deployment", name, before=before)
    return known


def restore(tx: Transaction, actor: Principal, name: str, *, now: int) -> Foreign:
    """Bring back one that was removed, with all that was known of it. Raises NotFound, Conflict."""
    known = store.find(tx, name)
    if known is None or not sees(actor, known.project):
        return get(tx, actor, name)
    if not known.removed:
        raise Conflict(f"{name!r} was not removed", code="monitor.not_removed", hint="there is nothing to bring back")
    require(actor, Action.DEPLOY, known.project)
    state = dict(known.state)
    back = msgspec.structs.replace(known, removed=False, kserve=state.pop("kserve", None), state=state)
    _check_free(tx, back)
    _change(tx, known, back)
    found = get(tx, actor, name)
    if found.signature.reference:
        begin_watch(tx, actor, found)
    _keep_schedule(tx, found, now)
    audit.record(tx, actor, "monitor.restore", "deployment", name)
    return found


def _change(tx: Transaction, before: Foreign, after: Foreign) -> None:
    if not store.change(tx, before, after):
        raise Conflict(f"{before.name!r} was changed meanwhile", code="monitor.raced", hint="try again")


def _keep_schedule(tx: Transaction, known: Foreign, now: int) -> None:
    if known.reads and not known.paused and not known.removed:
        schedules.keep_schedule(tx, PREFIX + known.name, calendar(known.name, known.every), "UTC", after=now)
    else:
        schedules.drop_schedule(tx, PREFIX + known.name)


def uri_of(workspace: Workspace, known: Foreign) -> str:
    """Return the address rows are read from, with its secret."""
    return seal_of(workspace.settings.home).open(known.sealed) if known.sealed else known.uri


def project_of(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a deployment that others serve."""
    found = store.find(tx, path["deployment"])
    if found is None:
        raise NotFound("there is nothing of that name", code="monitor.foreign_not_found", hint="is the name right?")
    return found.project
