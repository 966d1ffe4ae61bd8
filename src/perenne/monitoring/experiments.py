"""What variants earned, from labels: on randomised traffic with its propensities, and on the same rows beside the champion.

What a caller asked for by name, and what somebody stood in for, is left out. Each window's labelled rows are an object that never
changes, so what was read of one is remembered.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import sqlalchemy as sa

from perenne.monitoring.labels import read_labels
from perenne.monitoring.model import CHAMPION
from perenne.monitoring.store import window_labels
from perenne.stats.bandits import Rewards
from perenne.stats.sequential import log_e_value, mean_interval
from perenne.storage.database import Transaction, read_struct
from perenne.storage.objects import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

RANDOMISED = ("weight", "sticky", "bandit")
CANARY, CHALLENGER = "canary", "challenger"
MOST_REMEMBERED = 4_096
T = TypeVar("T")
_known: dict[tuple[str, ...], Any] = {}


class Earned(msgspec.Struct, frozen=True):
    """What a version earned on randomised traffic: its rewards, and the same weighted by the inverse of their propensity."""

    rewards: Rewards
    weighted: Rewards


class Paired(msgspec.Struct, frozen=True):
    """Rows that both answered and whose label came: how many, which one alone was right on, and the evidence that it is worse.

    Attributes
    ----------
    log_evidence : float
        The natural logarithm of the e-value; above ln(1/alpha), it is worse.
    """

    rows: int
    wins: int
    losses: int
    log_evidence: float

    def difference(self, alpha: float = 0.05) -> "Difference | None":
        """Return by how much oftener it is right, with an interval that may be looked at always; None without any row."""
        if not self.rows:
            return None
        low, high = mean_interval(self.rows, self.wins - self.losses, self.wins + self.losses, alpha)
        return Difference(self.rows, (self.wins - self.losses) / self.rows, low, high)


class Difference(msgspec.Struct, frozen=True):
    """By how much a version earns more than the champion, with an interval that may be looked at always."""

    rows: int
    value: float
    low: float
    high: float


class _Row(msgspec.Struct, frozen=True):
    """A window of labelled rows: whose, and in which object."""

    variant: str
    version: str
    window_start: int
    labels: str


def earned(tx: Transaction, objects: ObjectStore, deployment: str, reward: str) -> dict[str, Earned]:
    """Add up what each version earned on randomised traffic, by version."""
    sums: dict[str, list[Earned]] = {}
    for row in _windows(tx, deployment, (CHAMPION, CANARY)):
        sums.setdefault(row.version, []).append(_earned(objects, row.labels, reward))
    return {
        version: Earned(sum((e.rewards for e in parts), Rewards()), sum((e.weighted for e in parts), Rewards()))
        for version, parts in sums.items()
    }


def difference(found: dict[str, Earned], champion: str, version: str, alpha: float = 0.05) -> Difference | None:
    """Hold a version against the champion by the rewards of the callers that each was given by chance; None without any."""
    mine, theirs = found.get(version), found.get(champion)
    if mine is None or theirs is None or not (mine.rewards.count and theirs.rewards.count):
        return None
    rows = mine.rewards.count + theirs.rewards.count
    total = mine.weighted.total - theirs.weighted.total
    low, high = mean_interval(rows, total, mine.weighted.squares + theirs.weighted.squares, alpha)
    return Difference(rows, total / rows, low, high)


def paired(tx: Transaction, objects: ObjectStore, deployment: str, champion: str, version: str) -> Paired:
    """Hold a version against the champion on the rows that it answered unseen as well."""
    windows = {
        (row.variant, row.version, row.window_start): row.labels for row in _windows(tx, deployment, (CHAMPION, CHALLENGER))
    }
    rows = wins = losses = 0
    for (variant, other, start), labels in windows.items():
        ours = windows.get((CHAMPION, champion, start))
        if variant == CHALLENGER and other == version and ours is not None:
            counted = _paired(objects, ours, labels)
            rows, wins, losses = rows + counted[0], wins + counted[1], losses + counted[2]
    return Paired(rows, wins, losses, log_e_value(losses, wins))


def _windows(tx: Transaction, deployment: str, variants: tuple[str, ...]) -> list[_Row]:
    columns = [window_labels.c[name] for name in _Row.__struct_fields__]
    mine = (window_labels.c.deployment == deployment, window_labels.c.variant.in_(variants))
    return [read_struct(_Row, row) for row in tx.execute(sa.select(*columns).where(*mine).order_by(window_labels.c.window_start))]


def _remembered(key: tuple[str, ...], work: Callable[[], T]) -> T:
    """Do some work once for an object; what was known longest goes first."""
    if key not in _known:
        while len(_known) >= MOST_REMEMBERED:
            _known.pop(next(iter(_known)), None)
        _known[key] = work()
    found: T = _known[key]
    return found


def _earned(objects: ObjectStore, digest: str, reward: str) -> Earned:
    return _remembered((digest, reward), lambda: _read_earned(objects, digest, reward))


def _read_earned(objects: ObjectStore, digest: str, reward: str) -> Earned:
    table = read_labels(objects.get(digest))
    if "reason" not in table.column_names or "propensity" not in table.column_names:
        return Earned(Rewards(), Rewards())
    plain, weighted = Rewards(), Rewards()
    names = ("reason", "propensity", "prediction", "label")
    for reason, propensity, prediction, label in zip(*(table[name].to_pylist() for name in names), strict=True):
        value = _reward(prediction, label, reward)
        if value is None or reason not in RANDOMISED or not propensity:
            continue
        plain, weighted = _with(plain, value), _with(weighted, value / propensity)
    return Earned(plain, weighted)


def _paired(objects: ObjectStore, ours: str, theirs: str) -> tuple[int, int, int]:
    return _remembered((ours, theirs, "paired"), lambda: _read_paired(objects, ours, theirs))


def _read_paired(objects: ObjectStore, ours: str, theirs: str) -> tuple[int, int, int]:
    """Count the rows that both answered, and which the second, or the first, alone has right."""
    mine, other = (_right(read_labels(objects.get(digest))) for digest in (ours, theirs))
    both = mine.keys() & other.keys()
    wins = sum(other[identity] and not mine[identity] for identity in both)
    return len(both), wins, sum(mine[identity] and not other[identity] for identity in both)


def _right(table: "pa.Table") -> dict[str, bool]:
    names = ("prediction_id", "prediction", "label")
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return {identity: prediction == label for identity, prediction, label in rows if label is not None}


def _reward(prediction: str | None, label: str | None, reward: str) -> float | None:
    if label is None:
        return None
    if reward == "correct":
        return float(prediction == label)
    try:
        return float({"true": "1", "false": "0"}.get(label, label))
    except ValueError:
        return None


def _with(sums: Rewards, value: float) -> Rewards:
    return Rewards(sums.count + 1, sums.total + value, sums.squares + value * value)
