"""A project whose world changes: its rows, and windows of answers as an observer leaves them."""

from pathlib import Path

import numpy as np

from perenne.core.clock import DAY, parse_time
from perenne.formats.windows import LATENCY_EDGES_US, WindowPost, encode_window
from perenne.registry.placing import aliased
from perenne.stats.cells import Reference
from perenne.stats.profile import Profile
from perenne.storage.workspace import Workspace

BEGIN, CHANGED = parse_time("2020-10-01"), parse_time("2022-01-01")
ROWS_A_DAY = 3
WINDOWS = 3

PROJECT = """
from pathlib import Path

import perenne as pn

project = pn.Project(
    "signals", problem="Tell good signals from bad ones.", owner="ada", window="1d",
    objectives=[pn.Objective("roc_auc", at_least=0.6), pn.Objective("latency_p99_ms", at_most=10_000)],
)


@project.dataset(time="day")
def rows():
    return Path(__file__).parent / "rows.csv"


@project.model(target="good", data=rows)
def model(X, y, params):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


project.retrain(
    on=[pn.drift()], cooldown="1d", holdout="60d", label_delay="0s", shadow="1h", shadow_rows=0, canary=0.2, canary_time="20m",
    soak="1h", approve_by="ben",
)
"""


def write_rows(path: Path) -> None:
    """Write two years of rows; from the middle of the second on, another input decides."""
    rng = np.random.default_rng(0)
    days = np.repeat(np.arange("2020-01-01", "2022-01-01", dtype="datetime64[D]"), ROWS_A_DAY)
    one, two = rng.normal(size=len(days)), rng.normal(size=len(days))
    late = days >= np.datetime64("2021-03-01")
    one = one + np.where(late, 2.0, 0.0)
    good = np.where(late, two, one) + rng.normal(scale=0.5, size=len(days)) > 0
    lines = [f"{day},{a:.6f},{b:.6f},{'yes' if label else 'no'}" for day, a, b, label in zip(days, one, two, good, strict=True)]
    path.write_text("\n".join(["day,one,two,good", *lines]) + "\n")


def leave_windows(workspace: Workspace, end: int) -> None:
    """Leave windows of drifted rows in the spool, the last of which ends at an instant."""
    with workspace.database.read() as tx:
        champion = aliased(tx, "signals", "champion")
    assert champion is not None
    reference = Reference.from_bytes(workspace.objects.get(champion.reference))
    folder = workspace.settings.spool / "windows"
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(WINDOWS):
        rng = np.random.default_rng(place)
        columns = {"one": rng.normal(2.0, 1.0, 400), "two": rng.normal(size=400)}
        scores = np.column_stack([1 - (p := 1 / (1 + np.exp(-columns["one"]))), p])
        profile = Profile.empty(reference)
        profile.add(columns, (scores[:, 1] >= 0.5).astype(np.int64), scores)
        latency = [0] * (len(LATENCY_EDGES_US) + 1)
        latency[14] = 400
        start = end - (WINDOWS - place) * DAY
        post = WindowPost(
            observer="host-1",
            boot="b1",
            sequence=place,
            deployment="signals",
            variant="champion",
            version=champion.id,
            reference=champion.reference,
            window_start=start,
            window_length=DAY,
            rows=400,
            dropped=0,
            errors=0,
            first=start,
            last=start + DAY - 1,
            latency=latency,
            profile=profile.to_bytes(),
        )
        (folder / f"b1-{place:012d}.post").write_bytes(encode_window(post))
