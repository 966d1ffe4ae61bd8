"""The contract of executors."""

import math

import pytest

from perenne.compute import Executor
from perenne.core.clock import HOUR, parse_duration
from perenne.core.errors import Invalid


class ExecutorContract:
    """What every executor does. Fixture: `executor`, open."""

    def test_a_call_gives_its_result(self, executor: Executor) -> None:
        assert executor.submit(math.hypot, 3.0, 4.0).result(60) == 5.0

    def test_every_call_is_answered_with_its_own_result(self, executor: Executor) -> None:
        futures = [executor.submit(math.sqrt, float(number * number)) for number in range(50)]
        assert [future.result(60) for future in futures] == list(range(50))

    def test_what_a_call_raises_reaches_its_caller_and_no_other(self, executor: Executor) -> None:
        bad, good = executor.submit(parse_duration, "soon"), executor.submit(parse_duration, "1h")
        assert good.result(60) == HOUR
        with pytest.raises(Invalid) as error:
            bad.result(60)
        assert error.value.code == "time.duration"
        assert error.value.hint
        with pytest.raises(ValueError, match="math"):
            executor.submit(math.sqrt, -1.0).result(60)

    def test_it_says_how_much_it_does_at_once(self, executor: Executor) -> None:
        assert executor.slots >= 1
