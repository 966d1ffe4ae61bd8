"""What every executor does whose calls go to other processes; subclassed with a fixture `executor`."""

import binascii
import math
import operator
import os
import re
import threading
import time

import pytest

from perenne.compute import DistantExecutor, WorkerDied, WorkTimeout, report
from perenne.core.errors import Invalid

ENDLESS = ("(a+)+$", "a" * 60 + "b")  # a match that takes for ever, and never lets another thread run


class DistantExecutorRules:
    def test_calls_go_to_other_processes(self, executor: DistantExecutor) -> None:
        assert not executor.shares_memory
        assert executor.submit(os.getpid).result(60) != os.getpid()

    def test_plain_values_travel_both_ways(self, executor: DistantExecutor) -> None:
        value = {"a": [1, 2.5, None, True], "b": b"\x00\xff", "c": {"d": "é"}}
        assert executor.submit(dict, value).result(60) == value
        assert math.isnan(executor.submit(float, "nan").result(60))
        large = os.urandom(5_000_000)
        assert executor.submit(binascii.unhexlify, large.hex()).result(60) == large

    def test_what_prints_does_not_disturb_the_answers(self, executor: DistantExecutor) -> None:
        assert executor.submit(os.system, "echo noise").result(60) == 0
        assert executor.submit(print, "more noise").result(60) is None

    def test_a_call_that_takes_too_long_is_killed(self, executor: DistantExecutor) -> None:
        for late in (executor.submit(time.sleep, 60, timeout=0.2), executor.submit(re.match, *ENDLESS, timeout=0.2)):
            with pytest.raises(WorkTimeout, match=r"^took longer than 0.2 s and was killed$"):
                late.result(50)
        assert executor.submit(math.sqrt, 4.0, timeout=60).result(60) == 2.0

    def test_a_worker_that_dies_fails_its_call_and_no_other(self, executor: DistantExecutor) -> None:
        dying, living = executor.submit(os._exit, 7), executor.submit(math.sqrt, 9.0)
        with pytest.raises(WorkerDied) as error:
            dying.result(60)
        assert error.value.code == "compute.died"
        assert living.result(60) == 3.0

    def test_errors_come_back_as_they_were(self, executor: DistantExecutor) -> None:
        with pytest.raises(FileNotFoundError) as error:
            executor.submit(os.stat, "/nowhere").result(60)
        assert error.value.errno == 2
        assert any("Traceback" in note for note in error.value.__notes__)
        with pytest.raises(ZeroDivisionError):
            executor.submit(operator.truediv, 1, 0).result(60)

    def test_a_call_can_be_cancelled_once_its_process_is_at_work(self, executor: DistantExecutor) -> None:
        heard = threading.Event()
        future = executor.submit(_said_then_asleep, on_report=lambda _: heard.set())
        assert heard.wait(60)
        assert future.cancel()
        with pytest.raises(WorkerDied, match="cancelled"):
            future.result(30)

    def test_reports_arrive_in_order(self, executor: DistantExecutor) -> None:
        heard: list[object] = []
        executor.submit(_counted, 12, on_report=heard.append).result(60)
        assert heard == [{"done": place} for place in range(12)]
        report("outside a worker nothing happens")

    def test_what_has_no_name_elsewhere_is_refused(self, executor: DistantExecutor) -> None:
        def local() -> None: ...

        for function in (local, lambda: None):
            with pytest.raises(Invalid) as error:
                executor.submit(function)
            assert error.value.code == "compute.function"

    def test_a_result_that_cannot_travel_is_an_error(self, executor: DistantExecutor) -> None:
        with pytest.raises(TypeError):
            executor.submit(threading.current_thread).result(60)


def _said_then_asleep() -> None:
    report("here")
    time.sleep(60)


def _counted(times: int) -> None:
    for place in range(times):
        report({"done": place})
