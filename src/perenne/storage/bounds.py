"""A limit of time for what somebody else asks: a search that takes longer is stopped by the database itself."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from perenne.core.errors import Invalid
from perenne.storage.transaction import Transaction, cause_of, sqlstate_of

SECONDS = 10.0
_STEPS = 50_000
"""So many steps of SQLite's machine are between two looks at the clock: about a millisecond."""

_CANCELED = "57014"
_ALONG = ("enable_sort", "enable_hashjoin", "enable_mergejoin", "enable_bitmapscan")
"""What PostgreSQL does instead of going along an index until there are enough rows, if it thinks there are few."""


@contextmanager
def bounded(tx: Transaction, seconds: float = SECONDS) -> Iterator[None]:
    """Stop statements that run longer than allowed: on SQLite all of them together, on PostgreSQL each.

    Raises
    ------
    Invalid
        If one was stopped: `search.slow`. The transaction is of no use then.
    """
    on_sqlite = tx.connection.dialect.name == "sqlite"
    if on_sqlite:
        deadline = time.monotonic() + seconds
        tx.driver.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    else:
        # A search is over before other processes have begun to help with it, or the machine code is made.
        limit = f"SET LOCAL statement_timeout = {int(seconds * 1000)}"
        tx.connection.exec_driver_sql(f"{limit}; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off")
    try:
        yield
    except sa.exc.DBAPIError as error:
        if not _was_stopped(error):
            raise
        raise Invalid(
            f"the search took more than {seconds:g} seconds and was stopped",
            code="search.slow",
            hint="narrow the filter: name an experiment, compare with = or by a range, order by the start",
        ) from None
    finally:
        if on_sqlite:
            tx.driver.set_progress_handler(None, 0)


@contextmanager
def along_an_index(tx: Transaction) -> Iterator[None]:
    """Have PostgreSQL go through rows in the order asked for, and stop when there are enough, whatever it thinks is better."""
    if tx.connection.dialect.name == "sqlite":
        yield
        return
    tx.connection.exec_driver_sql("; ".join(f"SET LOCAL {setting} = off" for setting in _ALONG))
    yield  # after an error the transaction is of no use, and with it goes the setting
    tx.connection.exec_driver_sql("; ".join(f"SET LOCAL {setting} = on" for setting in _ALONG))


def _was_stopped(error: sa.exc.DBAPIError) -> bool:
    cause = cause_of(error)
    return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT or sqlstate_of(error) == _CANCELED
