"""Changes everything about a model server while it is being asked, and holds every answer against what was released at that time.

Run as a program: `change_rounds.py FOLDER FIRST_SEED ROUNDS`. One server with two workers answers five callers throughout. Each
round draws from its seed one to three changes, which follow each other without waiting: a new champion, a roll-back, a stop by a
constant or by the version before, its end, a release whose package is missing, a challenger; a worker killed, or told to go; all
workers replaced one by one; the observer killed, or halted for a while. Then

- no request may have got another answer than 200, by a version that was released some time between its beginning and its end,
  with the values of that version;
- no request may be lost but by a killed worker, at most one for each connection; asked again, each must have been answered;
- at the end every answered row must be in the log, once, or counted as dropped.
"""

import contextlib
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from tests.serving.changing import CONSTANT, Callers, Possible, Told, telling_package, wrong_answers
from tests.serving.packages import ReleaseFolder

from perenne.core.errors import Unavailable
from perenne.serving import ModelServer, StopMode, read_predictions
from perenne.serving.counters import Gauge
from perenne.serving.model import Role, Stop, Variant

VERSIONS = 4
PAUSE = 0.3
FOREVER = float("inf")


class Round:
    """The server, what is released, and what may be answered."""

    def __init__(self, folder: Path) -> None:
        self.release = ReleaseFolder(folder / "release")
        self.packages = {number: telling_package(folder / f"package-{number}", number) for number in range(1, VERSIONS + 1)}
        self.logs = folder / "logs"
        self.champion, self.previous, self.stop, self.challenger = 1, 2, "", 0
        self.possible: list[Possible] = []
        self.killed: list[float] = []
        self.write()
        self.server = ModelServer(self.release.folder, self.logs, folder / "spool", workers=2)

    def write(self, broken: bool = False) -> None:
        """Release what is meant to answer now; until it is known to be taken over, what was before may answer too."""
        roles = [(self.champion, Role.CHAMPION), (self.previous, Role.PREVIOUS), (self.challenger, Role.CHALLENGER)]
        variants = [self._variant(number, role) for number, role in roles if number]
        stop = Stop(StopMode(self.stop), "", 0, "test") if self.stop else None
        if broken:
            variants[0] = Variant("champion", Role.CHAMPION, "late@9", "9" * 64)
        else:
            self.possible.append(Possible(frozenset([self._told()]), time.monotonic(), FOREVER))
        self.release.write(*variants, answer=CONSTANT, stop=stop)

    def taken_over(self) -> None:
        """Note that only what was released last answers from now on."""
        now = time.monotonic()
        *before, last = self.possible
        self.possible = [span._replace(end=min(span.end, now)) for span in before] + [last]

    def _told(self) -> Told:
        if self.stop == "constant":
            return Told(str(self.champion), "constant", 0)
        if self.stop == "previous":
            return Told(str(self.previous), "previous", self.previous)
        return Told(str(self.champion), "champion", self.champion)

    def _variant(self, number: int, role: Role) -> Variant:
        return self.release.add(self.packages[number], number, role)

    # changes -----------------------------------------------------------------------------------------------------

    def new_champion(self, dice: random.Random) -> None:
        others = [number for number in range(1, VERSIONS + 1) if number != self.champion]
        self.champion, self.previous, self.stop = dice.choice(others), self.champion, ""
        self.challenger = 0 if self.challenger == self.champion else self.challenger
        self.write()

    def roll_back(self, dice: random.Random) -> None:
        self.champion, self.previous, self.stop = self.previous, self.champion, ""
        self.write()

    def halt(self, dice: random.Random) -> None:
        self.stop = dice.choice(["constant", "previous"])
        self.write()

    def resume(self, dice: random.Random) -> None:
        self.stop = ""
        self.write()

    def shadow(self, dice: random.Random) -> None:
        free = [number for number in range(1, VERSIONS + 1) if number not in (self.champion, self.previous)]
        self.challenger = dice.choice([0, *free])
        self.write()

    def damage(self, dice: random.Random) -> None:
        self.server.wait_ready()  # what is loaded already goes on answering
        self.write(broken=True)
        try:
            self.server.wait_ready()
            raise AssertionError("a release without its package was taken over")
        except Unavailable:
            self.write()

    def kill_worker(self, dice: random.Random) -> None:
        self._signal(dice, "worker", signal.SIGKILL)
        self.killed.append(time.monotonic())

    def tell_worker(self, dice: random.Random) -> None:
        self._signal(dice, "worker", signal.SIGTERM)

    def replace_workers(self, dice: random.Random) -> None:
        try:
            self.server.restart_workers()
        except Unavailable as error:
            raise AssertionError(f"workers were not replaced: {error}") from error

    def kill_observer(self, dice: random.Random) -> None:
        self._signal(dice, "observer", signal.SIGKILL)

    def halt_observer(self, dice: random.Random) -> None:
        pid = self.server.pids().get("observer")
        if pid is not None:
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(dice.random() * PAUSE, go_on, (pid,)).start()

    def _signal(self, dice: random.Random, kind: str, number: int) -> None:
        pids = [pid for name, pid in sorted(self.server.pids().items()) if name.startswith(kind)]
        if pids:
            os.kill(dice.choice(pids), number)


def go_on(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


CHANGES = (
    Round.new_champion,
    Round.roll_back,
    Round.halt,
    Round.resume,
    Round.shadow,
    Round.damage,
    Round.kill_worker,
    Round.tell_worker,
    Round.replace_workers,
    Round.kill_observer,
    Round.halt_observer,
)


def play(world: Round, callers: Callers, seed: int) -> None:
    """Play one round and look at what was answered meanwhile."""
    dice = random.Random(seed)
    first, lost, kills = len(callers.answers), len(callers.lost), len(world.killed)
    drawn = [dice.choice(CHANGES) for _ in range(dice.randint(1, 3))]
    said = f"seed {seed}: {' '.join(change.__name__ for change in drawn)}"
    for change in drawn:
        if change is Round.kill_worker and len(world.killed) > kills:
            continue  # who asks twice may meet one death, not two
        change(world, dice)
        time.sleep(dice.random() * PAUSE)
    world.server.wait_ready()
    world.taken_over()
    callers.wait_for(20)
    wrong = wrong_answers(callers.answers[first:], world.possible)
    assert not wrong, f"{said}: {len(wrong)} wrong answers, such as {wrong[0]} of {world.possible[-4:]}"
    gone = callers.lost[lost:]
    assert len(gone) <= callers.count * (len(world.killed) - kills), f"{said}: {len(gone)} requests were lost: {gone[:3]}"
    assert not callers.twice, f"{said}: asked twice and not answered: {callers.twice[:3]}"


def settle(world: Round, callers: Callers) -> str:
    """Hold what was answered against the log and what was counted as dropped."""
    world.server.flush()
    dropped = world.server.counters.total(Gauge.DROPPED)
    logged = read_predictions(world.logs, columns=["prediction_id", "variant"]).to_pylist()
    ids = [row["prediction_id"] for row in logged if row["variant"] != "challenger"]
    answered = {identity for answer in callers.answers for identity in answer.ids}
    assert len(ids) == len(set(ids)), "a row is in the log twice"
    missing, more = len(answered - set(ids)), len(set(ids) - answered)
    rows = 2 * len(callers.lost)  # a request that was lost may have been logged, dropped, or neither
    assert missing <= dropped <= missing + rows, f"{missing} answered rows are not in the log, {dropped} are counted as dropped"
    assert more <= rows, f"{more} rows are in the log that nobody asked for"
    return f"{len(callers.answers)} answers, {len(callers.lost)} lost to {len(world.killed)} kills, {dropped} rows not logged"


def main() -> None:
    folder, first, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    world = Round(folder)
    with world.server as server:
        server.wait_ready()
        world.taken_over()
        with Callers(server.port) as callers:
            callers.wait_for(20)
            for seed in range(first, first + rounds):
                play(world, callers, seed)
        found = settle(world, callers)
    print(f"{rounds} rounds from seed {first}: {found}")


if __name__ == "__main__":
    main()
