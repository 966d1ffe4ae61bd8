"""What was found in a snapshot, kept beside it: its profile and its anomalies, each an object by content.

They are MessagePack and not JSON, which has no infinity.

A round keeps them whether it goes on or is stopped by what it found; `perenne data` keeps them when it looks at a snapshot.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.data import store
from perenne.data.comparing import ColumnDifference, compare
from perenne.data.model import Anomaly, DataProfile, Examination, Severity, Snapshot
from perenne.storage.database import Database, Transaction
from perenne.storage.objects import ObjectStore

_KEPT_IN_MEMORY = 8


def record_examination(
    database: Database,
    objects: ObjectStore,
    actor: Principal,
    profile: DataProfile,
    *,
    time: str | None = None,
    findings: Sequence[Anomaly] | None = None,
    baseline: str = "",
) -> Examination:
    """Keep what was found in a snapshot; the very same findings are kept once.

    Parameters
    ----------
    profile : DataProfile
        Of the snapshot; it names the dataset.
    time : str, optional
        The column that says when a row was known; the only column of times if not given.
    findings : sequence of Anomaly, optional
        Which rules it broke; if it was held against none, what was found earlier stays.
    baseline : str
        The snapshot whose schema it was held against, or the name of a file; its own if not given.
    """
    require(actor, Action.LOG)
    first, last = _span(profile, time)
    digest = objects.put(msgspec.msgpack.encode(profile))
    kept = None if findings is None else objects.put(msgspec.msgpack.encode(findings))
    errors = sum(finding.severity is Severity.ERROR for finding in findings or ())
    found = Examination(
        profile.digest, profile.dataset, digest, first, last, kept,
        None if findings is None else errors, None if findings is None else len(findings) - errors, baseline,
        SystemClock().now(),
    )  # fmt: skip
    return database.write(lambda tx: _keep(tx, actor, found))


def _keep(tx: Transaction, actor: Principal, found: Examination) -> Examination:
    known = store.examinations(tx, [found.snapshot], found.dataset).get(found.snapshot)
    if known is not None and found.findings is None:
        before = {name: getattr(known, name) for name in ("findings", "errors", "warnings", "baseline")}
        found = msgspec.structs.replace(found, **before)
    if known is not None and msgspec.structs.replace(found, examined=known.examined) == known:
        return known
    store.save_examination(tx, found)
    after = {"dataset": found.dataset, "errors": found.errors, "warnings": found.warnings, "baseline": found.baseline}
    audit.record(tx, actor, "snapshot.examine", "snapshot", found.snapshot, after=after)
    return found


def find_examination(tx: Transaction, snapshot: Snapshot) -> Examination | None:
    """Return what was found in a snapshot; None if nobody has looked."""
    return store.examinations(tx, [snapshot.id], snapshot.dataset).get(snapshot.id)


def _span(profile: DataProfile, time: str | None) -> tuple[int | None, int | None]:
    times = [column for column in profile.columns if column.times is not None and time in (None, column.name)]
    if len(times) != 1 or times[0].times is None:
        return None, None
    return times[0].times.min, times[0].times.max


T = TypeVar("T")


class _Recent:
    """What was read last, by name: what is named by its content never changes."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, ...], Any] = {}

    def get(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        """Return what is held under a name, or make it."""
        found = self._held.get(key)
        if found is None:
            found = make()
            if len(self._held) >= _KEPT_IN_MEMORY:
                self._held.clear()
            self._held[key] = found
        return cast("T", found)


_recent = _Recent()


def remembered(key: tuple[str, ...], make: Callable[[], T]) -> T:
    """Return what was made of things that never change, or make it: only what was asked for last is held."""
    return _recent.get(key, make)


def read_profile(objects: ObjectStore, digest: str) -> DataProfile:
    """Read a kept profile."""
    return _recent.get(("profile", digest), lambda: msgspec.msgpack.decode(objects.get(digest), type=DataProfile))


def read_findings(objects: ObjectStore, digest: str) -> tuple[Anomaly, ...]:
    """Read kept anomalies."""
    return _recent.get(("findings", digest), lambda: msgspec.msgpack.decode(objects.get(digest), type=tuple[Anomaly, ...]))


def differences(objects: ObjectStore, reference: str, current: str) -> tuple[ColumnDifference, ...]:
    """Compare two kept profiles, by their digests, column by column."""
    return _recent.get(
        ("differences", reference, current), lambda: compare(read_profile(objects, reference), read_profile(objects, current))
    )
