"""What a window is compared with: the reference of its version, its first clean days, or the same phase of the weeks before."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from perenne.core.clock import DAY, HOUR
from perenne.core.days import day_of, hour_of
from perenne.monitoring.baselines import store
from perenne.monitoring.baselines.store import Candidate
from perenne.monitoring.model import GAP_SHARE, Stream, Watch, Window, WindowState
from perenne.projects import BaselineKind
from perenne.stats.cells import Reference
from perenne.stats.phases import MIN_PHASE, standard_from, standard_of_phase
from perenne.stats.profile import Profile
from perenne.stats.standard import Standard
from perenne.storage.database import Transaction

WEEK = 7 * DAY
PHASE_WEEKS = 8
"""Weeks before a window whose windows may be members of its phase."""

CLEAN_WEEKS = 3
FALLBACK_WINDOWS = 14
_SUNDAY = 6
_NAMES = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_REMEMBERED = 64

_known: OrderedDict[tuple[str, str, int], Standard] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Chosen:
    """What a window is compared with.

    Attributes
    ----------
    kind : BaselineKind
    words : str
        What that is, for people.
    standard : Standard or None
        None for the reference itself.
    learning : bool
        Production is only getting to be known: that it differs from training is told, and is no alarm.
    """

    kind: BaselineKind
    words: str
    standard: Standard | None = None
    learning: bool = False


REFERENCE = Chosen(BaselineKind.TRAINING, "the version's reference: rows it had not learned from")


def choose(tx: Transaction, watch: Watch, reference: Reference, span: Sequence[Window]) -> Chosen:
    """Find what a window, merged with those before it, is compared with."""
    if watch.plan.baseline is BaselineKind.PRODUCTION:
        return _production(tx, watch, reference, span[-1])
    if watch.plan.baseline is BaselineKind.PHASE:
        return _phase(tx, watch, reference, span)
    return REFERENCE


def _production(tx: Transaction, watch: Watch, reference: Reference, window: Window) -> Chosen:
    row = store.find_baseline(tx, watch.deployment, watch.version, BaselineKind.PRODUCTION)
    if row is None or window.window_start < row.end:
        return Chosen(BaselineKind.TRAINING, "the version's reference, until production has had seven clean days", learning=True)
    first, last = (day_of(instant, watch.plan.zone).isoformat() for instant in (row.start, row.end - 1))
    name = (watch.deployment, watch.version, row.revision)
    with _lock:
        standard = _known.get(name)
    if standard is None:
        members = msgspec.msgpack.decode(row.profiles, type=list[bytes])
        standard = standard_from(reference, [Profile.from_bytes(data, reference) for data in members])
        with _lock:
            _known[name] = standard
            while len(_known) > _REMEMBERED:
                _known.popitem(last=False)
    return Chosen(BaselineKind.PRODUCTION, f"{row.windows} windows of production, {first} to {last}", standard)


def _phase(tx: Transaction, watch: Watch, reference: Reference, span: Sequence[Window]) -> Chosen:
    window = span[-1]
    members = clean(
        tx, watch, window.key.stream, window.window_length, window.window_start - PHASE_WEEKS * WEEK, span[0].window_start
    )
    if not members or window.window_start - members[0].start < CLEAN_WEEKS * WEEK - DAY:
        return Chosen(BaselineKind.TRAINING, "the version's reference, until there were three clean weeks")
    place = weekday(watch, window.window_start)
    days: list[list[Candidate]] = [[] for _ in _NAMES]
    for member in members:
        days[weekday(watch, member.start)].append(member)
    if len(span) > 1:  # windows of several phases
        return _all(tx, reference, window, members)
    hourly = window.window_length < DAY // 2
    if hourly:
        hour = hour_of(window.window_start, watch.plan.zone)
        same = [[one for one in day if hour_of(one.start, watch.plan.zone) == hour] for day in days]
        found = _of_phase(tx, reference, window, same, place, watch.plan.minimum_rows)
        if found is not None:
            return Chosen(BaselineKind.PHASE, f"{len(same[place])} {_NAMES[place]} at {hour:02d}:00", found)
        return _of_day(tx, reference, window, days[place], place) or _all(tx, reference, window, members)
    found = _of_phase(tx, reference, window, days, place, watch.plan.minimum_rows)
    if found is not None:
        return Chosen(BaselineKind.PHASE, f"{len(days[place])} {_NAMES[place]} before", found)
    return _all(tx, reference, window, members)


def _of_phase(
    tx: Transaction, reference: Reference, window: Window, phases: Sequence[Sequence[Candidate]], place: int, minimum: int
) -> Standard | None:
    """Return the phase as what the window is compared with, if it has members and rows enough."""
    mine = phases[place]
    if len(mine) < MIN_PHASE or sum(member.rows for member in mine) < minimum:
        return None
    return standard_of_phase(reference, [_read(tx, reference, window, members) for members in phases], place)


def _of_day(tx: Transaction, reference: Reference, window: Window, members: Sequence[Candidate], place: int) -> Chosen | None:
    """Return the same day of the week, all hours of it together."""
    if len(members) < FALLBACK_WINDOWS:
        return None
    standard = standard_from(reference, _read(tx, reference, window, members))
    return Chosen(BaselineKind.PHASE, f"{len(members)} hours of {_NAMES[place]}", standard)


def _all(tx: Transaction, reference: Reference, window: Window, members: Sequence[Candidate]) -> Chosen:
    """Return all clean windows together, or the reference if they are few."""
    if len(members) < FALLBACK_WINDOWS:
        return Chosen(BaselineKind.TRAINING, "the version's reference, for its phase has too few clean windows")
    newest = members[-PHASE_WEEKS * len(_NAMES) :]
    standard = standard_from(reference, _read(tx, reference, window, newest))
    return Chosen(BaselineKind.PHASE, f"{len(newest)} clean windows of any day, for its phase has too few", standard)


def _read(tx: Transaction, reference: Reference, window: Window, members: Sequence[Candidate]) -> list[Profile]:
    found = store.profiles(tx, window.key.stream, [member.start for member in members], window.window_length)
    return [Profile.from_bytes(found[member.start], reference) for member in members if member.start in found]


def clean(tx: Transaction, watch: Watch, stream: Stream, length: int, start: int, end: int) -> list[Candidate]:
    """Return the windows that may enter a baseline: judged, without a gap, and without alarm unless somebody vouches for them."""
    vouched = store.find_baseline(tx, watch.deployment, watch.version, BaselineKind.PHASE)
    if vouched is not None:
        start = max(start, vouched.start)
    return [
        one
        for one in store.candidates(tx, stream, length, start, end)
        if whole(one)
        and (
            one.state in (WindowState.OK, WindowState.WARN) or (vouched is not None and vouched.start <= one.start < vouched.end)
        )
    ]


def whole(window: Candidate) -> bool:
    """Tell whether a window has rows, and no gap."""
    return window.rows > 0 and window.dropped <= GAP_SHARE * (window.rows + window.dropped)


def weekday(watch: Watch, instant: int) -> int:
    """Return the day of the week, from Monday; holidays are like Sundays."""
    day = day_of(instant + HOUR // 2, watch.plan.zone)
    return _SUNDAY if day.isoformat() in watch.plan.holidays else day.weekday()
