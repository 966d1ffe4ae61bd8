"""Guessing is slowed, in bounded memory, and nobody is locked out who is known or waits."""

from typing import Any

import pytest

from perenne.auth import doorman
from perenne.auth.doorman import Doorman
from perenne.auth.errors import TooFast, TooManyFailures, Unauthenticated
from perenne.auth.principals import Principal
from perenne.auth.secret import refused

ADA = Principal("ada")


class Door:
    """A doorman who knows the tokens `good` and `new`, with a clock that is turned by hand."""

    def __init__(self, per_second: float = 0.0) -> None:
        self.now = 0.0
        self.known = {"good", "new"}
        self.looked = 0
        self.heard: list[tuple[str, int]] = []
        self.doorman = Doorman(self._verify, lambda *what: self.heard.append(what), per_second, lambda: self.now)

    def _verify(self, text: str, _: str) -> Principal:
        self.looked += 1
        if text not in self.known:
            raise refused()
        return ADA

    def __call__(self, text: str, address: str = "192.0.2.1") -> Any:
        try:
            return self.doorman.admit(f"Bearer {text}", address)
        except (TooFast, TooManyFailures) as error:
            return error.retry_after
        except Unauthenticated:
            return None


def test_ten_are_looked_at_then_waiting_doubles_up_to_a_minute() -> None:
    door = Door()
    assert [door("bad") for _ in range(10)] == [None] * 10
    waits = []
    for _ in range(9):
        waits.append(door("bad"))
        assert door.looked == 10 + len(waits) - 1, "while it waits, nothing is looked at"
        door.now += waits[-1]
        assert door("bad") is None
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_who_was_good_before_goes_on_and_who_is_new_waits() -> None:
    door = Door()
    assert door("good") is ADA
    for _ in range(10):
        door("bad")
    assert door("good") is ADA and door("new") == 1
    assert door("new", "192.0.2.2") is ADA, "another address is another matter"
    door.known.remove("good")
    assert door("good") is None and door("good") == 2, "a revoked token is one that was never good"


def test_after_a_quiet_minute_all_is_forgotten() -> None:
    door = Door()
    for _ in range(12):
        door("bad")
    door.now += 200
    assert [door("bad") for _ in range(9)] == [None] * 9 and door("new") is ADA


def test_no_token_is_no_guess() -> None:
    door = Door()
    for _ in range(50):
        with pytest.raises(Unauthenticated) as error:
            door.doorman.admit(None, "192.0.2.1")
    assert error.value.code == "auth.missing" and door("new") is ADA


def test_a_network_of_ipv6_is_one_caller_and_a_mapped_address_is_ipv4() -> None:
    door = Door()
    for count in range(10):
        door("bad", f"2001:db8::{count}")
    assert door("new", "2001:db8::ffff:1") == 1 and door("new", "2001:db8:0:1::1") is ADA
    for _ in range(10):
        door("bad", "::ffff:192.0.2.9")
    assert door("good", "192.0.2.9") == 1


def test_memory_and_reports_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorman, "REMEMBERED", 100)
    door = Door()
    door.known = {f"t{count}" for count in range(500)}
    for count in range(500):
        assert door(f"t{count}") is ADA
        door("bad", f"10.0.{count // 250}.{count % 250}")
    assert len(door.doorman._good) == len(door.doorman._failures._entries) == 100
    assert len(door.heard) == doorman.REPORTS_PER_WINDOW


def test_refusals_are_told_when_they_begin_and_once_a_minute() -> None:
    door = Door()
    for _ in range(5):
        door("bad")
    door.now += 61
    door("bad")
    assert [address for address, _ in door.heard] == ["192.0.2.1"] * 2


def test_d2_a_token_is_used_so_often_in_a_second_and_no_oftener() -> None:
    door = Door(per_second=2.0)
    assert [door("good") for _ in range(4)] == [ADA, ADA, 1, 1]
    assert door("new") is ADA, "another token has its own pace"
    door.now += 0.5
    assert [door("good") for _ in range(2)] == [ADA, 1]
    door.now += 100
    assert [door("good") for _ in range(3)] == [ADA, ADA, 1]
    slow = Door(per_second=0.1)
    assert [slow("good"), slow("good")] == [ADA, 10]
