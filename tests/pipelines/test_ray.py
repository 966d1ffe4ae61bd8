"""Pipelines on a Ray cluster: the same results as here, a node's or a driver's death in the middle, what a user can get wrong.

One cluster for the module: a head without processors, which is where the tests are connected, and nodes that may be killed.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from tests.compute.distant import DistantExecutorRules
from tests.pipelines import isolated_steps, ray_steps
from tests.pipelines.ray_steps import HELD, sums

from perenne.compute import Executor, InlineExecutor, ProcessExecutor, RayExecutor, ThreadExecutor, WorkTimeout
from perenne.core.errors import Conflict, NotFound
from perenne.pipelines import Engine, Progress, StepEvent
from perenne.pipelines.artifacts import from_row
from perenne.pipelines.store import flow_run
from perenne.pipelines.store import step as table
from perenne.storage.database import Database
from perenne.storage.objects import FileObjects, ObjectStore
from perenne.testing import ExecutorContract

pytest.importorskip("ray")

COUNT = 6
# A dead node is noticed by its silence; by default that takes Ray twenty seconds.
QUICK = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2_000,
    "health_check_failure_threshold": 3,
}


class Cluster:
    """Ray's own cluster for tests, on the loopback address, with its files in a short folder of its own."""

    def __init__(self, folder: str) -> None:
        from ray.cluster_utils import Cluster as RayCluster

        self._on: dict[str, Any] = {"node_ip_address": "127.0.0.1", "include_dashboard": False}
        os.environ["RAY_TMPDIR"] = folder
        self._cluster = RayCluster(initialize_head=True, head_node_args={**self._on, "num_cpus": 0, "_system_config": QUICK})
        self.address: str = self._cluster.address
        self.nodes: dict[int, Any] = {}

    def add(self, cpus: int, **resources: int) -> int:
        """Add a node, and return its process."""
        node = self._cluster.add_node(**self._on, num_cpus=cpus, resources=resources)
        pid: int = node.all_processes["raylet"][0].process.pid
        self.nodes[pid] = node
        return pid

    def kill(self, pid: int) -> None:
        """Kill a node with everything on it."""
        below = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
        for process in [pid, *map(int, below.split())]:
            os.kill(process, signal.SIGKILL)
        self._cluster.remove_node(self.nodes.pop(pid))

    def close(self) -> None:
        self._cluster.shutdown()  # type: ignore[no-untyped-call]
        os.environ.pop("RAY_TMPDIR")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = tempfile.mkdtemp(prefix="pr-", dir="/tmp")
    opened = Cluster(folder)
    opened.add(1)
    opened.add(1, special=1)
    yield opened
    opened.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def ray(cluster: Cluster) -> Iterator[RayExecutor]:
    executor = RayExecutor(cluster.address, environment={"PERENNE_TEST_VARIABLE": "seen"})
    yield executor
    executor.close()


@pytest.fixture
def engine(database: Database, objects: ObjectStore, ray: RayExecutor) -> Iterator[Engine]:
    with Engine(database, objects, executor=ray) as engine:
        yield engine


def wait_for(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came")


class TestRay(ExecutorContract, DistantExecutorRules):
    @pytest.fixture
    def executor(self, ray: RayExecutor) -> RayExecutor:
        return ray

    def test_its_workers_see_the_environment_that_was_asked_for(self, executor: RayExecutor) -> None:
        assert executor.submit(os.getenv, "PERENNE_TEST_VARIABLE").result(60) == "seen"
        assert executor.slots == 2


def test_the_same_pipeline_gives_the_same_keys_and_digests_everywhere(tmp_path: Path, ray: RayExecutor) -> None:
    file = tmp_path / "input.txt"
    file.write_text("xyz")
    executors: list[Executor] = [InlineExecutor(), ThreadExecutor(2), ProcessExecutor(2), ray]
    found = []
    for number, executor in enumerate(executors):
        with (
            Database.open(f"sqlite:///{tmp_path}/{number}.db") as database,
            Engine(database, FileObjects(tmp_path / f"objects-{number}"), executor=executor) as engine,
        ):
            run = engine.run(isolated_steps.flow, 3, file)
            assert (run.state, run.hits) == ("done", 0), run.error
            found.append((run.output, rows(database), engine.run(isolated_steps.flow, 3, file).hits))
        if executor is not ray:
            executor.close()
    assert found[0] == found[1] == found[2] == found[3]
    assert found[0][0] == isolated_steps.flow(3, file)


def rows(database: Database) -> dict[str, tuple[str, str]]:
    """Name and output's digest of every step, by key."""
    with database.read() as tx:
        found = tx.execute(sa.select(table.c.key, table.c.name, table.c.out)).all()
    return {row.key: (row.name, from_row(row.out).digest) for row in found}


def test_a_step_has_folders_of_its_node_that_go_with_it(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "input.txt"
    file.write_text("xyz")
    events: list[StepEvent] = []
    run = engine.run(ray_steps.surroundings, file, 2, on_event=events.append)
    assert run.state == "done", run.error
    folder, laid_out, text = run.output
    assert text == "xyzxyz"
    assert not Path(folder).exists()
    assert laid_out != str(file) and not Path(laid_out).exists()
    assert Progress("surroundings", "there", 0.5) in events


def test_a_step_runs_where_its_resources_are(engine: Engine, cluster: Cluster) -> None:
    special = next(pid for pid, node in cluster.nodes.items() if node._ray_params.resources)
    assert engine.run(ray_steps.somewhere, 2).result() == special * 2


def test_what_goes_wrong_in_a_step_comes_back_as_it_was(engine: Engine) -> None:
    error = engine.run(isolated_steps.raising, "perenne").error
    assert isinstance(error, NotFound)
    assert (error.code, error.hint) == ("thing.not_found", "look elsewhere")
    assert isinstance(engine.run(isolated_steps.endless, 60).error, WorkTimeout)


def test_a_worker_refuses_code_that_is_not_the_drivers(
    database: Database, objects: ObjectStore, ray: RayExecutor, tmp_path: Path
) -> None:
    file = tmp_path / "ray_project.py"
    file.write_text("from perenne.pipelines import step\n@step\ndef fit(x: int) -> int:\n    return x + 1\n")
    module = loaded(file)
    file.write_text(file.read_text().replace("x + 1", "x + 2"))
    with Engine(database, objects, executor=ray, root=tmp_path) as engine:
        error = engine.run(module.fit, 1).error
    assert isinstance(error, Conflict)
    assert error.code == "pipelines.code_changed"


def loaded(file: Path) -> ModuleType:
    """Load a file as `projects.load_project` does it: under a name nobody can import."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(f"perenne_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# --- deaths -------------------------------------------------------------------------------------------------------------


def begins(folder: Path) -> list[tuple[str, int]]:
    """What has begun, and on which node."""
    path = folder / "begun"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(name, int(node)) for name, node in lines]


def held(folder: Path) -> int | None:
    """The node on which the part waits that waits for the gate."""
    return dict(begins(folder)).get(f"part-{HELD}")


def check_the_end(folder: Path, kills: int) -> None:
    """Everything is done, nothing is claimed, and nothing began more often than there were kills, plus one."""
    counts = Counter(name for name, _ in begins(folder))
    assert set(counts) == {f"{kind}-{number}" for kind in ("part", "written") for number in range(COUNT)} | {"total"}
    assert counts[f"part-{HELD}"] == 2
    assert max(counts.values()) <= kills + 1
    with Database.open(f"sqlite:///{folder}/ray.db") as database, database.read() as tx:
        assert set(tx.execute(sa.select(table.c.state)).scalars()) == {"done"}
        assert set(tx.execute(sa.select(flow_run.c.state)).scalars()) <= {"done", "lost"}


def clean(folder: Path) -> tuple[float, set[str]]:
    """What comes out where nothing is killed, and its digests."""
    folder.mkdir()
    (folder / "gate").touch()
    with Database.open(f"sqlite:///{folder}/ray.db") as database:
        with Engine(database, FileObjects(folder / "objects")) as engine:
            output = engine.run(sums, COUNT, str(folder)).result()
        return output, {digest for _, digest in rows(database).values()}


def test_a_node_killed_in_the_middle_of_a_run_costs_no_more_than_its_steps(
    tmp_path: Path, ray: RayExecutor, cluster: Cluster
) -> None:
    cluster.add(1)
    events: list[StepEvent] = []

    def hear(event: StepEvent) -> None:
        events.append(event)
        if not killed and (node := held(tmp_path)):
            killed.append(node)
            cluster.kill(node)
            (tmp_path / "gate").touch()

    killed: list[int] = []
    with Database.open(f"sqlite:///{tmp_path}/ray.db") as database:
        with Engine(database, FileObjects(tmp_path / "objects"), executor=ray) as engine:
            run = engine.run(sums, COUNT, str(tmp_path), on_event=hear)
        digests = {digest for _, digest in rows(database).values()}
    assert run.state == "done", run.error
    assert killed
    assert (run.output, digests) == clean(tmp_path / "clean")
    check_the_end(tmp_path, kills=1)


def test_a_driver_killed_in_the_middle_of_a_run_is_followed_by_another(
    tmp_path: Path, ray: RayExecutor, cluster: Cluster
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, ray_steps.__file__, cluster.address, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        wait_for(lambda: held(tmp_path))
        driver.kill()
    with Database.open(f"sqlite:///{tmp_path}/ray.db") as database:
        with Engine(database, FileObjects(tmp_path / "objects"), executor=ray, root=Path(ray_steps.__file__).parent) as engine:
            (tmp_path / "gate").touch()
            run = engine.run(sums, COUNT, str(tmp_path))
        digests = {digest for _, digest in rows(database).values()}
    assert run.state == "done", run.error
    assert (run.output, digests) == clean(tmp_path / "clean")
    check_the_end(tmp_path, kills=1)


@pytest.mark.long
def test_nodes_killed_at_any_moment_cost_no_more_than_their_steps(tmp_path: Path, ray: RayExecutor, cluster: Cluster) -> None:
    seed = int(os.environ.get("PERENNE_SEED") or random.SystemRandom().randrange(10**9))
    print(f"PERENNE_SEED={seed}")
    dice = random.Random(seed)
    for number in range(12):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "gate").touch()
        cluster.add(1)
        victim = dice.choice(list(cluster.nodes))
        killer = threading.Timer(dice.random() * 2, cluster.kill, [victim])
        killer.start()
        with Database.open(f"sqlite:///{folder}/ray.db") as database:
            with Engine(database, FileObjects(folder / "objects"), executor=ray) as engine:
                run = engine.run(sums, 4 * COUNT, str(folder))
            assert run.state == "done", run.error
            with database.read() as tx:
                assert set(tx.execute(sa.select(table.c.state)).scalars()) == {"done"}
        killer.join()
        assert run.output == sum(4_000 * place + 4_000 * 3_999 / 2 for place in range(4 * COUNT))
        assert max(Counter(name for name, _ in begins(folder)).values()) <= 2
