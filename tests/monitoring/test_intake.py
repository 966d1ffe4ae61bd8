"""Taking in posts: once each, whatever is killed when, and never stopped by a damaged one."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.monitoring.conftest import DEPLOYMENT, VERSION, Spool, make_rows

from perenne.core.clock import HOUR
from perenne.core.config import Settings
from perenne.monitoring import alert_store, store
from perenne.monitoring.intake import collect
from perenne.monitoring.model import Alert, Stream, Window, WindowKey
from perenne.monitoring.service import open_alerts
from perenne.stats.cells import Reference
from perenne.stats.profile import Profile
from perenne.storage.workspace import Workspace

KEY = WindowKey(Stream(DEPLOYMENT, "champion", VERSION), 5 * HOUR, HOUR)


def stored(workspace: Workspace) -> Window:
    with workspace.database.read() as tx:
        window = store.find_window(tx, KEY)
    assert window is not None
    return window


def alerts(workspace: Workspace) -> list[Alert]:
    with workspace.database.read() as tx:
        return open_alerts(tx)


def test_posts_of_one_window_add_up_and_their_files_go(workspace: Workspace, spool: Spool, reference: Reference) -> None:
    rows = make_rows(300, 1)
    spool.leave(rows, 5, dropped=3, errors=1, first=5 * HOUR + 10)
    spool.leave(rows, 5, dropped=4, agreement=(1, 2), last=5 * HOUR + 99)
    assert collect(workspace) == 2
    window = stored(workspace)
    assert (window.rows, window.dropped, window.errors, window.agreed, window.compared) == (600, 7, 1, 1, 2)
    assert (window.first, window.last, sum(window.latency)) == (5 * HOUR, 6 * HOUR - 1, 600)
    spool.leave(make_rows(0, 1), 5, first=0, last=0, errors=5)
    collect(workspace)
    assert (stored(workspace).first, stored(workspace).errors) == (5 * HOUR, 6)
    whole = Profile.empty(reference)
    for _ in range(2):
        whole.add(rows.columns, rows.predictions, rows.scores)
    assert window.profile == whole.to_bytes()
    assert list(spool.folder.iterdir()) == []


def test_a_post_sent_twice_counts_once(workspace: Workspace, spool: Spool) -> None:
    post = spool.post(make_rows(100, 1), 5)
    spool.write(post)
    assert collect(workspace) == 1
    spool.write(post)
    assert collect(workspace) == 0
    assert stored(workspace).rows == 100
    assert list(spool.folder.iterdir()) == []


def test_a_copy_in_the_same_batch_counts_once(workspace: Workspace, spool: Spool) -> None:
    path = spool.leave(make_rows(100, 1), 5)
    path.with_name("copy.post").write_bytes(path.read_bytes())
    assert collect(workspace) == 1
    assert stored(workspace).rows == 100


def test_a_crash_between_commit_and_delete_loses_and_doubles_nothing(
    workspace: Workspace, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.leave(make_rows(100, 1), 5)

    def crash(self: Path, missing_ok: bool = False) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", crash)
        with pytest.raises(SystemExit):
            collect(workspace)
    assert len(list(spool.folder.glob("*.post"))) == 1
    assert collect(workspace) == 0
    assert stored(workspace).rows == 100


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "profile", "rows", "latency", "length", "huge"])
def test_a_damaged_post_is_set_aside_and_stops_nobody(workspace: Workspace, spool: Spool, damage: str) -> None:
    rows = make_rows(50, 1)
    match damage:
        case "profile":
            path = spool.leave(rows, 5, profile=b"PPRF nonsense")
        case "rows":
            path = spool.leave(rows, 5, rows=49)
        case "latency":
            path = spool.leave(rows, 5, latency=[1])
        case "length":
            path = spool.leave(rows, 5, window_length=0)
        case "huge":
            path = spool.leave(rows, 5, dropped=1 << 63)
        case _:
            path = spool.leave(rows, 5)
            whole = path.read_bytes()
            path.write_bytes({"cut": whole[:-7], "noise": b"\xc1" + whole, "empty": b""}[damage])
    spool.leave(rows, 5)
    assert collect(workspace) == 1
    assert stored(workspace).rows == 50
    assert path.with_name(path.name + ".damaged").exists()
    (alert,) = alerts(workspace)
    assert alert.rule == "intake"
    assert path.name in alert.summary


@pytest.mark.parametrize("change", [{"version": "late@2"}, {"deployment": "elsewhere"}, {"reference": "f" * 64}])
def test_a_post_of_an_unknown_version_is_set_aside_until_it_is_put_back(
    workspace: Workspace, spool: Spool, change: dict[str, str]
) -> None:
    path = spool.leave(make_rows(50, 1), 5, **change)
    assert collect(workspace) == 0
    aside = path.with_name(path.name + ".unknown")
    assert aside.exists()
    assert len(alerts(workspace)) == 1
    aside.unlink()
    collect(workspace)
    assert alerts(workspace) == []


def test_a_post_that_is_still_being_written_is_left_alone(workspace: Workspace, spool: Spool) -> None:
    whole = spool.leave(make_rows(50, 1), 5)
    beside = whole.rename(whole.with_name("." + whole.name))
    assert collect(workspace) == 0
    assert list(spool.folder.iterdir()) == [beside]
    beside.rename(whole)
    assert collect(workspace) == 1


def test_an_alert_about_set_aside_posts_is_raised_once(workspace: Workspace, spool: Spool) -> None:
    spool.leave(make_rows(5, 1), 5, version="late@2")
    for _ in range(3):
        collect(workspace)
    with workspace.database.read() as tx:
        assert len(alert_store.list_alerts(tx)) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=200), position=st.floats(0, 1))
def test_whatever_the_bytes_collecting_goes_on(workspace: Workspace, spool: Spool, noise: bytes, position: float) -> None:
    path = spool.leave(make_rows(20, 1), 5)
    whole = path.read_bytes()
    cut = int(position * len(whole))
    path.write_bytes(whole[:cut] + noise + whole[cut + len(noise) :])
    collect(workspace)
    assert list(spool.folder.glob("*.post")) == []


# Imports once, then forks a collector for every line it reads, and tells when that one is gone.
NURSERY = """
import os, sys
from pathlib import Path
from perenne.core.config import load_settings
from perenne.monitoring.intake import collect
from perenne.storage.workspace import Workspace
import perenne.stats.cells
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        with Workspace(load_settings(Path(sys.argv[1]), {})) as workspace:
            while True:
                collect(workspace)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


def test_killed_at_any_moment_no_post_is_lost_or_doubled(
    workspace: Workspace, settings: Settings, spool: Spool, count_rows: Callable[[], int]
) -> None:
    """A collector is started, killed while it works, and started again; every post counts exactly once in the end."""
    posts = [spool.post(make_rows(7, seed), seed % 3) for seed in range(6)]
    command = [sys.executable, "-c", NURSERY, str(settings.home.parent)]
    rng, sequence, interrupted = random.Random(3), 0, 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for _ in range(20):
            nursery.stdin.write("start\n")
            child = int(nursery.stdout.readline())
            try:
                for _ in range(40):
                    sequence += 1
                    spool.write(msgspec.structs.replace(posts[sequence % 6], sequence=sequence))
                time.sleep(rng.random() * 0.08)
            finally:
                os.kill(child, signal.SIGKILL)
            assert nursery.stdout.readline() == "gone\n"
            interrupted += any(spool.folder.glob("*.post"))
    collect(workspace)
    assert interrupted > 0
    assert count_rows() == 7 * sequence
    assert list(spool.folder.glob("*.post*")) == []
