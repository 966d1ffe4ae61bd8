"""Child processes: their answers, their errors, their end."""

import binascii
import math
import operator
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from perenne.compute import ProcessExecutor, WorkerDied, WorkTimeout, report
from perenne.core.errors import Invalid, Unavailable


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(2, environment={"PERENNE_TEST_VARIABLE": "seen"})
    yield executor
    executor.close()


def test_children_are_other_processes_and_are_kept(executor: ProcessExecutor) -> None:
    numbers = {executor.submit(os.getpid).result(60) for _ in range(6)}
    assert os.getpid() not in numbers
    assert len(numbers) <= 2
    assert executor.submit(os.getenv, "PERENNE_TEST_VARIABLE").result(60) == "seen"


def test_plain_values_travel_both_ways(executor: ProcessExecutor) -> None:
    value = {"a": [1, 2.5, None, True], "b": b"\x00\xff", "c": {"d": "é"}}
    assert executor.submit(dict, value).result(60) == value
    assert math.isnan(executor.submit(float, "nan").result(60))
    large = os.urandom(5_000_000)
    assert executor.submit(binascii.unhexlify, large.hex()).result(60) == large


def test_what_prints_does_not_disturb_the_answers(executor: ProcessExecutor) -> None:
    assert executor.submit(os.system, "echo noise").result(60) == 0
    assert executor.submit(print, "more noise").result(60) is None


def test_a_call_that_takes_too_long_is_killed(executor: ProcessExecutor) -> None:
    start = time.monotonic()
    future = executor.submit(time.sleep, 60, timeout=0.2)
    with pytest.raises(WorkTimeout, match=r"took longer than 0.2 s"):
        future.result(50)
    assert time.monotonic() - start < 40
    assert executor.submit(math.sqrt, 4.0, timeout=60).result(60) == 2.0


def test_a_child_that_dies_fails_its_call_and_no_other(executor: ProcessExecutor) -> None:
    dying, living = executor.submit(os._exit, 7), executor.submit(math.sqrt, 9.0)
    with pytest.raises(WorkerDied, match="status 7"):
        dying.result(60)
    assert living.result(60) == 3.0
    with pytest.raises(RuntimeError, match="SystemExit"):
        executor.submit(sys.exit, 3).result(60)


def test_errors_come_back_as_they_were(executor: ProcessExecutor) -> None:
    with pytest.raises(FileNotFoundError) as error:
        executor.submit(os.stat, "/nowhere").result(60)
    assert error.value.errno == 2
    assert any("Traceback" in note for note in error.value.__notes__)
    with pytest.raises(ZeroDivisionError):
        executor.submit(operator.truediv, 1, 0).result(60)


def test_a_call_can_be_cancelled_while_it_goes_on(executor: ProcessExecutor) -> None:
    futures = [executor.submit(time.sleep, 60) for _ in range(3)]
    while not futures[0].running():
        time.sleep(0.01)
    assert all(future.cancel() for future in futures)
    with pytest.raises(WorkerDied):
        futures[0].result(30)
    assert futures[2].cancelled()
    assert executor.submit(math.sqrt, 1.0).result(60) == 1.0


def test_a_call_can_be_cancelled_once_its_process_is_at_work(executor: ProcessExecutor) -> None:
    assert executor.submit(math.sqrt, 1.0).result(60) == 1.0
    future = executor.submit(time.sleep, 60)
    while not future.running():
        time.sleep(0.01)
    time.sleep(0.2)
    assert future.cancel()
    with pytest.raises(WorkerDied, match="cancelled"):
        future.result(30)


def test_reports_arrive_while_a_call_goes_on(executor: ProcessExecutor) -> None:
    heard: list[object] = []
    executor.submit(report, {"done": 0.5}, on_report=heard.append).result(60)
    assert heard == [{"done": 0.5}]
    report("outside a worker nothing happens")


def test_what_has_no_name_elsewhere_is_refused(executor: ProcessExecutor) -> None:
    def local() -> None: ...

    for function in (local, lambda: None):
        with pytest.raises(Invalid) as error:
            executor.submit(function)
        assert error.value.code == "compute.function"


def test_a_result_that_cannot_travel_is_an_error(executor: ProcessExecutor) -> None:
    with pytest.raises(TypeError):
        executor.submit(threading.current_thread).result(60)


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
