"""Adding posts to the window they are of, and to the windows it lies in: exactly, in one transaction, in any order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from perenne.core.days import UNITS, span_of
from perenne.formats.windows import WindowPost
from perenne.monitoring import store
from perenne.monitoring.baselines.store import NEVER, mark_part, part
from perenne.monitoring.model import Stream, Watch, Window, WindowKey
from perenne.stats.cells import Reference
from perenne.stats.profile import Profile
from perenne.stats.segments import SegmentProfiles
from perenne.storage.database import Transaction

MOST_COLUMNS = 20


@dataclass(frozen=True)
class Addition:
    """A post that was read and checked, with the profile in it and by what it is watched."""

    post: WindowPost
    watch: Watch
    reference: Reference
    profile: Profile

    @property
    def identity(self) -> tuple[str, str, int]:
        """What names it: sent twice, it counts once."""
        return self.post.observer, self.post.boot, self.post.sequence

    @property
    def key(self) -> WindowKey:
        """The window it was counted in."""
        post = self.post
        return WindowKey(Stream(post.deployment, post.variant, post.version), post.window_start, post.window_length)


def add(tx: Transaction, additions: Sequence[Addition]) -> None:
    """Add posts to their windows, each window once."""
    groups: dict[tuple[str, WindowKey], list[Addition]] = {}
    for addition in additions:
        for table, key in places(addition.watch, addition.key):
            groups.setdefault((table.name, key), []).append(addition)
    for (name, key), group in groups.items():
        table = part if name == part.name else store.window
        store.save_window(tx, _merged(store.find_window(tx, key, table), key, group), table)
        if table is part and not (group[0].watch.plan.draw and key.length == UNITS["hour"]):
            mark_part(tx, key, NEVER)


def places(watch: Watch, key: WindowKey) -> list[tuple[sa.Table, WindowKey]]:
    """Name the windows that rows counted in one belong to: the one that is judged, and shorter ones that it is drawn by.

    Rows that were counted in windows longer than those of the calendar, before it was asked for, stay where they are.
    """
    plan = watch.plan
    if not plan.windows:
        return [(store.window, key)]
    units = list(UNITS)[: list(UNITS).index(plan.windows) + 1]
    spans = [WindowKey(key.stream, *span_of(key.start, unit, plan.zone)) for unit in units]
    if key.end > spans[-1].end:
        return [(store.window, key)]
    return [*((part, span) for span in spans[:-1] if key.end <= span.end), (store.window, spans[-1])]


def _merged(window: Window | None, key: WindowKey, additions: Sequence[Addition]) -> Window:
    """Return a window with posts added; None is a window of which nothing was known."""
    posts = [addition.post for addition in additions]
    reference = additions[0].reference
    if window is None:
        window = empty_window(key, reference, len(posts[0].latency))
    profile = Profile.from_bytes(window.profile, reference)
    for addition in additions:
        profile.merge(addition.profile)
    return msgspec.structs.replace(
        window,
        rows=profile.rows,
        dropped=window.dropped + sum(post.dropped for post in posts),
        errors=window.errors + sum(post.errors for post in posts),
        first=min(filter(None, (window.first, *(post.first for post in posts))), default=0),
        last=max(window.last, *(post.last for post in posts)),
        latency=tuple(map(sum, zip(window.latency, *(post.latency for post in posts), strict=True))),
        agreed=window.agreed + sum(post.agreement[0] for post in posts),
        compared=window.compared + sum(post.agreement[1] for post in posts),
        profile=profile.to_bytes(),
        segments=merge_segments(reference, [window.segments, *(post.segments for post in posts)]),
        columns=tuple(sorted({*window.columns, *(name for post in posts for name in post.columns)})[:MOST_COLUMNS]),
        revision=window.revision + 1,
    )


def merge_segments(reference: Reference, parts: Sequence[bytes | None]) -> bytes | None:
    """Add up what was counted by group; None if nothing was."""
    given = [part for part in parts if part]
    if not given or not reference.segments.segments:
        return None
    whole = SegmentProfiles(reference, reference.segments.segments)
    for data in given:
        whole.merge(SegmentProfiles.from_bytes(data, reference, reference.segments.segments))
    return whole.to_bytes()


def empty_window(key: WindowKey, reference: Reference, latencies: int, profile: Profile | None = None) -> Window:
    """Return a window without rows."""
    return Window(
        deployment=key.stream.deployment,
        variant=key.stream.variant,
        version=key.stream.version,
        window_start=key.start,
        window_length=key.length,
        reference=reference.digest,
        rows=0,
        dropped=0,
        errors=0,
        first=0,
        last=0,
        latency=(0,) * latencies,
        agreed=0,
        compared=0,
        profile=(profile or Profile.empty(reference)).to_bytes(),
        revision=0,
    )


def folded(whole: Window | None, key: WindowKey, window: Window, reference: Reference) -> Window:
    """Return a longer window with a shorter one added."""
    into = whole or empty_window(key, reference, len(window.latency))
    profile = Profile.from_bytes(into.profile, reference)
    profile.merge(Profile.from_bytes(window.profile, reference))
    sums: Mapping[str, int] = {
        name: getattr(into, name) + getattr(window, name) for name in ("dropped", "errors", "agreed", "compared")
    }
    return msgspec.structs.replace(
        into,
        **sums,
        rows=profile.rows,
        first=min(filter(None, (into.first, window.first)), default=0),
        last=max(into.last, window.last),
        latency=tuple(map(sum, zip(into.latency, window.latency, strict=True))),
        profile=profile.to_bytes(),
        segments=merge_segments(reference, [into.segments, window.segments]),
        columns=tuple(sorted({*into.columns, *window.columns})[:MOST_COLUMNS]),
        revision=into.revision + 1,
    )
