"""Silences beyond one alert: by what alerts have in common, and ended before their time."""

from collections.abc import Sequence

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.core.ids import new_id
from perenne.monitoring import alert_store
from perenne.monitoring.alerting import store
from perenne.monitoring.alerts import check_silence, projects_of
from perenne.monitoring.silencing import MOST_MATCHERS, Matcher, Silence
from perenne.storage.database import Transaction


def add(
    tx: Transaction,
    actor: Principal,
    *,
    until: int,
    reason: str,
    now: int,
    deployment: str = "",
    rule: str = "",
    matchers: Sequence[Matcher] = (),
) -> Silence:
    """Tell nobody of alerts that match, until an instant.

    Raises
    ------
    Invalid
        If nothing is matched by, or there is no reason or no end within a year.
    Denied
        If it would reach beyond what they may comment on.
    """
    check_silence(until, reason, now)
    if not (deployment or rule or matchers):
        hint = "--deployment, --rule or --match; to silence a channel, remove it"
        raise Invalid("a silence says what it matches", code="alert.matcher", hint=hint)
    if len(matchers) > MOST_MATCHERS:
        raise Invalid(f"more than {MOST_MATCHERS} matchers", code="alert.matcher", hint="make two silences")
    require(actor, Action.COMMENT, _reach(tx, deployment, matchers))
    made = Silence(new_id(), deployment, rule, until, actor.name, reason, now, tuple(matchers))
    alert_store.save_silence(tx, made)
    audit.record(tx, actor, "silence.add", "silence", made.id, after=said(made), reason=reason)
    return made


def _reach(tx: Transaction, deployment: str, matchers: Sequence[Matcher]) -> str | None:
    """Name the project within which a silence stays; None if it may reach beyond one."""
    if deployment:
        return projects_of(tx, [deployment]).get(deployment)
    return next((item.value for item in matchers if (item.label, item.sign) == ("project", "=")), None)


def end(tx: Transaction, actor: Principal, identity: str, now: int, reason: str = "") -> Silence:
    """Let a silence end now. Raises NotFound, Conflict if it has ended, Denied."""
    found = store.find_silence(tx, identity)
    if found is None:
        hint = "`perenne alert silences` shows those that last"
        raise NotFound(f"silence {identity[:100]!r} does not exist", code="silence.not_found", hint=hint)
    require(actor, Action.COMMENT, _reach(tx, found.deployment, found.matchers))
    if found.until <= now:
        raise Conflict(f"silence {identity} has ended", code="silence.ended", hint="nothing is left to do")
    store.end_silence(tx, identity, now, actor.name)
    ended = msgspec.structs.replace(found, until=now, ended_by=actor.name)
    audit.record(tx, actor, "silence.end", "silence", identity, before=said(found), after=said(ended), reason=reason)
    return ended


def listed(tx: Transaction, actor: Principal, now: int, *, ended: bool = False, limit: int = 200) -> list[Silence]:
    """List the silences that last, or all of them, of what may be seen."""
    found = store.list_silences(tx, None if ended else now, limit)
    projects = projects_of(tx, {silence.deployment for silence in found if silence.deployment})
    return [item for item in found if not actor.projects or sees(actor, _project(item, projects))]


def _project(silence: Silence, projects: dict[str, str]) -> str:
    named = next((item.value for item in silence.matchers if (item.label, item.sign) == ("project", "=")), "")
    return projects.get(silence.deployment, named)


def said(silence: Silence) -> dict[str, object]:
    """Return a silence as the audit trail keeps it."""
    return {
        "deployment": silence.deployment,
        "rule": silence.rule,
        "matchers": [str(matcher) for matcher in silence.matchers],
        "until": silence.until,
    }
