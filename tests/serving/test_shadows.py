"""Challengers that hang, crash, fail and are flooded, in real processes: the champion answers, no row is lost."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.serving.packages import ReleaseFolder
from tests.serving.test_observer import Observed, answered
from tests.serving.traffic import Traffic

from perenne.serving import ModelServer, read_predictions
from perenne.serving.challengers import Challenger, open_package
from perenne.serving.counters import Gauge, Outcome, SeriesKey
from perenne.serving.model import Role
from perenne.serving.shadow import Question, receive, send
from perenne.serving.verdicts import read_verdicts


@pytest.fixture
def observed(release: ReleaseFolder, packages: dict[str, Path], tmp_path: Path) -> Iterator[Observed]:
    shadow = msgspec.structs.replace(release.add(packages["second"], 2, Role.CHALLENGER), timeout_ms=2_000)
    release.write(release.add(packages["first"], 1), shadow)
    running = Observed(release.folder, tmp_path)
    yield running
    running.close()


def only(observed: Observed) -> Challenger:
    (challenger,) = observed.observer.shadows.challengers
    return challenger


def until(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


def rows_of(observed: Observed, variant: str) -> int:
    return read_predictions(observed.root / "logs", variant=variant).num_rows


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSTOP], ids=["crashes", "hangs"])
def test_one_that_dies_or_hangs_three_times_is_parked_and_said_so_and_no_row_is_lost(
    observed: Observed, packages: dict[str, Path], release: ReleaseFolder, number: signal.Signals
) -> None:
    message = answered(packages, release, 5)
    observed.send(message)
    observed.flush()
    assert (rows_of(observed, "champion"), rows_of(observed, "challenger")) == (5, 5)
    for _ in range(3):
        until(lambda: only(observed).parked or only(observed).pid())
        pid = only(observed).pid()
        assert pid is not None
        os.kill(pid, number)
        observed.send(message)
        observed.flush()
        if not only(observed).parked:
            observed.send(message)  # its next process answers again
            observed.flush()
    assert "3 times it" in only(observed).parked and only(observed).pid() is None
    observed.send(message)
    observed.flush()
    assert rows_of(observed, "champion") == 5 * (1 + 3 + 2 + 1) and rows_of(observed, "challenger") == 5 * (1 + 2)
    ((_, verdict),) = read_verdicts(observed.root / "spool")
    assert (verdict.version, verdict.role, verdict.reason) == ("late@2", Role.CHALLENGER, only(observed).parked)
    counts = observed.counters.read()[SeriesKey("delays", "late@2", "challenger", "shadow")]
    assert (counts.outcomes[Outcome.OK], counts.outcomes[Outcome.FAILED]) == (3, 3)
    assert observed.counters.total(Gauge.CHALLENGER_ERRORS) == 3
    release.write(release.add(packages["first"], 1), release.add(packages["second"], 2, Role.CHALLENGER))
    observed.flush()
    observed.send(message)
    observed.flush()
    assert not only(observed).parked and rows_of(observed, "challenger") == 5 * 4, "another release asks it again"


def test_one_whose_model_cannot_be_loaded_is_parked(release: ReleaseFolder, packages: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    shutil.copytree(packages["second"], tmp_path / "broken")
    for path in (tmp_path / "broken").glob("*.onnx"):
        path.write_bytes(b"not a model")
    release.write(release.add(packages["first"], 1), release.add(tmp_path / "broken", 2, Role.CHALLENGER))
    observed = Observed(release.folder, tmp_path)
    for _ in range(3):
        observed.send(answered(packages, release, 2))
        observed.flush()
    assert only(observed).parked and rows_of(observed, "champion") == 6
    observed.close()


def test_what_it_cannot_keep_up_with_is_dropped_and_counted_and_memory_stays_bounded(
    observed: Observed, packages: dict[str, Path], release: ReleaseFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed.send(answered(packages, release, 2))
    observed.flush()
    pid = only(observed).pid()
    assert pid is not None
    monkeypatch.setattr("perenne.serving.challengers.MAX_WAITING_BYTES", 100_000)
    os.kill(pid, signal.SIGSTOP)
    for _ in range(30):
        observed.send(answered(packages, release, 200))
        observed.observer._digest()
        observed.observer.step(0)
        observed.observer._digest()
    assert only(observed)._bytes <= 100_000 and only(observed).dropped > 0
    os.kill(pid, signal.SIGCONT)
    observed.flush()
    lost = observed.counters.total(Gauge.MIRRORS_DROPPED)
    assert rows_of(observed, "champion") == 2 + 30 * 200 == rows_of(observed, "challenger") + lost
    assert observed.counters.total(Gauge.DROPPED) == 0, "a row that a challenger did not answer is not lost to the log"


def test_a_share_of_requests_is_mirrored(observed: Observed, packages: dict[str, Path], release: ReleaseFolder) -> None:
    half = msgspec.structs.replace(release.add(packages["second"], 2, Role.CHALLENGER), mirror=0.5)
    release.write(release.add(packages["first"], 1), half)
    for _ in range(60):
        observed.send(answered(packages, release, 1))
        observed.observer.step(0)
        observed.observer._digest()
    observed.flush()
    assert 10 < rows_of(observed, "challenger") < 50 and rows_of(observed, "champion") == 60


def test_its_process_goes_with_the_observer_even_if_it_hangs(packages: dict[str, Path], release: ReleaseFolder) -> None:
    """The observer is killed, and cannot end anybody any more."""
    variant = release.add(packages["second"], 2, Role.CHALLENGER)
    package = open_package(release.folder, variant.tree)
    read, write = os.pipe()
    observer = os.fork()
    if observer == 0:
        wire = (challenger := Challenger(release.folder, variant, package, package.signature))._start()
        send(wire, msgspec.msgpack.encode(Question(0, [])))  # once it answers, whatever that is, it runs
        os.write(write, str(challenger.pid() if receive(wire) else 0).encode())
        threading.Event().wait()
    pid = int(os.read(read, 20))
    os.kill(pid, signal.SIGSTOP)
    os.kill(observer, signal.SIGKILL)
    os.waitpid(observer, 0)
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2])
    for end in (read, write):
        os.close(end)


def test_the_champion_answers_while_challengers_hang_crash_and_are_flooded(
    packages: dict[str, Path], release: ReleaseFolder, tmp_path: Path
) -> None:
    """Through the real server, under load: no error, no dropped answer, no dropped row; both are parked, and said so."""
    hangs = msgspec.structs.replace(release.add(packages["second"], 2, Role.CHALLENGER), name="hangs", timeout_ms=100)
    dies = msgspec.structs.replace(release.add(packages["second"], 3, Role.CHALLENGER), name="dies", timeout_ms=100)
    release.write(release.add(packages["first"], 1), hangs, dies)
    with ModelServer(release.folder, tmp_path / "logs", tmp_path / "spool") as server:
        server.wait_ready()
        spool, torment = tmp_path / "spool", threading.Event()
        trees = {variant.name: variant.tree.encode() for variant in (hangs, dies)}
        threading.Thread(target=_torment, args=(server, trees, torment), daemon=True).start()
        with Traffic(server.port, callers=3, rows=20, pause=0.005) as traffic:
            until(lambda: len(list(read_verdicts(spool))) == 2 or traffic.lost, 120)
            traffic.wait_for(20)
        torment.set()
        server.flush()
        assert not traffic.lost and {status for status, _ in traffic.answers} == {200}
        assert all(body["parameters"] == {"variant": "champion"} for _, body in traffic.answers)
        assert server.counters.total(Gauge.DROPPED) == 0
    assert read_predictions(tmp_path / "logs", variant="champion").num_rows == 20 * len(traffic.answers)
    assert {verdict.version for _, verdict in read_verdicts(spool)} == {"late@2", "late@3"}


def _torment(server: ModelServer, packages: dict[str, bytes], enough: threading.Event) -> None:
    """Stop every process of one challenger once it has answered, abort every process of the other as soon as there is one."""
    first_seen: dict[int, int] = {}
    done: set[int] = set()
    while not enough.wait(0.02):
        counts = server.counters.read().get(SeriesKey("delays", "late@2", "challenger", "shadow"))
        answered = counts.outcomes[Outcome.OK] if counts else 0
        for pid in _children(server.pids()["observer"]) - done:
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
                if packages["dies"] in words:
                    done.add(pid)
                    os.kill(pid, signal.SIGABRT)
                elif packages["hangs"] in words and answered > first_seen.setdefault(pid, answered):
                    done.add(pid)
                    os.kill(pid, signal.SIGSTOP)


def _children(parent: int) -> set[int]:
    found: set[int] = set()
    for path in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found |= set(map(int, path.read_text().split()))
    return found
