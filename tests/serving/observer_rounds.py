"""Kills observers in the middle of anything, and holds what is in the log and in the windows against what was sent.

Run as a program: `observer_rounds.py FOLDER FIRST_SEED ROUNDS`. Each round starts several observers after each other on the same
wires and the same shared counters; each dies by SIGKILL after so many calls of functions (most of them once it makes a certain
checkpoint, or comes to a certain part of one), while messages are sent and flushes are asked for. The last one is let live. Then

- every row that was sent is in the log, once, or counted as dropped, and what a flush confirmed is in the log;
- the windows hold as many rows as the log, each post has another identity, and they tell all that was dropped;
- every part of the log that can be seen can be read.
"""

import importlib
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
from tests.serving.changing import telling_package
from tests.serving.packages import NUMBERS, ReleaseFolder, numbers

from perenne.core.ids import encode_id
from perenne.formats.windows import decode_window
from perenne.serving.checkpoints import Checkpoints
from perenne.serving.counters import Counters, Gauge, Ledger
from perenne.serving.messages import Served, pack_columns, pack_message, served_encoder
from perenne.serving.model import Role
from perenne.serving.observer import Observer
from perenne.serving.options import Flush, ObserverOptions, flush_decoder, socket_pair

WIRES = 3
POINTS: list[tuple[Callable[..., Any] | None, int]] = [
    (None, 80_000),
    (Observer._checkpoint, 3_000),
    (Checkpoints.commit, 500),
    (Ledger.commit, 15),
    (Checkpoints.settle, 250),
]
NOW = 1_400_000_000_000_000


def die_after(calls: int, function: Callable[..., Any] | None, times: int) -> None:
    """Kill this process after so many calls in its main thread, counted from when a function has been called so often."""
    left, begun = calls, 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left, begun
        if function is not None:
            begun += event == "call" and frame.f_code is function.__code__
        if function is None or begun >= times:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def draw_death(dice: random.Random) -> tuple[int, Callable[..., Any] | None, int]:
    """Draw when to die: somewhere, or in the middle of a checkpoint or of one of its parts."""
    function, most = dice.choice(POINTS)
    return dice.randint(1, most), function, dice.randint(1, 4)


class Stage:
    """The parent's and the workers' side: wires, counters, and what was sent."""

    def __init__(self, folder: Path, release: ReleaseFolder, tree: str) -> None:
        self.folder = folder
        self.tree = tree
        self.counters = Counters.create(WIRES + 1)
        self.wires = [socket_pair() for _ in range(WIRES)]
        self.control, self.theirs = socket_pair()
        self.sent: set[str] = set()
        self.confirmed: set[str] = set()
        self.options = ObserverOptions(
            folder=str(release.folder),
            logs=str(folder / "logs"),
            spool=str(folder / "spool"),
            wires=tuple(wire.fileno() for _, wire in self.wires),
            control=self.theirs.fileno(),
            counters=self.counters.handle,
            server="server",
        )

    def observer(self, dies: tuple[int, Callable[..., Any] | None, int] | None) -> int:
        """Fork an observer that dies as `die_after` says, or lives."""
        pid = os.fork()
        if pid == 0:
            self.control.close()
            try:
                if dies is not None:
                    die_after(*dies)
                Observer(self.options).run()
                os._exit(0)
            except BaseException as error:
                print(f"observer failed: {error!r}", file=sys.stderr, flush=True)
                os._exit(9)
        return pid

    def send(self, dice: random.Random) -> None:
        """Send a request of some rows on some wire, as a worker does."""
        place, rows = dice.randrange(WIRES), dice.randint(1, 40)
        number = len(self.sent)
        table = numbers(rows, number)
        request = encode_id((NOW + number) // 1_000 << 80 | number)
        served = Served(
            request_id=request,
            first_row=0,
            rows=rows,
            arrival=NOW + number,
            event_time=NOW + number,
            latency_us=3,
            batch_rows=rows,
            status=200,
            role="champion",
            reason="",
            version="late@1",
            tree=self.tree,
            dropped=0,
            columns=pack_columns(table, NUMBERS),
            predictions=table["a"].tobytes(),
            scores=b"",
        )
        own = Counters(self.counters.handle, WIRES + 1, place)
        try:
            self.wires[place][0].send(pack_message(own.own(Gauge.SENT_ROWS), served_encoder.encode(served)))
        except BlockingIOError:
            return
        own.add(Gauge.SENT_ROWS, rows)
        self.sent |= {f"{request}-{row}" for row in range(rows)}

    def flush(self) -> None:
        """Ask for a flush; what was sent until then is to be kept once it is confirmed."""
        try:
            self.control.send(msgspec.msgpack.encode(Flush(str(len(self.sent)))))
        except BlockingIOError:
            return

    def hear(self) -> int:
        """Return after how many rows the last confirmed flush was asked for."""
        heard = 0
        while True:
            try:
                heard = max(heard, int(flush_decoder.decode(self.control.recv(65_536)).token))
            except (BlockingIOError, ConnectionError):
                return heard


def play(folder: Path, release: ReleaseFolder, tree: str, seed: int) -> None:
    """Play one round."""
    dice = random.Random(seed)
    folder.mkdir()
    stage = Stage(folder, release, tree)
    confirmed = 0
    for _ in range(dice.randint(1, 5)):
        pid = stage.observer(draw_death(dice))
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            for _ in range(dice.randint(0, 5)):
                stage.send(dice)
            if dice.random() < 0.1:
                stage.flush()
            confirmed = max(confirmed, stage.hear())
            time.sleep(dice.random() * 0.004)
    last = stage.observer(None)
    stage.send(dice)
    stage.flush()
    total = len(stage.sent)
    deadline = time.monotonic() + 60
    while confirmed < total:
        assert time.monotonic() < deadline, f"seed {seed}: the last observer does not confirm"
        confirmed = max(confirmed, stage.hear())
        time.sleep(0.01)
    stage.control.close()
    assert os.waitpid(last, 0)[1] == 0, f"seed {seed}: the last observer failed"
    check(stage, seed)
    for end in (stage.theirs, *(end for pair in stage.wires for end in pair)):
        end.close()
    os.close(stage.counters.handle)


def check(stage: Stage, seed: int) -> None:
    """Hold log, windows and account against what was sent, in a process of its own, for it needs Arrow and forks nothing more."""
    pid = os.fork()
    if pid == 0:
        try:
            _check(stage)
            os._exit(0)
        except BaseException as error:
            print(f"seed {seed}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0, f"seed {seed}"


def _check(stage: Stage) -> None:
    from perenne.serving import read_predictions

    logged = read_predictions(stage.folder / "logs", columns=["prediction_id", "variant"]).to_pylist()
    ids = [row["prediction_id"] for row in logged if row["variant"] == "champion"]
    assert len(ids) == len(set(ids)), f"{len(ids) - len(set(ids))} rows are in the log twice"
    assert set(ids) <= stage.sent, "a row is in the log that was not sent"
    dropped = stage.counters.total(Gauge.DROPPED)
    assert len(stage.sent) == len(ids) + dropped, f"{len(stage.sent)} rows sent, {len(ids)} logged, {dropped} dropped"
    posts = [decode_window(path.read_bytes()) for path in (stage.folder / "spool" / "windows").glob("[!.]*.post")]
    assert len({(post.boot, post.sequence) for post in posts}) == len(posts)
    for variant in ("champion", "challenger"):
        rows = sum(post.rows for post in posts if post.variant == variant)
        assert rows == sum(row["variant"] == variant for row in logged), f"the windows of the {variant} hold {rows} rows"
    assert sum(post.dropped for post in posts) == dropped, f"{dropped} rows dropped, windows tell {[p.dropped for p in posts]}"
    assert stage.counters.total(Gauge.LOGGED_ROWS) == len(logged)
    assert not list((stage.folder / "spool").rglob(".*.post")), "posts that do not count are left behind"


def main() -> None:
    importlib.import_module("perenne.serving.row_log")  # before the forks, or they would all die while importing Arrow
    folder, first, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    release = ReleaseFolder(folder / "release")
    champion = release.add(telling_package(folder / "first", 1), 1)
    release.write(champion, release.add(telling_package(folder / "second", 2), 2, Role.CHALLENGER))
    for seed in range(first, first + rounds):
        play(folder / str(seed), release, champion.tree, seed)
    print(f"{rounds} rounds from seed {first}")


if __name__ == "__main__":
    socket.setdefaulttimeout(30)
    main()
