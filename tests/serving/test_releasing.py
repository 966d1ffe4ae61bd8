"""Release folders: whoever writes one may be killed, and whoever serves from one needs nothing else."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.dying import die_after
from tests.serving.changing import Callers, telling_package

from perenne.auth.principals import Principal
from perenne.core import json
from perenne.core.clock import ManualClock, SystemClock
from perenne.core.config import Settings, load_settings
from perenne.inference import load
from perenne.serving import Deployment
from perenne.serving.lineup import load_lineup
from perenne.serving.model import Release, Role, Variant
from perenne.serving.releases import CURRENT, HISTORY, VERSIONS, find_release, package_folder, read_release, release
from perenne.serving.status import describe, read_statuses
from perenne.storage.files import write_atomically
from perenne.storage.trees import put_tree
from perenne.storage.workspace import Workspace

VERSIONS_MADE = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    root = tmp_path_factory.mktemp("telling")
    return {number: telling_package(root / str(number), number) for number in range(1, VERSIONS_MADE + 1)}


@pytest.fixture
def workspace(settings: Settings, clock: ManualClock) -> Iterator[Workspace]:
    """Open a workspace on files: a release folder is the same whatever the database."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with Workspace(settings, clock) as opened:
        yield opened


@pytest.fixture
def trees(workspace: Workspace, made: dict[int, Path]) -> dict[int, str]:
    return {number: put_tree(workspace.objects, folder) for number, folder in made.items()}


def deployment(generation: int, champion: int, previous: int, trees: dict[int, str]) -> Deployment:
    variants = [
        Variant(role.value, role, f"late@{number}", trees[number])
        for role, number in ((Role.CHAMPION, champion), (Role.PREVIOUS, previous))
    ]
    return Deployment(name="delays", project="flights", generation=generation, variants=tuple(variants))


def test_a_writer_that_is_killed_leaves_a_folder_that_can_be_served(workspace: Workspace, trees: dict[int, str]) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    write_and_kill(workspace, trees, 60, seed)


@pytest.mark.long
def test_writers_that_are_killed_hundreds_of_times(workspace: Workspace, trees: dict[int, str]) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    write_and_kill(workspace, trees, 600, seed)


def write_and_kill(workspace: Workspace, trees: dict[int, str], rounds: int, seed: int) -> None:
    """Write releases and kill the writer after so many calls; what is there must load, and be the old release or the new one."""
    dice, generation, killed = random.Random(seed), 1, 0
    folder = release(workspace, deployment(1, 1, 2, trees))
    for _ in range(rounds):
        champion, previous = dice.sample(range(1, VERSIONS_MADE + 1), 2)
        pid = os.fork()
        if pid == 0:
            die_after(dice.randint(1, 25_000))
            try:
                release(workspace, deployment(generation + 1, champion, previous, trees))
            finally:
                os._exit(0)
        killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        found, problem = find_release(folder)
        assert not problem and found.deployment.generation in (generation, generation + 1)
        for variant in found.deployment.variants:
            assert load(package_folder(folder, variant.tree)).manifest
        generation = found.deployment.generation
    assert 0 < killed < rounds, "some were killed, some were not"
    release(workspace, deployment(generation + 1, 1, 2, trees))
    left = {path.name for path in (folder / VERSIONS).iterdir() if not path.name.startswith(".")}
    assert {trees[1], trees[2]} <= left and len(left) <= 4
    assert len(list((folder / HISTORY).iterdir())) <= 3 + killed


def test_a_release_is_written_again_over_a_damaged_one(workspace: Workspace, trees: dict[int, str]) -> None:
    folder = release(workspace, deployment(3, 1, 2, trees))
    (folder / CURRENT).write_bytes(b'{"deployment"')
    release(workspace, deployment(4, 2, 1, trees))
    assert read_release(folder).deployment.generation == 4
    (folder / CURRENT).write_bytes(b"")
    found, problem = find_release(folder)
    assert found.deployment.generation == 4 and "generation 4 from the history is served" in problem
    assert load_lineup(folder, found, None).champion.version == "late@2"


class Serve:
    """`perenne serve` as a process, in a home of its own."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        environment = {**os.environ, "PERENNE_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
        program = "import sys; from perenne.cli import main; sys.exit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, "serve", *arguments], env=environment, stderr=subprocess.PIPE, text=True
        )
        self.said: list[str] = []

    def wait_for(self, words: str) -> str:
        """Read what it says until a line holds these words; return that line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError(f"it never said {words!r}: {self.said}")

    def port(self) -> int:
        return int(self.wait_for("answers on http").partition("127.0.0.1:")[2].partition("/")[0])

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.said += self.process.communicate(timeout=60)[1].splitlines()
        return self.process.returncode


@pytest.fixture
def serve(workspace: Workspace, trees: dict[int, str]) -> Iterator[Callable[..., Serve]]:
    """Start servers on a release of version 1, with version 2 standing by; the database and the objects are gone."""
    release(workspace, deployment(1, 1, 2, trees))
    assert workspace.database
    workspace.close()
    home = workspace.settings.home
    (home / "perenne.db").unlink()
    shutil.rmtree(home / "objects")
    running: list[Serve] = []

    def started(*arguments: str) -> Serve:
        running.append(Serve(home, *arguments))
        return running[-1]

    yield started
    for server in running:
        if server.process.poll() is None:
            server.process.terminate()
        server.process.communicate()


def values(callers: Callers) -> set[int]:
    return {answer.told.value for answer in callers.answers if answer.told}


def test_with_the_control_plane_away_a_server_starts_from_its_folder_alone(serve: Callable[..., Serve]) -> None:
    server = serve("delays", "--port", "0", "--offline")
    with Callers(server.port()) as callers:
        callers.wait_for(20)
    assert values(callers) == {1} and not callers.lost
    assert server.end() == 0
    assert not (server.home / "perenne.db").exists() and not (server.home / "objects").exists()
    without = serve("delays", "--port", "0")
    assert "there is no deployment 'delays'" in without.wait_for("what was released last is served")
    with Callers(without.port()) as callers:
        callers.wait_for(5)
    assert values(callers) == {1}


def test_workers_are_replaced_at_a_signal_and_a_whole_server_by_another_without_a_lost_request(
    serve: Callable[..., Serve], actor: Principal
) -> None:
    first = serve("delays", "--port", "0", "--offline", "--workers", "2")
    port = first.port()
    with Callers(port) as callers:
        callers.wait_for(50)
        first.process.send_signal(signal.SIGHUP)
        first.wait_for("the workers have been replaced")
        callers.wait_for(50)
        second = serve("delays", "--port", str(port), "--offline", "--take-over")
        assert second.port() == port
        assert first.process.wait(60) == 0, "the one before went by itself"
        callers.wait_for(50)
    assert not callers.lost and not callers.twice
    assert {answer.status for answer in callers.answers} == {200} and values(callers) == {1}
    assert second.end() == 0


def test_a_successor_that_cannot_serve_leaves_the_port_to_the_one_before(serve: Callable[..., Serve], tmp_path: Path) -> None:
    first = serve("delays", "--port", "0", "--offline")
    port = first.port()
    folder = load_settings(tmp_path, {"PERENNE_HOME": str(first.home)}).releases / "delays"
    kept = folder.with_name("kept")
    shutil.move(folder / VERSIONS, kept)
    (folder / VERSIONS).mkdir()
    with Callers(port) as callers:
        callers.wait_for(20)
        second = serve("delays", "--port", str(port), "--offline", "--take-over")
        assert second.process.wait(60) == 1
        callers.wait_for(20)
        shutil.rmtree(folder / VERSIONS)
        shutil.move(kept, folder / VERSIONS)
        third = serve("delays", "--port", str(port), "--offline", "--take-over")
        assert third.port() == port
        callers.wait_for(20)
    assert not callers.lost and {answer.status for answer in callers.answers} == {200}


def test_without_a_server_to_replace_it_starts_as_usual(serve: Callable[..., Serve]) -> None:
    server = serve("delays", "--port", "0", "--offline", "--take-over")
    with Callers(server.port()) as callers:
        callers.wait_for(5)
    assert values(callers) == {1}


def test_a_server_tells_the_control_plane_how_it_does(
    workspace: Workspace, trees: dict[int, str], actor: Principal, serve: Callable[..., Serve]
) -> None:
    server = serve("delays", "--port", "0", "--offline", "--workers", "2")
    port = server.port()
    spool = workspace.settings.spool
    broken = deployment(2, 3, 1, trees)  # its package cannot be fetched any more
    folder = workspace.settings.releases / "delays"

    def wait_for(words: str) -> str:
        deadline = time.monotonic() + 30
        while True:
            now = SystemClock().now()
            said = [describe(status, now) for status in read_statuses(spool, "delays", now)]
            if said and words in said[0]:
                return said[0]
            assert time.monotonic() < deadline, said
            time.sleep(0.02)

    assert wait_for("generation 1 on 2 of 2") == "generation 1 on 2 of 2"
    write_atomically(folder / CURRENT, json.encode(Release(deployment=broken)))
    said = wait_for("there is no package")
    assert said.startswith("generation 1 on 2 of 2, 2 is released: the release cannot be loaded, generation 1 stays")
    with Callers(port) as callers:
        callers.wait_for(5)
    assert values(callers) == {1}
    assert server.end() == 0
    assert read_statuses(spool, "delays", SystemClock().now()) == []
