"""The first clean days of a version in production, made its baseline by themselves; set anew by a person, with a reason."""

from collections.abc import Sequence

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import format_time
from perenne.core.days import day_of
from perenne.core.errors import Invalid, NotFound
from perenne.monitoring import store as windows
from perenne.monitoring.alerts import MONITOR
from perenne.monitoring.baselines import store
from perenne.monitoring.baselines.choosing import whole
from perenne.monitoring.baselines.store import BaselineRow, Candidate
from perenne.monitoring.findings import NULL_BURST
from perenne.monitoring.model import CHAMPION, Standing, Stream, Watch, WindowState, WindowVerdict
from perenne.projects import BaselineKind
from perenne.storage.database import Transaction

CLEAN_DAYS = 7
MIN_WINDOWS = 4
MOST_WINDOWS = 512


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What a version's windows are compared with, and who said so."""

    deployment: str
    version: str
    kind: str
    start: int
    end: int
    windows: int
    rows: int
    set_by: str
    reason: str
    changed: int


def fix(tx: Transaction, watch: Watch, verdict: WindowVerdict, now: int) -> bool:
    """Make the first clean days the baseline once there are seven; return whether that was now."""
    stream = verdict.key.stream
    if watch.plan.baseline is not BaselineKind.PRODUCTION or stream.variant != CHAMPION or verdict.state not in _WELL:
        return False
    if store.find_baseline(tx, watch.deployment, watch.version, BaselineKind.PRODUCTION) is not None:
        return False
    found = _first_clean(tx, watch, stream, verdict)
    if not found:
        return False
    _keep(tx, MONITOR, watch, stream, BaselineKind.PRODUCTION, found, "the first seven clean days", now)
    return True


_WELL = (WindowState.OK, WindowState.WARN)


def _first_clean(tx: Transaction, watch: Watch, stream: Stream, verdict: WindowVerdict) -> list[Candidate]:
    """Return the windows of the first seven days without an unclean one; nothing while there are fewer."""
    known = store.candidates(tx, stream, verdict.window_length, 0, verdict.window_start + 1)
    bad = {one.start for one in known if not whole(one) or one.state not in _WELL}
    bad |= {one.window_start for one in windows.recent_verdicts(tx, stream, MOST_WINDOWS) if unclean(one)}
    days: dict[object, list[Candidate]] = {}
    for one in known:
        days.setdefault(day_of(one.start, watch.plan.zone), []).append(one)
    clean = [members for members in days.values() if not any(one.start in bad for one in members)]
    if days and clean and clean[-1] is list(days.values())[-1]:
        clean = clean[:-1] if verdict.window_length < _DAY_AT_LEAST else clean  # the day goes on
    if len(clean) < CLEAN_DAYS:
        return []
    found = [one for members in clean[:CLEAN_DAYS] for one in members]
    return found if len(found) >= MIN_WINDOWS else []


_DAY_AT_LEAST = 20 * 3_600 * 1_000_000


def unclean(verdict: WindowVerdict) -> bool:
    """Tell whether a window shows that something was wrong, whatever it is compared with."""
    missed = any(state.standing is Standing.MISSED for state in verdict.bounds)
    burst = any(cause.missing_rise > NULL_BURST for cause in verdict.causes)
    return missed or burst or verdict.gap or verdict.schema_broken


def set_baseline(
    tx: Transaction,
    actor: Principal,
    deployment: str,
    version: str,
    kind: BaselineKind,
    *,
    start: int,
    end: int,
    reason: str,
    now: int,
) -> Baseline:
    """Make the windows of a stretch of time the baseline: of production, or as members of their phases although they alarmed.

    Raises
    ------
    NotFound, Invalid, Denied
        If the version is not watched, there are no whole windows in that time, no reason is given, or the actor may not.
    """
    watch = windows.find_watch(tx, deployment, version)
    if watch is None:
        raise NotFound(
            f"{version[:100]!r} is not watched in {deployment[:100]!r}",
            code="monitor.not_found",
            hint="`perenne monitor show NAME` tells which versions are",
        )
    require(actor, Action.DEPLOY, watch.project)
    if kind is BaselineKind.TRAINING:
        raise Invalid("the training data are what they are", code="monitor.baseline", hint="set production or phase")
    if not reason.strip():
        raise Invalid("a baseline is set with a reason", code="monitor.baseline_reason", hint='add --reason "…"')
    stream = Stream(deployment, CHAMPION, version)
    length = watch.plan.length or watch.window_length
    found = [one for one in store.candidates(tx, stream, length, start, end) if whole(one)]
    if len(found) < (MIN_WINDOWS if kind is BaselineKind.PRODUCTION else 1):
        raise Invalid(
            f"{len(found)} whole windows were judged between {format_time(start)} and {format_time(end)}",
            code="monitor.baseline_windows",
            hint=f"at least {MIN_WINDOWS} are needed, for how they differ from one another is part of a baseline",
        )
    return _shown(_keep(tx, actor, watch, stream, kind, found, reason, now))


def _keep(
    tx: Transaction,
    actor: Principal,
    watch: Watch,
    stream: Stream,
    kind: BaselineKind,
    members: Sequence[Candidate],
    reason: str,
    now: int,
) -> BaselineRow:
    known = store.find_baseline(tx, watch.deployment, watch.version, kind)
    held = (
        store.profiles(tx, stream, [one.start for one in members], members[0].length) if kind is BaselineKind.PRODUCTION else {}
    )
    row = BaselineRow(
        deployment=watch.deployment,
        version=watch.version,
        kind=kind.value,
        start=members[0].start,
        end=members[-1].start + members[-1].length,
        windows=len(members),
        rows=sum(one.rows for one in members),
        profiles=msgspec.msgpack.encode([held[one.start] for one in members if one.start in held]),
        revision=1 if known is None else known.revision + 1,
        set_by=actor.name,
        reason=reason,
        changed=now,
    )
    store.save_baseline(tx, row)
    before = None if known is None else msgspec.to_builtins(_shown(known))
    audit.record(
        tx, actor, "monitor.baseline", "deployment", watch.deployment, before=before, after=_shown(row), reason=reason
    )  # fmt: skip
    return row


def get_baselines(tx: Transaction, deployment: str, version: str) -> list[Baseline]:
    """Return what was made a baseline of a version."""
    kinds = (BaselineKind.PRODUCTION, BaselineKind.PHASE)
    rows = [store.find_baseline(tx, deployment, version, kind) for kind in kinds]
    return [_shown(row) for row in rows if row is not None]


def _shown(row: BaselineRow) -> Baseline:
    return Baseline(**{name: getattr(row, name) for name in Baseline.__struct_fields__})
