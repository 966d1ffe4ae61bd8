"""Ctrl-C in the middle of a query is Ctrl-C."""

import os
import signal
import threading

import duckdb
import pytest

from perenne.core.interrupts import is_interrupt


def test_a_query_that_is_interrupted_says_so() -> None:
    endless = "select count(*) from range(3000000000) t(a), range(100) u(b) where a % 7 = hash(b) % 7"
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with duckdb.connect() as connection, pytest.raises((KeyboardInterrupt, RuntimeError)) as raised:
        connection.execute(endless).fetchall()
    assert is_interrupt(raised.value)
