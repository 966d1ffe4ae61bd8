"""Looking at a whole fleet at once: the newest window of every deployment, judged in one pass and written nowhere."""

import functools
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from perenne.core.errors import PerenneError
from perenne.monitoring.model import CHAMPION
from perenne.monitoring.store import watch, window
from perenne.projects import Monitoring
from perenne.stats.cells import Reference
from perenne.stats.profile import read_counts
from perenne.stats.screening import Screen, screen
from perenne.storage.database import Transaction, read_struct
from perenne.storage.names import chosen
from perenne.storage.objects import ObjectStore
from perenne.storage.workspace import Workspace

REMEMBERED = 8_192
"""Screens of 50 features take about 45 kB each."""

AT_ONCE = 500
WORST_FIRST = ("alarm", "warn", "unknown", "ok", "too_few")

_known: OrderedDict[str, Screen] = OrderedDict()
_lock = threading.Lock()


class Checked(msgspec.Struct, frozen=True):
    """How a window stands against its reference, as far as drift of its features goes; `unknown` if it cannot be read."""

    deployment: str
    version: str
    window_start: int
    rows: int
    state: str


class _Row(msgspec.Struct, frozen=True):
    deployment: str
    version: str
    start: int
    reference: str
    profile: bytes
    plan: str

    @property
    def minimum_rows(self) -> int:
        """Rows below which nothing is said."""
        return _plan(self.plan).minimum_rows


@functools.lru_cache(maxsize=1_000)
def _plan(text: str) -> Monitoring:
    """Read a plan: most deployments have the same."""
    return msgspec.json.decode(text, type=Monitoring)


def remember(digest: str, reference: Reference) -> Screen:
    """Keep of a reference what it takes to look at windows quickly."""
    with _lock:
        found = _known.get(digest)
    if found is None:
        found = Screen.of(reference)
        with _lock:
            _known[digest] = found
            while len(_known) > REMEMBERED:
                _known.popitem(last=False)
    return found


def _screen_of(objects: ObjectStore, digest: str, *, load: bool) -> Screen | None:
    with _lock:
        if digest in _known:
            _known.move_to_end(digest)
            return _known[digest]
    return remember(digest, Reference.from_bytes(objects.get(digest))) if load else None


def check(workspace: Workspace, deployments: Iterable[str] | None = None, *, load: bool = True) -> list[Checked]:
    """Look at the newest window of the champions of some deployments or of all, by name.

    Parameters
    ----------
    load : bool
        Whether to read references that are not at hand; their windows are `unknown` if not.
    """
    with workspace.database.read() as tx:
        names = _names(tx, deployments)
    found: list[Checked] = []
    for first in range(0, len(names), AT_ONCE):
        with workspace.database.read() as tx:
            rows = _newest(tx, names[first : first + AT_ONCE])
        found += _checked(workspace.objects, rows, load=load)
    return found


def worst_first(workspace: Workspace, deployments: Sequence[str]) -> list[str]:
    """Order deployments by how their newest windows look, so that of many those in trouble are judged first."""
    states = {one.deployment: one.state for one in check(workspace, deployments, load=False)}
    return sorted(deployments, key=lambda name: WORST_FIRST.index(states.get(name, "unknown")))


def _names(tx: Transaction, deployments: Iterable[str] | None) -> list[str]:
    query = sa.select(watch.c.deployment).distinct().order_by(watch.c.deployment)
    if deployments is not None:
        query = query.where(watch.c.deployment.in_(chosen(deployments)))
    return [row.deployment for row in tx.execute(query)]


def _newest(tx: Transaction, names: Sequence[str]) -> list[_Row]:
    """Read the newest window of each watched champion, of several versions the newest one's: one query for all."""
    later = window.alias()
    newest = sa.select(later.c.window_start).where(*_champion(later)).order_by(later.c.window_start.desc()).limit(1)
    columns = (window.c.deployment, window.c.version, window.c.window_start, window.c.reference, window.c.profile)
    query = sa.select(*columns, sa.type_coerce(watch.c.plan, sa.Text)).select_from(
        watch.join(window, sa.and_(*_champion(window)))
    )
    query = query.where(watch.c.deployment.in_(chosen(names)))
    query = query.where(window.c.window_start == newest.correlate(watch).scalar_subquery())
    found: dict[str, _Row] = {}
    for row in tx.execute(query.order_by(window.c.deployment, window.c.window_start, window.c.version)):
        found[row.deployment] = read_struct(_Row, row)
    return list(found.values())


def _champion(table: "sa.FromClause") -> "tuple[sa.ColumnElement[bool], ...]":
    return table.c.deployment == watch.c.deployment, table.c.variant == CHAMPION, table.c.version == watch.c.version


def _checked(objects: ObjectStore, rows: Sequence[_Row], *, load: bool) -> list[Checked]:
    readable, screens, counts, sizes = [], [], [], []
    found: dict[str, Checked] = {}
    for row in rows:
        found[row.deployment] = Checked(row.deployment, row.version, row.start, 0, "unknown")
        try:
            one = _screen_of(objects, row.reference, load=load)
            digest, size, seen = read_counts(row.profile)
        except PerenneError:
            continue
        if one is not None and digest == row.reference and seen.shape == one.counts.shape:
            readable.append(row)
            screens.append(one)
            counts.append(seen)
            sizes.append(size)
    minimum = [row.minimum_rows for row in readable]
    for row, size, state in zip(readable, sizes, screen(screens, counts, sizes, minimum), strict=True):
        found[row.deployment] = Checked(row.deployment, row.version, row.start, size, state)
    return list(found.values())
