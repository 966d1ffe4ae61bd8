"""Child processes: their answers, their errors, their end."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from tests.compute.distant import DistantExecutorRules

from perenne.compute import ProcessExecutor, WorkerDied
from perenne.core.errors import Unavailable


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(2, environment={"PERENNE_TEST_VARIABLE": "seen"})
    yield executor
    executor.close()


class TestProcesses(DistantExecutorRules):
    """The rules of every executor whose calls go to other processes."""


def test_children_are_other_processes_and_are_kept(executor: ProcessExecutor) -> None:
    numbers = {executor.submit(os.getpid).result(60) for _ in range(6)}
    assert os.getpid() not in numbers
    assert len(numbers) <= 2
    assert executor.submit(os.getenv, "PERENNE_TEST_VARIABLE").result(60) == "seen"


def test_a_child_that_dies_fails_its_call_and_no_other(executor: ProcessExecutor) -> None:
    dying, living = executor.submit(os._exit, 7), executor.submit(math.sqrt, 9.0)
    with pytest.raises(WorkerDied, match="status 7"):
        dying.result(60)
    assert living.result(60) == 3.0
    with pytest.raises(RuntimeError, match="SystemExit"):
        executor.submit(sys.exit, 3).result(60)


def test_a_call_can_be_cancelled_while_it_goes_on(executor: ProcessExecutor) -> None:
    futures = [executor.submit(time.sleep, 60) for _ in range(3)]
    while not futures[0].running():
        time.sleep(0.01)
    assert all(future.cancel() for future in reversed(futures))  # a freed slot would start the one that waits
    with pytest.raises(WorkerDied):
        futures[0].result(30)
    assert futures[2].cancelled()
    assert executor.submit(math.sqrt, 1.0).result(60) == 1.0


def test_a_closed_executor_ends_its_children_and_takes_no_more() -> None:
    executor = ProcessExecutor(1)
    pid = executor.submit(os.getpid).result(60)
    going_on = executor.submit(time.sleep, 60)
    executor.close()
    with pytest.raises((WorkerDied, CancelledError)):
        going_on.result(30)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(Unavailable):
        executor.submit(os.getpid)


def test_children_end_with_their_parent(tmp_path: Path) -> None:
    program = (
        "import os, time\n"
        "from perenne.compute import ProcessExecutor\n"
        "executor = ProcessExecutor(1)\n"
        "print(executor.submit(os.getpid).result(), flush=True)\n"
        "executor.submit(time.sleep, 60)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    parent = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and alive(child):
        time.sleep(0.02)
    assert not alive(child)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
