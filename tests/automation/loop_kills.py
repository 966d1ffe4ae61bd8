"""Kills the whole loop in the middle, lets others go on, and looks at what came of it.

Run as a program: `loop_kills.py FOLDER FIRST_SEED KILLS [postgresql]`. A champion has met a world that changed: windows
of drifted rows lie in the spool. What should follow is one episode: drift found, debounced, a round, a better challenger, the
gate, an approval, the shadow, the canary, promoted, soaking, settled. Each round plays that in processes that turn the loop, do
its jobs and approve, on a copy of the same beginning, until enough of them were killed. They die by SIGKILL, after so many calls
of functions or at some moment; now and then two of them race, the clock jumps, or somebody edits the project in between. All of
it is drawn from the round's seed. A last process goes on to the end, and then

- the trail of audit records is whole, and holds exactly one record for each thing that happened,
- the episode has ended, by steps that may follow one another, and no job, event or run is left over,
- each version is registered once, and alias, deployment and release folder name the same champion,
- every object is whole.
"""

import contextlib
import itertools
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from tests.automation.loop_story import BEGIN, CHANGED, PROJECT, leave_windows, write_rows
from tests.dying import die_after
from tests.postgres import PostgresServer

from perenne import registry, serving, tracking
from perenne.app.wiring import Platform
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.automation import episodes, run_round
from perenne.automation.handling import decide
from perenne.automation.model import Episode, EpisodeState, may_follow
from perenne.core.clock import DAY, HOUR, MINUTE, ManualClock
from perenne.core.config import load_settings
from perenne.core.errors import Conflict
from perenne.core.hashing import digest_bytes
from perenne.projects import load_project
from perenne.serving.releases import read_release
from perenne.storage import jobs, outbox
from perenne.storage.backup import back_up, restore
from perenne.storage.database import Database, Transaction
from perenne.storage.files import write_atomically
from perenne.storage.workspace import Workspace

ADA, BEN = (Principal(name, roles=frozenset(Role)) for name in ("ada", "ben"))
TURNS = 400
CALLS = 600_000
SECONDS = 3.0
STEP_TABLES = ("step", "edge", "step_code")


def open_workspace(home: Path, url: str, now: int) -> Workspace:
    settings = load_settings(home, {"PERENNE_HOME": str(home / "state"), **({"PERENNE_DATABASE": url} if url else {})})
    return Workspace(settings, ManualClock(now))


def turn_to_the_end(home: Path, url: str, now: int) -> None:
    """Be a control plane and its worker: turn the loop and do its jobs until no episode is open."""
    with open_workspace(home, url, now) as workspace:
        platform = Platform(workspace)
        for _ in range(TURNS):
            done = platform.loop.turn() + platform.errands.drain() + platform.trainer.drain()
            with workspace.database.read() as tx:
                known = episodes.list_episodes(tx)
            done += approve(workspace, known)
            if not done and known and not known[0].open:
                return
            clock = workspace.clock
            assert isinstance(clock, ManualClock)
            clock.advance_to(clock.now() + 20 * MINUTE)
            write_atomically(home / "clock", str(clock.now()).encode())
    raise AssertionError(f"the episode did not end: {known}")


def approve(workspace: Workspace, known: list[Episode]) -> int:
    """Be the person who is asked; somebody else may have been quicker."""
    waiting = [episode.id for episode in known if episode.state is EpisodeState.AWAITING_APPROVAL]
    with contextlib.suppress(Conflict):
        for identity in waiting:
            workspace.database.write(lambda tx, identity=identity: decide(tx, BEN, identity, approve=True, reason="seen"))  # type: ignore[misc]
    return len(waiting)


def start(home: Path, url: str, now: int, calls: int | None) -> int:
    """Fork a process of the loop and return its number."""
    pid = os.fork()
    if pid:
        return pid
    try:
        log = os.open(home / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if calls is not None:
            die_after(calls)
        turn_to_the_end(home, url, now)
        os._exit(0)
    except BaseException as error:
        print(f"the loop failed: {error!r}", flush=True)
        os._exit(9)


def wave(home: Path, url: str, now: int, dice: random.Random) -> int:
    """Start a process or two that are to die, and return how many did; who came to the end first was too quick for us."""
    doomed: dict[int, float] = {}
    for _ in range(dice.choice([1, 1, 2])):
        calls = int(10 ** dice.uniform(2, np.log10(CALLS))) if dice.random() < 0.6 else None
        pid = start(home, url, now, calls)
        doomed[pid] = time.monotonic() + (120.0 if calls is not None else dice.uniform(0, SECONDS))
    killed = 0
    while doomed:
        for pid in [pid for pid, moment in doomed.items() if moment < time.monotonic()]:
            os.kill(pid, signal.SIGKILL)
            doomed[pid] = float("inf")
        done, status = os.waitpid(-1, os.WNOHANG)
        if not done:
            time.sleep(0.002)
            continue
        del doomed[done]
        killed += os.WIFSIGNALED(status)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, (home / "log").read_text()[-4_000:]
    return killed


def play(home: Path, url: str, seed: int) -> tuple[int, str]:
    """Play one round; return how many processes were killed, and how the episode ended."""
    dice = random.Random(seed)
    now, kills, edits = CHANGED, 0, 0
    for _ in range(dice.randint(1, 3)):
        kills += wave(home, url, now, dice)
        now = int((home / "clock").read_text()) if (home / "clock").exists() else now
        now += dice.choice([0, 0, 0, 2 * DAY, -HOUR])
        if dice.random() < 0.25:
            edits += 1
            project = home / "project.py"
            project.write_text(project.read_text() + f"\n# somebody was here, {edits}\n")
    _, status = os.waitpid(start(home, url, now, None), 0)
    assert status == 0, f"seed {seed}: the last process ended with {status}: {(home / 'log').read_text()[-4_000:]}"
    with open_workspace(home, url, now) as workspace:
        return kills, check(workspace, kills, seed)


def check(workspace: Workspace, kills: int, seed: int) -> str:
    """Look at what a round left, and return how its episode ended."""
    with workspace.database.read() as tx:
        verdict = audit.verify(tx)
        assert verdict.bad_seq is None, f"seed {seed}: {verdict}"
        trail = Counter((record.action, record.entity_id) for record in audit.trail(tx, limit=100_000))
        open_jobs = [job for job in jobs.jobs(tx, limit=1_000) if job.state in ("queued", "running")]
        assert not open_jobs, f"seed {seed}: jobs are left: {open_jobs}"
        events = [event for event in outbox.events(tx, limit=10_000) if event.state not in ("delivered",)]
        assert not events, f"seed {seed}: events are left: {events}"
        ended = check_episodes(tx, trail, seed)
        check_versions(tx, trail, ended, seed)
        running = [run for run in tracking.service.runs(tx) if run.state == "running"]
        assert not running, f"seed {seed}: runs are left open: {running}"
        deployment = serving.service.get_deployment(tx, "signals")
        lost = ended is EpisodeState.FAILED
        assert not lost or kills >= 3, f"seed {seed}: failed after {kills} kills: {episodes.list_episodes(tx)}"
    release = read_release(workspace.settings.releases / "signals")
    assert release.deployment == deployment, f"seed {seed}: released {release.deployment}, deployed {deployment}"
    for digest in workspace.objects.digests():
        assert digest_bytes(workspace.objects.get(digest)) == digest, f"seed {seed}: object {digest} is damaged"
    return ended.value


def check_episodes(tx: Transaction, trail: "Counter[tuple[str, str]]", seed: int) -> EpisodeState:
    found = episodes.list_episodes(tx)
    assert len(found) == 1, f"seed {seed}: {len(found)} episodes"
    (episode,) = found
    steps = episodes.history(tx, episode.id)
    assert not episode.open, f"seed {seed}: stuck: {episode}"
    assert [step.generation for step in steps] == list(range(len(steps))), f"seed {seed}: {steps}"
    for before, after in itertools.pairwise(steps):
        assert before.after == after.before and may_follow(EpisodeState(before.after), EpisodeState(after.after)), steps
    for step in steps:
        assert trail[f"episode.{step.after}", episode.id] == 1, f"seed {seed}: {step.after} {trail}"
    return episode.state


def check_versions(tx: Transaction, trail: "Counter[tuple[str, str]]", ended: EpisodeState, seed: int) -> None:
    versions = registry.versions(tx, "signals")
    trees = [version.tree for version in versions]
    assert len(trees) == len(set(trees)), f"seed {seed}: registered twice: {versions}"
    for version in versions:
        assert trail["version.register", version.id] == 1, f"seed {seed}: {version.id} {trail}"
    (episode,) = episodes.list_episodes(tx)
    champion = registry.placing.aliased(tx, "signals", "champion")
    deployment = serving.service.get_deployment(tx, "signals")
    assert champion is not None and deployment.champion.version == champion.id, f"seed {seed}: {champion} {deployment}"
    expected = episode.challenger if ended is EpisodeState.SETTLED else "signals@1"
    assert champion.id == expected, f"seed {seed}: {champion.id} answers after the episode {ended}"


def prepare(folder: Path) -> tuple[Path, Path]:
    """Make the beginning that every round starts from, with the challenger's steps known already; return its home and its backup.

    A round's fits take seconds; as they are known, what is left of a round is what is to be tried here: its transitions.
    """
    home = folder / "beginning"
    home.mkdir()
    (home / "project.py").write_text(PROJECT)
    write_rows(home / "rows.csv")
    with open_workspace(home, "", BEGIN) as workspace:
        first = run_round(workspace, ADA, load_project(home)).version.id
        workspace.database.write(lambda tx: registry.approvals.decide(tx, BEN, first, approve=True))
        Platform(workspace).loop.settle()
        leave_windows(workspace, CHANGED)
    ahead = folder / "ahead"
    shutil.copytree(home, ahead)
    turn_to_the_end(ahead, "", CHANGED)
    with open_workspace(ahead, "", CHANGED) as workspace, workspace.database.read() as tx:
        (episode,) = episodes.list_episodes(tx)
        assert episode.state is EpisodeState.SETTLED, episode
    shutil.copytree(ahead / "state" / "objects", home / "state" / "objects", dirs_exist_ok=True)
    raw = sqlite3.connect(home / "state" / "perenne.db")
    raw.execute("ATTACH ? AS ahead", (str(ahead / "state" / "perenne.db"),))
    for table in STEP_TABLES:
        raw.execute(f"INSERT OR IGNORE INTO {table} SELECT * FROM ahead.{table}")
    raw.commit()
    raw.close()
    backup = folder / "beginning.zip"
    with open_workspace(home, "", BEGIN) as workspace:
        back_up(workspace.database, workspace.objects, backup)
    return home, backup


def main() -> None:
    """Play rounds until enough were killed, and print how many that were and how the episodes ended."""
    folder, first, wanted = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    beginning, backup = prepare(folder)
    server = PostgresServer() if sys.argv[4:] == ["postgresql"] else None
    template = ""
    if server is not None:
        url = server.database()
        with Database(url) as database, open_workspace(beginning, "", BEGIN) as workspace:
            restore(database, workspace.objects, backup)
        template = url.partition("?")[0].rpartition("/")[2]
    kills, ends = 0, Counter[str]()
    for seed in itertools.count(first):
        if kills >= wanted:
            break
        home = folder / str(seed)
        shutil.copytree(beginning, home)
        url = server.database(template) if server is not None else ""
        killed, end = play(home, url, seed)
        kills, ends[end] = kills + killed, ends[end] + 1
        shutil.rmtree(home)
        if server is not None:
            server.drop(url)
    if server is not None:
        server.stop()
    print(f"{kills} processes killed in {seed - first} rounds from seed {first}; {dict(ends)}")


if __name__ == "__main__":
    main()
