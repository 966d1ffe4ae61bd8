"""Taking in what observers left: each post counts once, whatever is killed when, and a damaged one stops nobody.

A post's file is deleted only after the transaction that added it and remembered its name (observer, boot, sequence); one that is
found again after a crash is known and only deleted. What cannot be taken in is set aside by renaming it, and alerted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from perenne.core.clock import DAY, SystemClock
from perenne.core.errors import Invalid, NotFound, PerenneError
from perenne.formats.windows import LATENCY_EDGES_US, WindowPost, decode_window
from perenne.monitoring import alert_store, store
from perenne.monitoring.alerts import MONITOR, raise_alert, resolve_alert
from perenne.monitoring.baselines.merging import Addition, add
from perenne.monitoring.references import load_reference
from perenne.monitoring.servers import report_servers
from perenne.stats.profile import Profile
from perenne.stats.segments import SegmentProfiles
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

BATCH = 64
MAX_POST_BYTES = 64 << 20
MAX_COUNT = 1 << 62
REMEMBERED = 30 * DAY
INTAKE = "intake"
DAMAGED, UNKNOWN = ".damaged", ".unknown"


@dataclass(frozen=True)
class _Arrival:
    """A post that was read and checked, and the file it lies in."""

    path: Path
    addition: Addition


def collect(workspace: Workspace) -> int:
    """Add every post in the spool folder to its window and delete its file; return how many were new. Hear the servers too.

    Posts that are damaged, or whose version is not watched, are set aside and alerted.
    """
    folder = workspace.settings.spool / "windows"
    paths = sorted(folder.glob("[!.]*.post"))  # an observer writes beside, under a name with a dot in front
    added = sum(_take_in(workspace, paths[first : first + BATCH]) for first in range(0, len(paths), BATCH))
    _report_set_aside(workspace, folder)
    report_servers(workspace)
    return added


def _take_in(workspace: Workspace, paths: Sequence[Path]) -> int:
    arrivals = [arrival for path in paths if (arrival := _read(workspace, path)) is not None]
    if not arrivals:
        return 0
    added = workspace.database.write(lambda tx: _add(tx, arrivals))
    for arrival in arrivals:
        arrival.path.unlink(missing_ok=True)
    return added


def _read(workspace: Workspace, path: Path) -> _Arrival | None:
    """Read and check one post; one that cannot be taken in is set aside."""
    try:
        return _open(workspace, path)
    except FileNotFoundError:  # another process took it in
        return None
    except NotFound:
        _set_aside(path, UNKNOWN)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, PerenneError):
        _set_aside(path, DAMAGED)
    return None


def _open(workspace: Workspace, path: Path) -> _Arrival:
    """Read a post. Raises NotFound if nothing is known of its version's reference, and other errors if it is damaged."""
    if path.stat().st_size > MAX_POST_BYTES:
        raise Invalid("the post is too large", code="monitor.post", hint="watch fewer features, or in shorter windows")
    post = _checked(decode_window(path.read_bytes()))
    with workspace.database.read() as tx:
        watch = store.find_watch(tx, post.deployment, post.version)
    if watch is None or watch.reference != post.reference:
        raise NotFound(
            f"{post.version} is not watched by reference {post.reference[:12]}",
            code="monitor.post_unknown",
            hint="`perenne deploy show NAME` tells which versions are watched",
        )
    reference = load_reference(workspace.objects, watch.reference)
    profile = Profile.from_bytes(post.profile, reference)
    SegmentProfiles.from_bytes(post.segments, reference, reference.segments.segments)
    if profile.rows != post.rows:
        raise Invalid(
            "the post counts other rows than its profile",
            code="monitor.post",
            hint="it was damaged on its way, or made by another release of perenne",
        )
    return _Arrival(path, Addition(post, watch, reference, profile))


def _checked(post: WindowPost) -> WindowPost:
    """Return the post if its figures can be."""
    counts = (post.sequence, post.rows, post.dropped, post.errors, *post.agreement, *post.latency)
    times = (post.window_start, post.window_length, post.first, post.last)
    if any(not 0 <= value < MAX_COUNT for value in (*counts, *times)) or post.window_length == 0:
        raise Invalid(
            "a figure of the post is out of range",
            code="monitor.post",
            hint="it was damaged on its way, or made by another release of perenne",
        )
    if len(post.latency) != len(LATENCY_EDGES_US) + 1:
        raise Invalid(
            "the post has another number of latency cells", code="monitor.post", hint="it was made by another release of perenne"
        )
    return post


def _set_aside(path: Path, suffix: str) -> None:
    if path.exists():
        path.replace(path.with_name(path.name + suffix))


def _add(tx: Transaction, arrivals: Sequence[_Arrival]) -> int:
    """Add the posts that were not known to their windows, each window once."""
    now = SystemClock().now()
    store.forget_posts(tx, now - REMEMBERED)
    fresh = store.new_posts(tx, [arrival.addition.identity for arrival in arrivals], now)
    added, additions = len(fresh), []
    for arrival in arrivals:
        if arrival.addition.identity in fresh:
            fresh.remove(arrival.addition.identity)  # a copy of the same post in the same batch counts once too
            additions.append(arrival.addition)
    add(tx, additions)
    return added


def _report_set_aside(workspace: Workspace, folder: Path) -> None:
    """Let an alert fire while posts lie set aside, and resolve it once they are gone."""
    aside = sorted([*folder.glob("*" + DAMAGED), *folder.glob("*" + UNKNOWN)])
    with workspace.database.read() as tx:
        alert = alert_store.open_alert(tx, "", "", INTAKE)
    now = workspace.clock.now()
    if aside:
        summary = (
            f"{len(aside)} window posts in {folder.name}/ could not be taken in, the last of them {aside[-1].name}: "
            "damaged, or of a version that is not watched; rename them to .post to try again, or delete them"
        )
        if alert is None or alert.summary != summary:
            workspace.database.write(lambda tx: raise_alert(tx, "", "", INTAKE, summary, now))
    elif alert is not None:
        workspace.database.write(lambda tx: resolve_alert(tx, MONITOR, alert, "no post is set aside any more", now))
