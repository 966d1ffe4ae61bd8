"""Serving under change: whatever is released, killed, replaced or damaged, no answer is lost and every row is accounted for."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.serving.changing import Callers, telling_package
from tests.serving.packages import ReleaseFolder
from tests.serving.test_model_server import posts

from perenne.core.errors import Unavailable
from perenne.serving import ModelServer, read_predictions
from perenne.serving.counters import Gauge
from perenne.serving.model import Role, Variant
from perenne.serving.releases import CURRENT, HISTORY


def play(program: str, folder: Path, rounds: int) -> None:
    """Play rounds of a program beside this file; set PERENNE_SEED to the printed seed to play them again."""
    first = int(os.environ.get("PERENNE_SEED") or random.SystemRandom().randrange(10**9))
    print(f"PERENNE_SEED={first}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(Path(__file__).with_name(program)), str(folder), str(first), str(rounds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{rounds} rounds")


@pytest.mark.waits
def test_whatever_changes_no_answer_is_lost_or_wrong(tmp_path: Path) -> None:
    play("change_rounds.py", tmp_path, 20)


@pytest.mark.long
def test_whatever_changes_no_answer_is_lost_or_wrong_hundreds_of_times(tmp_path: Path) -> None:
    play("change_rounds.py", tmp_path, 500)


def test_killed_at_any_point_the_observer_accounts_for_every_row(tmp_path: Path) -> None:
    play("observer_rounds.py", tmp_path, 5)


@pytest.mark.long
def test_killed_at_any_point_the_observer_accounts_for_every_row_hundreds_of_times(tmp_path: Path) -> None:
    play("observer_rounds.py", tmp_path, 300)


@pytest.fixture(scope="session")
def telling(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    root = tmp_path_factory.mktemp("telling")
    return {number: telling_package(root / str(number), number) for number in (1, 2)}


@pytest.fixture
def start(release: ReleaseFolder, tmp_path: Path) -> Iterator[Callable[..., ModelServer]]:
    servers: list[ModelServer] = []

    def started(**options: int) -> ModelServer:
        servers.append(ModelServer(release.folder, tmp_path / "logs", tmp_path / "spool", **options))  # type: ignore[arg-type]
        servers[-1].start()
        return servers[-1]

    yield started
    for server in servers:
        server.stop()


def get(server: ModelServer, path: str) -> str:
    with urllib.request.urlopen(server.url + path, timeout=30) as response:
        return str(response.read().decode())


def told(server: ModelServer, count: int = 5) -> set[tuple[str, str, int]]:
    """Ask a few times and return what the answers tell: version, variant, value."""
    with Callers(server.port, keeping=1, short=1) as callers:
        callers.wait_for(count)
    assert not callers.lost and {answer.status for answer in callers.answers} == {200}
    return {answer.told for answer in callers.answers if answer.told}


def damaged(release: ReleaseFolder, variant: Variant, telling: dict[int, Path]) -> Variant:
    """Let a variant's package lack a file, as if it had been copied by half."""
    folder = release.folder / "versions" / variant.tree
    folder.unlink()
    folder.mkdir()
    for path in telling[int(variant.version.partition("@")[2])].glob("*.json"):
        (folder / path.name).write_bytes(path.read_bytes())
    return variant


def test_a_server_that_starts_on_a_half_copied_version_lets_the_one_before_answer_and_says_so(
    release: ReleaseFolder, telling: dict[int, Path], start: Callable[..., ModelServer]
) -> None:
    first, second = release.add(telling[1], 1, Role.PREVIOUS), release.add(telling[2], 2)
    release.write(damaged(release, second, telling), first)
    server = start()
    server.wait_ready()
    assert told(server) == {("1", "previous", 1)}
    ready = json.loads(get(server, "/v2/health/ready"))
    assert ready["ready"] and "late@1 answers in place of late@2, which cannot be loaded: the package has no" in ready["problem"]
    metrics = get(server, "/metrics")
    assert 'perenne_stands_in{worker="0"} 1' in metrics and 'perenne_model_load_failures_total{worker="0"} 1' in metrics
    assert server.problem() == ready["problem"]

    folder = release.folder / "versions" / second.tree  # the rest of the copy arrives, and is taken over with the next release
    for path in telling[2].iterdir():
        if path.is_file() and not (folder / path.name).exists():
            (folder / path.name).write_bytes(path.read_bytes())
    release.write(second, first)
    server.wait_ready()
    assert told(server) == {("2", "champion", 2)} and server.problem() == ""
    assert json.loads(get(server, "/v2/health/ready")) == {"ready": True}


def test_a_damaged_current_json_lets_the_last_release_that_can_be_read_be_served(
    release: ReleaseFolder, telling: dict[int, Path], start: Callable[..., ModelServer]
) -> None:
    release.write(release.add(telling[1], 1))
    (release.folder / HISTORY).mkdir()
    whole = (release.folder / CURRENT).read_bytes()
    (release.folder / HISTORY / "0000000001.json").write_bytes(whole)
    (release.folder / HISTORY / "0000000002.json").write_bytes(whole[:60])
    (release.folder / CURRENT).write_bytes(whole[:-40])
    server = start()
    server.wait_ready()
    assert told(server) == {("1", "champion", 1)}
    assert server.problem().startswith("generation 1 from the history is served, for current.json")


def test_a_server_with_nothing_to_serve_says_why_and_begins_when_there_is_something(
    release: ReleaseFolder, telling: dict[int, Path], start: Callable[..., ModelServer]
) -> None:
    champion = release.add(telling[1], 1)
    release.write(damaged(release, champion, telling))
    server = start()
    with pytest.raises(Unavailable, match="the release cannot be loaded: the package has no"):
        server.wait_ready()
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(server, "/v2/health/ready")
    assert refused.value.code == 503 and b"the package has no" in refused.value.read()
    release.write(release.add(telling[2], 2))
    server.wait_ready()
    assert told(server) == {("2", "champion", 2)}


def test_a_new_worker_that_cannot_load_leaves_the_answering_to_the_old_ones(
    release: ReleaseFolder, telling: dict[int, Path], start: Callable[..., ModelServer]
) -> None:
    champion = release.add(telling[1], 1)
    release.write(champion)
    server = start(workers=2)
    server.wait_ready()
    before = server.pids()
    damaged(release, champion, telling)
    with pytest.raises(Unavailable, match="the old one stays: the release cannot be loaded: the package has no"):
        server.restart_workers()
    os.kill(before["worker-1"], signal.SIGKILL)
    assert told(server, 30) == {("1", "champion", 1)}, "the worker that is left answers"
    assert server.pids()["worker-0"] == before["worker-0"]


@pytest.mark.waits
def test_fifty_releases_leave_no_file_open_and_no_thread_behind(
    release: ReleaseFolder, telling: dict[int, Path], start: Callable[..., ModelServer]
) -> None:
    champions = [release.add(telling[number], number) for number in (1, 2)]
    shadow = release.add(telling[2], 2, Role.CHALLENGER)
    release.write(champions[0])
    server = start()
    server.wait_ready()

    def held() -> dict[str, tuple[int, int]]:
        return {
            name: (len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task")))
            for name, pid in server.pids().items()
        }

    seen = []
    for turn in range(50):
        release.write(*([champions[1]] if turn % 2 == 0 else [champions[0], shadow]))
        server.wait_ready()
        told(server, 2)
        if turn in (5, 49):
            server.flush()
            seen.append(held())
    early, late = seen
    for name, (files, threads) in late.items():
        assert files <= early[name][0] + 2 and threads <= early[name][1] + 1, (name, early[name], late[name])


def test_a_full_disk_costs_no_answer_and_what_it_cannot_keep_is_counted(
    release: ReleaseFolder, telling: dict[int, Path], start: Callable[..., ModelServer], tmp_path: Path
) -> None:
    release.write(release.add(telling[1], 1))
    server = start()
    server.wait_ready()
    observer, hard = server.pids()["observer"], resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    with Callers(server.port) as callers:
        callers.wait_for(50)
        server.flush()
        resource.prlimit(observer, resource.RLIMIT_FSIZE, (1_000, hard))
        callers.wait_for(200)
        with pytest.raises(Unavailable, match="did not write its rows"):
            server.flush(2.5)
        callers.wait_for(200)
        resource.prlimit(observer, resource.RLIMIT_FSIZE, (hard, hard))
        server.flush()
        callers.wait_for(50)
    assert not callers.lost and {answer.status for answer in callers.answers} == {200}
    server.flush()
    assert server.pids()["observer"] == observer, "it lives on"
    assert server.counters.total(Gauge.DROPPED) == 0, "so much was kept until there was room"
    account(server, callers, tmp_path)


def test_a_log_that_cannot_be_written_for_long_costs_no_memory_and_its_rows_are_counted(
    release: ReleaseFolder, telling: dict[int, Path], tmp_path: Path
) -> None:
    release.write(release.add(telling[1], 1))
    (tmp_path / "logs").write_text("this is no folder")
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from perenne.serving import observer
observer.KEEP_BYTES = 20_000
from perenne.app.model_server import build_routes
from perenne import serving
serving.run_process(sys.argv[1:], build_routes)
"""
    from perenne.serving.children import Child

    (tmp_path / "small.py").write_text(code)
    server = ModelServer(release.folder, tmp_path / "logs", tmp_path / "spool")
    assert isinstance(server._observer, Child)
    server._observer.command = [sys.executable, str(tmp_path / "small.py")]
    with server, Callers(server.port) as callers:
        server.wait_ready()
        while not server.counters.total(Gauge.DROPPED):
            callers.wait_for(300)
            with pytest.raises(Unavailable):
                server.flush(1.2)
        (tmp_path / "logs").unlink()
        callers.wait_for(50)
        server.flush()
        callers.__exit__()
        server.flush()
        assert not callers.lost and {answer.status for answer in callers.answers} == {200}
        account(server, callers, tmp_path)


def account(server: ModelServer, callers: Callers, folder: Path) -> None:
    """Hold the log and the windows against what was answered."""
    answered = [identity for answer in callers.answers for identity in answer.ids]
    logged = read_predictions(folder / "logs", columns=["prediction_id"])["prediction_id"].to_pylist()
    dropped = server.counters.total(Gauge.DROPPED)
    assert len(set(logged)) == len(logged) and set(logged) <= set(answered)
    assert len(answered) == len(logged) + dropped
    seen = posts(folder / "spool")
    assert sum(post.rows for post in seen) == len(logged) and sum(post.dropped for post in seen) == dropped


def test_an_observer_that_dies_again_and_again_costs_no_answer_and_its_rows_are_counted(
    release: ReleaseFolder, telling: dict[int, Path], start: Callable[..., ModelServer], tmp_path: Path
) -> None:
    release.write(release.add(telling[1], 1))
    server = start()
    server.wait_ready()
    with Callers(server.port) as callers:
        for _ in range(4):
            callers.wait_for(30)
            deadline = time.monotonic() + 30
            while "observer" not in server.pids():
                assert time.monotonic() < deadline
                time.sleep(0.005)
            os.kill(server.pids()["observer"], signal.SIGKILL)
        callers.wait_for(30)
    assert not callers.lost
    server.flush()
    assert server.counters.total(Gauge.DROPPED) > 0
    account(server, callers, tmp_path)
